"""chat on a terminal, for the tests of it."""

import getpass

from fake import CONTROL
from terminal import Terminal

USER = getpass.getuser()
CLOCK = r"\d\d:\d\d:\d\d"


def open_chat(daemon, *arguments, **options):
    terminal = Terminal([str(CONTROL), "--socket", daemon.path, "chat", *arguments], **options)
    terminal.wait_for(r"members?: alpha \(leader\)")
    return terminal


def prompt_line(terminal):
    return next(line for line in reversed(terminal.screen()) if line)
