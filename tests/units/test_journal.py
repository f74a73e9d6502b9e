"""What ringchatd writes to the journal: fields, explanations, topics, and what happens when the
journal is flooded or does not read."""

import re

import pytest
from ringchat import SERVICE, await_ring, configure, events_of, follow_events, install, start_ring

TOPICS = {"chat", "ring", "election", "heartbeat", "discovery", "store", "control", "security"}


def lines_of(host, *words):
    """The daemon's own lines: systemd writes about the unit too."""
    return host.journal("-u", SERVICE, "_COMM=ringchatd", *words)


@pytest.fixture(scope="module")
def pair(module_lab):
    """Two hosts in a ring, of which the second one is started with the mode debug."""
    hosts = module_lab.boot(2)
    for host in hosts:
        install(host)
        configure(host)
    configure(hosts[1], "[Log]\nTopics=debug\n", name="log")
    hosts[0].systemctl("start", SERVICE)
    await_ring(hosts)
    return hosts


def test_every_line_has_its_fields_and_those_for_an_operator_an_id(pair):
    pair[1].control("send", "something to write of")
    for host in pair:
        lines = lines_of(host)
        assert len(lines) > 5
        for line in lines:
            assert line["PRIORITY"] in "234567", line
            assert line["RINGCHAT_TOPIC"] in TOPICS, line
            assert line["RINGCHAT_EPOCH"].isdigit(), line
            assert {"RINGCHAT_VIEW", "RINGCHAT_LEADER"} <= line.keys(), line
            assert ("MESSAGE_ID" in line) == (line["PRIORITY"] != "7"), line
        [leader] = [member for member in host.members()["members"] if member["leader"]]
        assert lines[-1]["RINGCHAT_LEADER"] == leader["name"]
        assert lines[-1]["RINGCHAT_EPOCH"] == str(host.members()["epoch"])
    assert any(line["PRIORITY"] == "7" for line in lines_of(pair[1]))


def test_a_line_about_a_peer_names_it(pair):
    [joined] = [line for line in lines_of(pair[0]) if "joined" in line["MESSAGE"]]
    assert joined["RINGCHAT_PEER"] == "host2"
    found = lines_of(pair[0], "RINGCHAT_PEER=host2", f"MESSAGE_ID={joined['MESSAGE_ID']}")
    assert [line["MESSAGE"] for line in found] == [joined["MESSAGE"]]


def test_journalctl_x_explains_a_line_and_its_fields_are_filled_in(pair):
    shown = pair[0].output("journalctl", "-q", "-x", "-u", SERVICE, "-g", "joined")
    assert "host2 has joined the ring" in shown
    assert "Nothing needs to be done" in shown


def test_every_id_in_the_journal_is_in_the_catalog(pair):
    known = pair[0].output("journalctl", "--list-catalog")
    ids = {line["MESSAGE_ID"] for host in pair for line in lines_of(host) if "MESSAGE_ID" in line}
    assert len(ids) > 3
    assert not [one for one in ids if f"{one} ringchat:" not in known]


def test_the_mode_is_chosen_at_the_start_and_switched_live(pair):
    quiet, loud = pair
    assert loud.control("log").stdout.strip() == "debug"
    assert any("frame HEARTBEAT" in line["MESSAGE"] for line in lines_of(loud))
    assert not any("HEARTBEAT" in line["MESSAGE"] for line in lines_of(quiet))
    follow = quiet.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    quiet.control("log", "heartbeat")
    follow.wait_for("heartbeat .* of leader")
    assert not any("frame" in line for line in follow.lines)
    quiet.control("log", "debug")
    follow.wait_for("frame HEARTBEAT")
    quiet.control("log", "store")
    assert quiet.control("log").stdout.strip() == "store"
    quiet.control("log", "normal")
    before = len(lines_of(quiet))
    quiet.control("send", "nothing of this is logged")
    loud.control("log", "normal")
    assert len(lines_of(quiet)) == before


def test_a_flood_of_malformed_frames_writes_few_lines(lab):
    victim, attacker = start_ring(lab, 2)
    journal = victim.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    attacker.run("perl", "-MSocket", "-e",
                 f'my $to = sockaddr_in(7263, inet_aton("{victim.address}"));'
                 'for (1..200) { socket(S, PF_INET, SOCK_STREAM, 0); connect(S, $to) or die;'
                 ' syswrite(S, pack("VCCvQ", 16, 1, 0, 0, 0)); sysread(S, $_, 1); }')
    shown = journal.wait_for("more lines like this were left out: malformed")
    refused = [line for line in lines_of(victim) if line["MESSAGE"].startswith("malformed")]
    assert len(refused) == 20
    assert shown.startswith("180 more")
    assert victim.control("send", "still here").returncode == 0


LOAD = ("end=$(($(date +%s) + $1)); while [ $(date +%s) -lt $end ]; do"
        " ringchatctl -q send load || echo failed; done")


def test_a_journal_that_does_not_read_for_30_s_under_debug_load_accuses_nobody(lab):
    hosts = start_ring(lab, 3)
    for host in hosts:
        host.control("log", "debug")
    tails = [follow_events(host) for host in hosts]
    view = hosts[0].members()["view"]
    sleeper = hosts[1]
    sleeper.systemctl("kill", "-s", "STOP", "systemd-journald")
    loads = [host.follow("sh", "-c", LOAD, "sh", "30") for host in hosts]
    for load in loads:
        load.process.wait(120)
        assert load.lines == []
    sleeper.systemctl("kill", "-s", "CONT", "systemd-journald")
    for tail in tails:
        assert not {"failed", "left", "leader", "joined"} & set(events_of(tail)), events_of(tail)
    assert {host.members()["view"] for host in hosts} == {view}
    # What did not fit is counted, and later lines are there again.
    journal = sleeper.follow("journalctl", "-f", "-n", "1000", "-o", "cat", "-u", SERVICE)
    journal.wait_for(r"\d+ lines of the log were dropped")
    hosts[0].control("send", "the journal reads again")
    journal.wait_for("frame DATA", count=2)


def test_a_stop_does_not_wait_for_a_journal_that_does_not_read(lab):
    [host] = lab.boot(1)
    install(host)
    configure(host, "[Log]\nTopics=debug\n[Ring]\nKey=none\nHeartbeatIntervalSec=0.1\n")
    host.systemctl("start", SERVICE)
    host.systemctl("kill", "-s", "STOP", "systemd-journald")
    load = host.follow("sh", "-c", LOAD, "sh", "3")
    load.process.wait(120)
    host.systemctl("stop", SERVICE)
    assert host.show(SERVICE, "Result") == "success"
    host.systemctl("kill", "-s", "CONT", "systemd-journald")
    assert re.match("inactive", host.show(SERVICE, "ActiveState"))
