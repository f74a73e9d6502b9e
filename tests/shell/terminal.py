"""A real terminal, that of tmux, for programs that talk to people. Every wait is for what the
program writes, with a deadline."""

import contextlib
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time

from fake import PATIENCE


# The program starts when its output is watched already; its process id and its exit status are kept
# in files, and the screen stays when it has ended.
WRAPPER = """
trap : INT QUIT
read -r go <"$0/gate"
sh -c 'echo "$$" >"$0/pid"; exec "$@"' "$0" "$@"
echo "$?" >"$0/status.new"
mv "$0/status.new" "$0/status"
exec cat >"$0/typed"
"""


class Terminal:
    """Runs `command` (a list) on a screen of `columns` by `rows`."""

    def __init__(self, command, columns=80, rows=24, environment=None):
        self.directory = tempfile.TemporaryDirectory(prefix="ringterm-")
        self.socket = os.path.join(self.directory.name, "tmux")
        self.pipe = os.path.join(self.directory.name, "output")
        self.written = b""
        os.mkfifo(self.pipe)
        # Held open for writing too, so that it never ends before the test does.
        self.output = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        gate = os.path.join(self.directory.name, "gate")
        os.mkfifo(gate)
        variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
                     "HOME": self.directory.name, "TERM": "screen", **(environment or {})}
        words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()),
                 "sh", "-c", WRAPPER, self.directory.name, *command]
        self._tmux("-f", "/dev/null", "start-server", ";", "set-option", "-g", "status", "off",
                   ";", "set-option", "-s", "escape-time", "0", ";", "new-session", "-d", "-x",
                   str(columns), "-y", str(rows), *words)
        self._tmux("pipe-pane", "-O", f"cat >{self.pipe}")
        with open(gate, "w", encoding="ascii") as file:
            file.write("go\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The program may save something when its terminal goes away.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            program = os.pidfd_open(self.pid())
            self._tmux("kill-server", check=False)
            assert select.select([program], [], [], PATIENCE)[0], "the program does not end"
            os.close(program)
        self._tmux("kill-server", check=False)
        os.close(self.output)
        self.directory.cleanup()

    def _tmux(self, *arguments, check=True):
        done = subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], capture_output=True,
                              timeout=PATIENCE, check=False,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TMUX": ""})
        assert done.returncode == 0 or not check, done.stderr.decode()
        return done.stdout.decode()

    # ---- keys ----

    def type(self, text):
        self._tmux("send-keys", "-l", "--", text)

    def key(self, *names):
        """Keys by tmux's names: Enter, Tab, Up, C-a."""
        self._tmux("send-keys", *names)

    def enter(self, text):
        self.type(text)
        self.key("Enter")

    def paste(self, text):
        """As a terminal pastes: in brackets if the program has asked for that."""
        self._tmux("set-buffer", "--", text)
        self._tmux("paste-buffer", "-p", "-d")

    def resize(self, columns, rows=24):
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    # ---- the screen ----

    def screen(self, history=0, colours=False):
        """The lines on the screen, and `history` lines above it, without blanks at the end."""
        arguments = ["capture-pane", "-p", "-S", str(-history)] + (["-e"] if colours else [])
        return [line.rstrip() for line in self._tmux(*arguments).rstrip("\n").split("\n")]

    def text(self, history=0):
        return "\n".join(self.screen(history))

    def output_bytes(self):
        """All that the program has written so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.written += os.read(self.output, 65536)
        return self.written

    def _flag(self, name):
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def cursor(self):
        """Column and row, from 0."""
        return int(self._flag("cursor_x")), int(self._flag("cursor_y"))

    def pid(self):
        """Of the program."""
        return int(pathlib.Path(self.directory.name, "pid").read_text())

    def pastes_as_before(self):
        """Whether the program has switched bracketed paste on, and off again."""
        on, off = (self.output_bytes().rfind(b"\x1b[?2004" + end) for end in (b"h", b"l"))
        return 0 <= on < off

    def ended(self):
        return pathlib.Path(self.directory.name, "status").exists()

    def exit_status(self):
        return int(pathlib.Path(self.directory.name, "status").read_text())

    def wait_until(self, what, condition):
        """Returns condition(self) as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (result := condition(self)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {what} on the screen:\n" + self.text()
            # The end of a program writes nothing: look again from time to time.
            if select.select([self.output], [], [], min(left, 0.2))[0]:
                self.output_bytes()
        return result

    def wait_for(self, pattern, history=0):
        """Waits until the screen matches the regular expression."""
        return self.wait_until(repr(pattern),
                               lambda _: re.search(pattern, self.text(history), re.M))

    def wait_for_end(self):
        self.wait_until("end of the program", Terminal.ended)
        return self.exit_status()
