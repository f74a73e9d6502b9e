"""The picture of the ring, its list where there is no place, and what doctor and status say."""

import json
import re

import pytest
from fake import CONTROL, MEMBERS, STATUS, Daemon, control
from terminal import Terminal


def ring(count, hops=(), leader=0, gone=()):
    """What Members answers: node1, node2, …; this host is node2."""
    hops = list(hops) or [100] * count
    return {**MEMBERS, "leader_name": f"node{leader + 1}", "gone": list(gone), "warnings": [],
            "members": [{**MEMBERS["members"][0], "position": number, "id": f"id{number}",
                         "name": f"node{number + 1}", "leader": number == leader,
                         "self": number == 1, "hop_usec": hops[number]}
                        for number in range(count)]}


def shown(answer, *options, columns=None):
    with Daemon({"Members": [answer]}) as daemon:
        if columns is None:
            done = control(*options, "ring", socket_path=daemon.path)
            assert done.returncode == 0 and not done.stderr
            return done.stdout.decode().splitlines()
        command = [str(CONTROL), "--color=never", "--socket", daemon.path, "ring"]
        with Terminal(command, columns, 40) as terminal:
            assert terminal.wait_for_end() == 0
            return [line for line in terminal.screen() if line]


def test_the_ring_is_drawn_as_a_loop_from_its_leader_on():
    assert shown(ring(4, [100, 200, 300, 400], leader=2)) == [
        "  ╭◀───────────── 200 us ──────────────╮",
        "★ node3                                node2 (this host)",
        "  ▼ 300 us                             ▲ 100 us",
        "  node4                                node1",
        "  ╰───────────── 400 us ──────────────▶╯",
    ]


def test_a_ring_of_an_odd_number_closes_too():
    assert shown(ring(3)) == [
        "  ╭◀───────────── 100 us ──────────────╮",
        "★ node1                                node3",
        "  ▼ 100 us                             │",
        "  node2 (this host)                    │",
        "  ╰───────────── 100 us ──────────────▶╯",
    ]


def test_the_slow_hop_is_named():
    lines = shown(ring(5, [100, 90, 110, 25000, 95]))
    assert [line for line in lines if "slow" in line] == [
        line for line in lines if "25 ms, slow" in line or "25.0 ms, slow" in line]
    assert sum("slow" in line for line in lines) == 1


@pytest.mark.parametrize("count", range(2, 13))
def test_up_to_twelve_members_fit_80_columns_and_24_rows(count):
    lines = shown(ring(count), columns=80)
    assert len(lines) <= 24
    assert lines[0].startswith("  ╭◀") and lines[-1].startswith("  ╰")
    text = "\n".join(lines)
    assert all(re.search(rf"\bnode{number}\b", text) for number in range(1, count + 1))


@pytest.mark.parametrize("count, columns", [(13, 80), (5, 40), (64, 200), (1, 80)])
def test_where_there_is_no_place_the_ring_is_a_list(count, columns):
    lines = shown(ring(count), columns=columns) if count < 20 else shown(ring(count))
    assert lines[0].lstrip("★ ").startswith("node1")
    assert not any("╭" in line for line in lines)
    assert all(len(line) <= columns for line in lines)


def test_long_names_are_cut_and_not_folded():
    answer = ring(4)
    for member in answer["members"]:
        member["name"] = member["name"] * 20
    lines = shown(answer, columns=80)
    assert len(lines) == 5
    assert sum("…" in line for line in lines) == 2


def test_who_failed_within_the_hour_is_named_below():
    gone = [{"event": "failed", "id": "id9", "name": "node9~3f2a", "address": "", "time": 1},
            {"event": "failed", "id": "id2", "name": "node3", "address": "", "time": 1},
            {"event": "left", "id": "id8", "name": "node8", "address": "", "time": 1}]
    lines = shown(ring(4, gone=gone))
    assert re.fullmatch(r"node9~3f2a failed .* ago", lines[5])
    assert re.fullmatch(r"node3 failed .* ago, and is back", lines[6])
    assert re.fullmatch(r"node8 left .* ago", lines[7])


def test_a_terminal_that_knows_only_ascii_gets_only_that():
    with Daemon({"Members": [ring(6)]}) as daemon:
        done = control("ring", socket_path=daemon.path, environment={"LC_ALL": "C"})
    assert done.stdout.isascii()
    assert b"+<-" in done.stdout and b"->+" in done.stdout


def test_a_hostile_name_cannot_drive_the_terminal():
    answer = ring(2)
    answer["members"][0]["name"] = "a\x1b[2J\u202e"
    assert "a\\x1b[2J\\u{202e}" in "\n".join(shown(answer))


# ---- doctor and status ----

CHECKS = {"checks": [
    {"check": "ring", "result": "warning", "text": "this host is alone"},
    {"check": "multicast_in", "interface": "eth0", "result": "failed", "text": "nobody is heard",
     "cure": "set Peers="},
    {"check": "version", "result": "ok", "text": "no other version is heard"}]}


def test_doctor_names_check_interface_and_cure():
    with Daemon({"Doctor": [CHECKS]}) as daemon:
        done = control("doctor", socket_path=daemon.path)
        quiet = control("-q", "doctor", socket_path=daemon.path)
    assert done.returncode == quiet.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "? ring: this host is alone", "✗ multicast in on eth0: nobody is heard",
        "    set Peers=", "✓ version: no other version is heard"]
    assert b"version" not in quiet.stdout


def test_doctor_is_content_with_warnings():
    with Daemon({"Doctor": [{"checks": CHECKS["checks"][:1]}]}) as daemon:
        done = control("--json", "doctor", socket_path=daemon.path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["checks"] == CHECKS["checks"][:1]


def test_every_warning_of_status_stands_first():
    status = {**STATUS, "warnings": ["the disk is nearly full: make room", "node9 has failed"]}
    with Daemon({"Status": [{"status": status}]}) as daemon:
        lines = control("status", socket_path=daemon.path).stdout.decode().splitlines()
    assert [line.strip() for line in lines[:2]] == [
        "Warning: the disk is nearly full: make room", "Warning: node9 has failed"]
