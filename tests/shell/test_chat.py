"""chat in a real terminal with a real daemon: what a person types, and what the screen shows."""

import getpass
import re

import pytest
from fake import CONTROL
from live import LiveDaemon
from terminal import Terminal

USER = getpass.getuser()
CLOCK = r"\d\d:\d\d:\d\d"


@pytest.fixture
def daemon():
    with LiveDaemon() as made:
        yield made


def open_chat(daemon, *arguments, **options):
    terminal = Terminal([str(CONTROL), "--socket", daemon.path, "chat", *arguments], **options)
    terminal.wait_for(r"members?: alpha \(leader\)")
    return terminal


@pytest.fixture
def chat(daemon):
    with open_chat(daemon) as terminal:
        yield terminal


def prompt_line(terminal):
    return next(line for line in reversed(terminal.screen()) if line)


def test_what_is_typed_is_shown_with_how_many_disks_have_it(chat, daemon):
    chat.enter("hello, everybody")
    chat.wait_for(rf"^{CLOCK} {USER}@alpha  hello, everybody \(delivered to 1\)$")
    assert chat.text().count("hello, everybody") == 1
    assert prompt_line(chat) == "main>"
    assert [message["text"] for message in [daemon.json("history", "-n", "1")]] == [
        "hello, everybody"]


def test_a_message_that_comes_in_leaves_alone_what_is_being_typed(chat, daemon):
    chat.type("half a sen")
    chat.wait_for(r"^main> half a sen$")
    daemon.send("an interruption")
    chat.wait_for(r"an interruption$")
    assert prompt_line(chat) == "main> half a sen"
    assert chat.cursor()[0] == len("main> half a sen")
    chat.enter("tence")
    chat.wait_for(r"@alpha  half a sentence \(delivered to 1\)$")
    assert chat.text().count("half a sen") == 1


def test_a_paste_of_several_lines_is_one_message(chat, daemon):
    chat.paste("first line\nsecond line\n\nlast line\n")
    chat.wait_for(r"^last line$")
    assert daemon.control("history").stdout.count(b"first line") == 0
    daemon.send("meanwhile")
    chat.wait_for(r"meanwhile$")
    chat.key("Enter")
    chat.wait_for(r"last line \(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["text"] == "first line\nsecond line\n\nlast line"
    assert chat.text().count("last line") == 1
    assert prompt_line(chat) == "main>"


def test_a_text_of_several_rows_survives_what_comes_in(chat, daemon):
    text = "x" * 70 + " " + "y" * 70 + " " + "z" * 20
    chat.type(text)
    chat.wait_for("z{8}$")
    for number in range(3):
        daemon.send(f"interruption {number}")
    chat.wait_for("interruption 2$")
    joined = "".join(line.ljust(80) for line in chat.screen()[-3:])
    assert ("main> " + text) in joined
    chat.key("Enter")
    chat.wait_for(r"\(delivered to 1\)")
    assert daemon.json("history", "-n", "1")["text"] == text


@pytest.mark.parametrize("columns", [40, 200])
def test_the_terminal_may_be_resized_while_a_line_is_typed(chat, daemon, columns):
    daemon.send("before")
    chat.wait_for("before$")
    chat.type("typed before the resize, long enough to be folded")
    chat.wait_for("to be folded$")
    chat.resize(columns)
    daemon.send("after")
    chat.wait_for("after$")
    text = "".join(chat.screen()).replace(" ", "")
    assert text.count("typedbeforetheresize,longenoughtobefolded") == 1
    chat.key("Enter")
    chat.wait_for(r"\(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["text"].endswith("long enough to be folded")
