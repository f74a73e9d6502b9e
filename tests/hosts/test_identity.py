"""Who a host is, and what time it has: whatever is wrong with that, the others take no harm, and
what is to be done about it is said."""

import collections
import contextlib
import json
import shutil
import sqlite3
import subprocess

import pytest
from client import PATIENCE
from flow import Flow, assert_chat, assert_tails, await_one_history
from host import DAEMON, ENVIRONMENT, FAKETIME, SANITIZED
from ring import await_members, await_ring, await_same_history, leader_of, start_together

HOUR = 3600

# Preloaded beside a sanitizer it ends some daemons with a futex error of its own.
needs_clocks = pytest.mark.skipif(SANITIZED or not FAKETIME.exists(),
                                  reason="there is no libfaketime, or a sanitizer beside it")


def id_of(host):
    return host.json("status")["id"]


def new_identity(host):
    return subprocess.run([str(DAEMON), "--new-identity", "--state", str(host.state)],
                          capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT,
                          check=False)


def copy_state(source, target):
    shutil.rmtree(target)
    shutil.copytree(source, target)


def advance_run(host):
    """As if the host were started some seconds later than it will be: in the same second as the
    original of its state it would give the same numbers."""
    with contextlib.closing(sqlite3.connect(host.state / "history.db")) as database:
        with database:
            database.execute("UPDATE state SET run = run + 60")


def assert_numbers_are_given_once(history):
    numbers = collections.Counter((message["origin"], message["seq"])
                                  for message in map(json.loads, history.splitlines()))
    assert max(numbers.values()) == 1


