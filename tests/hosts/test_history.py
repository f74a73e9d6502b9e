"""The history of a ring: what is imported, what is removed, and readers of all kinds."""

import json
import re
import signal
import threading
import time

import pytest
from client import PATIENCE, CallFailed
from host import SANITIZED
from ring import await_ring, await_same_history, start_together


def send_lines(host, count, prefix):
    text = "".join(f"{prefix} {number}\n" for number in range(count)).encode()
    host.control("send", "--each-line", text=text)


def export(host):
    return host.control("export").stdout


def test_what_one_host_imports_reaches_every_member(lab):
    *ring, other = lab.make_hosts(4)
    other.start("--ring", "other")
    send_lines(other, 2000, "imported")
    backup = export(other)
    start_together(ring)
    send_lines(ring[1], 200, "said before")
    writing = threading.Thread(target=send_lines, args=(ring[2], 500, "said meanwhile"))
    writing.start()
    done = json.loads(ring[0].control("-j", "import", "-", text=backup).stdout)
    assert done == {"imported": 2000, "known": 0, "refused": 0}
    writing.join(PATIENCE)
    history = await_same_history(ring)
    assert set(backup.splitlines()) <= set(history.splitlines())
    assert sum(b"said" in line for line in history.splitlines()) == 700
    # Again, at another member, and nothing happens.
    done = json.loads(ring[1].control("-j", "import", "-", text=backup).stdout)
    assert done == {"imported": 0, "known": 2000, "refused": 0}


def test_how_far_a_repair_is_can_be_seen_at_both_ends(lab):
    count = 10000
    deadline = time.monotonic() + PATIENCE
    old, new = lab.make_hosts(2)
    old.start()
    send_lines(old, count, "before the other came")
    new.start()
    came, lacking, totals = {0}, {0}, []
    with old.client() as giver, new.client() as taker:
        while not (max(came) > 0 and giver.call("Status")["status"]["messages"] ==
                   taker.call("Status")["status"]["messages"]):
            lacking.add(giver.call("Status")["status"]["lacking"])
            status = taker.call("Status")["status"]
            if status["missing"] > 0 and status["repaired"] >= max(came):
                totals.append(status["repaired"] + status["missing"])
            came.add(status["repaired"])
            assert time.monotonic() < deadline, (sorted(lacking), sorted(came))
        assert 0 < max(lacking) <= count and len(lacking) > 2, sorted(lacking)
        assert 0 < max(came) <= count
        # As long as no pause has ended what was counted.
        assert totals and totals[0] == count and max(totals) <= count, totals
        while taker.call("Status")["status"]["repaired"]:
            assert time.monotonic() < deadline
        assert giver.call("Status")["status"]["lacking"] == 0


def test_systemd_is_told_how_far_a_repair_is(lab):
    count = 30000
    old, new = lab.make_hosts(2)
    old.start()
    send_lines(old, count, "before the other came")
    told = []
    new.launch()
    with new.notify:
        # First of the repair, then that it is over.
        for repairs in (True, False):
            while not (told and ("; history repair: " in told[-1]) == repairs):
                told += re.findall(r"^STATUS=(.*)$", new.notify.recv(4096).decode(), re.M)
    new.up.set()
    parts = re.findall(r"repair: (\d+) (?:of about (\d+) came|came so far)", " ".join(told))
    came = [int(number) for number, _ in parts]
    assert came and came == sorted(came) and 0 < came[-1] <= count, told
    # The last time that it is told all may have come.
    assert {total for number, total in parts if int(number) < count} <= {str(count)}, told
    assert re.fullmatch(rf"(leader of 2 members|member of 2, leader {old.name}), \d+ messages",
                        told[-1]), told


def test_import_is_for_administrators(lab):
    host, = lab.make_instances(1)
    host.start()
    done = host.control("import", "-", text=b"", user="nobody", check=False)
    assert done.returncode == 0  # nothing was asked of the daemon
    host.send("hello")
    done = host.control("import", "-", text=export(host), user="nobody", check=False)
    assert done.returncode == 1
    assert b"usermod" in done.stderr


