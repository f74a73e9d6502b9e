"""chat on a real ring: who comes, goes and leads, seen from the terminal of one host."""

import pathlib
import sys

import pytest
from host import CONTROL
from ring import await_ring, start_together

sys.path.append(str(pathlib.Path(__file__).parents[1] / "shell"))

from terminal import Terminal  # noqa: E402


@pytest.fixture
def hosts(lab):
    made = lab.make_hosts(3)
    start_together(made)
    return made


def open_chat(host):
    return Terminal([str(CONTROL), "--socket", host.socket, "chat"], columns=100, rows=40)


def test_chat_shows_who_comes_goes_and_leads_and_delivers_to_all(hosts):
    first, second, third = hosts
    with open_chat(first) as chat:
        chat.wait_for("^-- 3 members: ")
        chat.enter("to all of you")
        chat.wait_for(r"@host1  to all of you \(delivered to 3\)$")
        second.send("an answer")
        chat.wait_for(r"@host2  an answer$")
        third.kill()
        chat.wait_for(r"^-- \S+ host3 failed; 2 members$")
        third.start()
        chat.wait_for(r"^-- \S+ host3 joined; 3 members$")
        await_ring(hosts)
        second.control("elect")
        for leader in (third, first):
            leader.control("elect")
            chat.wait_for(rf"^-- \S+ {leader.name} is the leader now$")
        second.control("leave")
        chat.wait_for(r"^-- \S+ host2 left; 2 members$")
        second.control("join")
        chat.wait_for(r"^-- \S+ host2 joined; 3 members$")
        await_ring(hosts)
        chat.enter("@LIST")
        chat.wait_for(r"^--  \d host1, leader, this host, 10\.77\.0\.1:7263, next hop \d")
        chat.enter("/ring")
        chat.wait_for("^  ╰─.*─▶╯$")


def test_hosts_of_one_name_are_told_apart_everywhere(lab):
    hosts = lab.make_hosts(2)
    for host in hosts:
        host.launch("--name", "twin")
    for host in hosts:
        host.await_ready()
        host.wait("--members", "2")
    ids = [host.json("status")["id"] for host in hosts]
    names = [f"twin~{node_id[:4]}" for node_id in ids]
    assert {member["name"] for member in hosts[0].members()["members"]} == set(names)
    assert all(name in hosts[0].control("ring").stdout.decode() for name in names)
    assert hosts[1].json("status")["name"] == names[1]
    with open_chat(hosts[0]) as chat:
        chat.wait_for("^-- 2 members: ")
        hosts[1].send("which of us?")
        chat.wait_for(rf"@{names[1]}  which of us\?$")
    for words in (["tail", "-n", "1"], ["history", "-n", "1"],
                  ["history", "-n", "1", "-N", names[1]]):
        assert f"@{names[1]}  which of us?\n" in hosts[0].control(*words).stdout.decode()
