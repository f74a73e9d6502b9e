"""`ringchatctl log debug` makes the log show how the ring works."""

import re

from ring import await_everything, await_ring, start_together


def test_log_debug_shows_discovery_election_and_every_frame_of_one_send(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts[:2])
    for host in hosts[:2]:
        host.control("log", "debug")
    hosts[2].start("--log", "debug")
    await_ring(hosts)
    hosts[0].send("look at this")
    await_everything(hosts)

    newcomer = hosts[2].log_text()
    assert re.search(r"\bDISCOVER\b", newcomer)
    assert re.search(r"\bOFFER\b", newcomer)
    for frame in ["GATHER", "INSTALL", "SYNC", "START"]:
        assert re.search(rf"\b{frame}\b", newcomer), frame
    assert any("elected" in host.log_text() for host in hosts)
    for host in hosts:
        for frame in ["DATA", "SEAL", "STABLE"]:
            assert re.search(rf"\b{frame}\b", host.log_text()), (host.name, frame)


def test_the_log_is_quiet_about_frames_until_it_is_asked(lab):
    hosts = lab.make_hosts(2)
    start_together(hosts)
    hosts[0].send("nothing to see here")
    await_everything(hosts)
    for host in hosts:
        assert not re.search(r"\b(DATA|SEAL|STABLE|GATHER|HEARTBEAT)\b", host.log_text())


def test_texts_of_messages_are_not_logged_even_by_log_debug(lab):
    hosts = lab.make_hosts(2)
    start_together(hosts)
    for host in hosts:
        host.control("log", "debug")
    hosts[0].send("my password is swordfish")
    await_everything(hosts)
    for host in hosts:
        assert "swordfish" not in host.log_text()


def test_log_normal_ends_it(lab):
    hosts = lab.make_hosts(2)
    start_together(hosts)
    hosts[0].control("log", "debug")
    hosts[0].control("log", "normal")
    before = len(hosts[0].log_text())
    hosts[0].send("quiet again")
    await_everything(hosts)
    assert not re.search(r"\b(DATA|SEAL|STABLE)\b", hosts[0].log_text()[before:])