# ---- retention ----

def await_count(host, condition):
    """Waits until the number of messages that the host has is so; returns it."""
    with host.client() as client:
        for _ in range(20 * PATIENCE):
            count = client.call("Status")["status"]["messages"]
            if condition(count):
                return count
            # Nobody announces what is removed: this is answered after a moment.
            with pytest.raises(CallFailed):
                client.call("Wait", members=99, timeout_usec=50000)
    raise AssertionError(f"{host.name} has {count} messages")


def test_each_host_keeps_what_it_wants_and_cuts_nobody_off(lab):
    hosts = lab.make_hosts(3)
    hosts[1].configure("[History]\nRetentionBytes=400K\n")
    start_together(hosts)
    hosts[0].send("the first")
    cursor = json.loads(hosts[1].control("-j", "tail", "-n", "1").stdout)["cursor"]
    send_lines(hosts[0], 3000, "a line of some length " + "z" * 200)
    count = await_count(hosts[1], lambda messages: messages < 1500)
    assert count > 100
    history = await_same_history([hosts[0], hosts[2]])
    kept = hosts[1].history()
    assert history.endswith(kept)
    # What is gone does not come back, not after a restart either.
    hosts[1].terminate()
    hosts[1].start()
    await_ring(hosts)
    hosts[0].send("after the restart")
    await_count(hosts[1], lambda messages: messages <= count + 10)
    assert hosts[0].history().endswith(hosts[1].history())
    # A cursor from before goes on with the oldest that is left.
    before = [message["id"] for message in hosts[1].messages()]
    lines = hosts[1].control("-j", "tail", "--after", cursor).stdout.splitlines()
    shown = [json.loads(line)["id"] for line in lines]
    left = [message["id"] for message in hosts[1].messages()]
    # The last of what is too much may go meanwhile.
    assert len(left) > 100 and before[-len(shown):] == shown and shown[-len(left):] == left
    # A new host gets everything, whoever its neighbours are.
    hosts[2].terminate()
    hosts[2].forget_history()
    hosts[2].start()
    await_ring(hosts)
    await_same_history([hosts[0], hosts[2]])
    assert len(hosts[2].messages()) > 3000


def test_old_messages_go_by_their_age(lab):
    host, = lab.make_instances(1)
    host.start()
    send_lines(host, 1000, "old")
    host.terminate()
    host.configure("[History]\nRetentionSec=1ms\n")
    host.start()
    host.send("the newest stays, as the order goes on from there")
    await_count(host, lambda messages: messages == 1)
    assert host.control("history", "-g", "old").stdout == b""
    host.send("and the one after that")
    await_count(host, lambda messages: messages == 1)


# ---- readers ----

def memory_of(host):
    with open(f"/proc/{host.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


def test_ten_readers_of_which_half_are_stopped(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    hosts[0].send("before")
    tails = [hosts[0].tail("-n", "1") for _ in range(10)]
    for tail in tails:
        tail.wait_for_text("before")
    for tail in tails[:5]:
        tail.process.send_signal(signal.SIGSTOP)
    before = memory_of(hosts[0])
    send_lines(hosts[1], 12000, "w" * 900)
    hosts[1].send("after")
    for tail in tails[5:]:
        tail.wait_for_text("after")
    # Five times 11 MB were not read.
    # A sanitizer keeps what was freed, and its own notes of it.
    assert memory_of(hosts[0]) - before < (768 if SANITIZED else 24) * 1024 * 1024
    assert len(hosts[0].members()["members"]) == 3
    for tail in tails[:5]:
        tail.process.send_signal(signal.SIGCONT)
        tail.wait_for_text("after")
    expected = [line["id"] for line in tails[9].messages()]
    assert len(expected) >= 12002
    for tail in tails[:9]:
        assert [line["id"] for line in tail.messages()] == expected
