"""The README's pictures, man/chat.svg and man/ring.svg, recorded on a ring of real daemons. They
are made anew by

    RINGCHAT_PICTURES=man tests/run hosts

and what is compared here are their texts: all but times, which differ from run to run."""

import os
import pathlib
import re
import sys
from xml.etree import ElementTree

import pytest
from host import CONTROL
from picture import draw, texts
from ring import await_ring

sys.path.append(str(pathlib.Path(__file__).parents[1] / "shell"))

from terminal import Terminal  # noqa: E402

PICTURES = pathlib.Path(__file__).parents[2] / "man"
NAMES = ["berlin", "prague", "oslo", "lisbon", "vienna"]
COLUMNS = 78


@pytest.fixture
def town(lab):
    """Four hosts in the order of their names, led by the first; and a fifth that is not started."""
    hosts = lab.make_hosts(len(NAMES))
    for host, name in zip(hosts, NAMES):
        host.name = name
    for host in hosts[:-1]:
        host.start()
    await_ring(hosts[:-1])
    hosts[0].control("elect")
    # Who joins says hello.
    hosts[0].tail().wait_until("hellos", lambda lines: len(lines) == 4)
    return hosts


def record(terminal, name):
    """Compares the screen with the picture of that name, or makes it."""
    picture = draw(terminal.screen(colours=True), COLUMNS, f"ringchatctl {name}")
    ElementTree.fromstring(picture)
    assert texts(picture) == [line for line in terminal.screen() if line]
    if "RINGCHAT_PICTURES" in os.environ:
        pathlib.Path(os.environ["RINGCHAT_PICTURES"], f"{name}.svg").write_text(picture)
        return
    kept = (PICTURES / f"{name}.svg").read_text()
    assert [without_times(line) for line in texts(picture)] == [
        without_times(line) for line in texts(kept)]


def without_times(line):
    """Without what differs from run to run: times, hops, who came first and feeds whom."""
    line = re.sub(r"\w{3} \d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", "TIME", line)
    line = re.sub(r"\d+(\.\d+)? (us|ms|s)(, slow)?", "SPAN", line)
    line = re.sub(r"10\.77\.0\.\d", "ADDRESS", line)
    line = re.sub("|".join(NAMES[:4]), "HOST", line)
    return re.sub(r"[ ─]+", " ", line).strip()


def test_the_picture_of_chat_is_what_chat_shows(town):
    first, second, third, fourth, fifth = town
    command = [str(CONTROL), "--socket", first.socket, "chat"]
    with Terminal(command, columns=COLUMNS, rows=18) as chat:
        chat.wait_for("^-- 4 members: ")
        for name in NAMES[:4]:
            chat.wait_for(f"hello, I am {name}")
        chat.enter("who has the keys of the machine room?")
        chat.wait_for(r"\(delivered to 4\)$")
        third.control("send", "root: the porter, since yesterday")
        chat.wait_for("the porter")
        second.control("send", "-r", "backup", "--notice", "backup of prague: succeeded")
        chat.wait_for(r"^main \+1>$")
        fifth.start()
        chat.wait_for("vienna joined")
        chat.wait_for("hello, I am vienna")
        fifth.kill()
        chat.wait_for("vienna failed; 4 members$")
        chat.type("thanks, I will ask h")
        chat.wait_for("ask h$")
        record(chat, "chat")


def test_the_picture_of_a_ring_is_what_ring_shows(town):
    fifth = town[-1]
    fifth.start()
    await_ring(town)
    fifth.kill()
    await_ring(town[:-1])
    town[0].control("elect")
    town[0].control("members", "--refresh")
    with Terminal([str(CONTROL), "--socket", town[0].socket, "ring"], columns=COLUMNS,
                  rows=8) as ring:
        assert ring.wait_for_end() == 0
        record(ring, "ring")