def test_an_older_backup_of_a_node_gets_back_what_it_lacks_and_doubles_no_number(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    node = hosts[1]
    backup = node.directory / "backup"
    node.send("before the backup")
    assert node.terminate() == 0
    shutil.copytree(node.state, backup)
    node.start()
    await_ring(hosts)
    texts = ["before the backup"] + [f"after the backup {number}" for number in range(5)]
    for text in texts[1:]:
        node.send(text)
    node.kill()
    await_ring([hosts[0], hosts[2]])
    copy_state(backup, node.state)
    node.start()
    await_ring(hosts)
    node.send("with the backup")
    history = await_one_history(hosts)
    assert_chat(history, [*texts, "with the backup"])
    assert_numbers_are_given_once(history)


def test_a_clone_stays_alone_says_why_and_joins_with_an_identity_of_its_own(lab):
    hosts = lab.make_hosts(3)
    original, other, clone = hosts
    start_together(hosts[:2])
    original.send("before the copy")
    assert original.terminate() == 0
    copy_state(original.state, clone.state)
    advance_run(clone)
    original.start()
    await_ring(hosts[:2])
    ring = other.members()["view"]

    clone.start()
    clone.client().call("Send", text="the copy takes messages", timeout_usec=0)
    await_warning(clone, "IDENTITY in ringchatd(8)")
    assert id_of(clone) == id_of(original)
    assert "two live hosts have the identity of" in clone.log_text()
    assert "the disk" not in clone.log_text()
    assert "two live hosts have the identity of host1" in original.log_text() + other.log_text()
    [warning] = [text for text in clone.json("status")["warnings"] if "IDENTITY" in text]
    assert "ringchatd --new-identity" in warning
    await_ring(hosts[:2])
    assert other.members()["view"] == ring
    for host in hosts[:2]:
        assert host.send(f"{host.name} goes on")["members"] == 2

    refused = new_identity(clone)
    assert refused.returncode == 1 and "another ringchatd uses this state directory" in \
        refused.stderr
    clone.terminate()
    done = new_identity(clone)
    assert done.returncode == 0, done.stderr
    clone.start()
    assert id_of(clone) in done.stdout
    assert id_of(clone) != id_of(original)
    await_ring(hosts)
    history = await_one_history(hosts)
    assert_chat(history, ["before the copy", "the copy takes messages"])
    assert_numbers_are_given_once(history)


def await_warning(host, text):
    """Waits until the host's status warns of it, which no event tells."""
    for _ in range(PATIENCE):
        warnings = host.json("status")["warnings"]
        if any(text in warning for warning in warnings):
            return
        host.control("wait", "--members", "9", "--timeout", "1", check=False)
    raise AssertionError(f"{host.name} warns of {warnings}")


def test_the_cursor_of_a_copied_node_is_not_taken_for_one_of_its_new_identity(lab):
    [host] = lab.make_hosts(1)
    host.start()
    host.send("shown")
    cursor = json.loads(host.control("--json", "tail", "-n", "1").stdout)["cursor"]
    assert host.terminate() == 0
    assert new_identity(host).returncode == 0
    host.start()
    assert [message["text"] for message in host.messages()] == ["shown"]
    done = host.control("tail", "--after", cursor, check=False)
    assert done.returncode == 1 and b"without --after" in done.stderr


def test_a_renamed_host_is_the_same_node_and_its_old_messages_keep_its_old_name(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    renamed = hosts[1]
    renamed.send("by the old name")
    identity = id_of(renamed)
    assert renamed.terminate() == 0
    renamed.name = "renamed"
    renamed.start()
    await_ring(hosts)
    renamed.send("by the new name")
    assert id_of(renamed) == identity
    history = await_one_history(hosts)
    names = {message["text"]: (message["origin"], message["node"])
             for message in map(json.loads, history.splitlines())}
    assert names["by the old name"] == (identity, "host2")
    assert names["by the new name"] == (identity, "renamed")


def test_a_host_with_another_address_joins_again(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    moved = hosts[1]
    identity = id_of(moved)
    assert moved.terminate() == 0
    lab.networks[0].change_address(2, "10.77.0.77")
    moved.start()
    await_ring(hosts)
    [shown] = [member for member in hosts[0].members()["members"] if member["id"] == identity]
    assert "10.77.0.77" in shown["address"]
    await_one_history(hosts)


# ---- clocks ----


def set_clocks(hosts, hours):
    for host, offset in zip(hosts, hours):
        host.set_clock(int(offset * HOUR))


@needs_clocks
def test_hosts_whose_clocks_are_hours_off_are_one_ring_with_one_order_and_a_warning(lab):
    hosts = lab.make_hosts(3)
    set_clocks(hosts, [0, 3, -5])
    start_together(hosts)
    tails = [host.tail("-n", "0") for host in hosts]
    for number in range(5):
        for host in hosts:
            host.send(f"{host.name} {number}")
    history = await_one_history(hosts)
    spoken = [message["text"] for message in map(json.loads, history.splitlines())
              if message["kind"] == "chat"][:15]
    assert spoken == [f"{host.name} {number}" for number in range(5) for host in hosts]
    sent = {message["node"]: message["sent"] for message in map(json.loads, history.splitlines())}
    assert sent["host2"] - sent["host3"] > 7 * HOUR * 1000000
    assert_tails(tails)
    assert any("the clock of" in warning for warning in hosts[0].json("status")["warnings"])
    doctor = json.loads(hosts[0].control("--json", "doctor", check=False).stdout)["checks"]
    off = [check for check in doctor if check["check"] == "clock"]
    assert len(off) == 2 and {check["result"] for check in off} == {"warning"}, off
    assert all("s off the leader's" in check["text"] and check["cure"] for check in off)


@needs_clocks
def test_clocks_that_are_stepped_back_and_forth_change_no_order_and_lose_nothing(lab):
    hosts = lab.make_hosts(3)
    set_clocks(hosts, [0, 0, 0])
    start_together(hosts)
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, gap=0.002)
    flow.await_more(hosts, 5)
    view = hosts[0].members()["view"]
    for hours in ([2, 0, -2], [-3, 0.5, 4], [0, -24 * 365, 24 * 365], [0, 0, 0]):
        set_clocks(hosts, hours)
        flow.await_more(hosts, 10)
    assert hosts[0].members()["view"] == view
    assert not flow.errors
    flow.stop_and_check()
    assert_tails(tails)


@needs_clocks
def test_a_host_restarted_with_its_clock_set_back_keeps_the_order(lab):
    hosts = lab.make_hosts(2)
    set_clocks(hosts, [0, 0])
    start_together(hosts)
    hosts[1].send("first")
    hosts[1].kill()
    await_ring(hosts[:1])
    set_clocks(hosts, [0, -48])
    hosts[1].start()
    await_ring(hosts)
    hosts[1].send("second")
    texts = [message["text"] for message in map(json.loads, await_one_history(hosts).splitlines())
             if message["kind"] == "chat"]
    assert texts[:2] == ["first", "second"]


@needs_clocks
def test_a_host_that_slept_for_an_hour_comes_back_with_what_it_was_sending(lab):
    """The monotonic clock does not run while a host sleeps, the wall clock does."""
    hosts = lab.make_hosts(3)
    set_clocks(hosts, [0, 0, 0])
    start_together(hosts)
    sleeper = leader_of(hosts)[1][0]
    rest = [host for host in hosts if host is not sleeper]
    flow = Flow(hosts, gap=0.002)
    flow.await_more(hosts, 5)
    sleeper.pause()
    set_clocks(hosts, [1, 1, 1])
    for host in rest:
        await_members(host, {other.name for other in rest})
    flow.await_more(rest, 20)
    sleeper.resume()
    await_ring(hosts)
    flow.await_more(hosts, 5)
    assert not flow.errors
    flow.stop_and_check()
    await_same_history(hosts)
