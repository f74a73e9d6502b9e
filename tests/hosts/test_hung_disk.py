"""A disk that hangs while its process answers every ping: the host leaves, and comes back with
it."""

import json
import os

import pytest
from flow import Flow
from host import BUILD, ENVIRONMENT
from ring import await_everything, await_ring, await_same_history, leader_of, start_together

LIBRARY = BUILD / "tests" / "hosts" / "libhang-disk.so"


def start_with_a_disk_that_may_hang(host):
    """Returns the path of the file whose presence makes the host's disk hang."""
    path = host.directory / "hang"
    checks = ENVIRONMENT["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
    host.launch(wrapper=["env", f"LD_PRELOAD={LIBRARY}", f"HANG_DISK={path}",
                         f"ASAN_OPTIONS={checks}"])
    host.await_ready()
    return path


def leader(hosts):
    return leader_of(hosts)[0]


def member(hosts):
    return leader_of(hosts)[1][0]


def messages_in_main(host):
    room, = (json.loads(line) for line in host.control("--json", "rooms").stdout.splitlines())
    assert room["name"] == "main"
    return room["messages"]


@pytest.mark.parametrize("choose", [leader, member])
def test_a_host_whose_disk_hangs_is_left_out_until_it_answers(lab, choose):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    victim = choose(hosts)
    rest = [host for host in hosts if host is not victim]
    assert victim.terminate() == 0
    hang = start_with_a_disk_that_may_hang(victim)
    await_ring(hosts)
    flow = Flow(rest)
    flow.await_more(rest, 20)
    messages = messages_in_main(victim)
    assert messages >= 20

    hang.touch()
    await_ring(rest)
    flow.await_more(rest, 20)
    done = victim.control("send", "this is not stored", check=False)
    assert done.returncode == 1 and b"disk" in done.stderr
    status = victim.json("status")
    assert status["state"] == "stalled"
    assert any("disk" in warning for warning in status["warnings"])
    # The table of rooms cannot be brought up to date: it is told as it is.
    assert messages_in_main(victim) >= messages

    os.unlink(hang)
    await_ring(hosts)
    acknowledged = set(flow.stop())
    assert not flow.errors
    await_everything(hosts)
    await_same_history([host for host in hosts if host is not rest[0]], rest[0])
    assert acknowledged <= {message["text"] for message in victim.messages()}
