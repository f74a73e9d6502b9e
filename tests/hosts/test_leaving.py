"""SIGTERM leaves the ring in good order."""

import pytest
from ring import await_ring, leader_of, start_together


def leader(hosts):
    return leader_of(hosts)[0]


def plain_member(hosts):
    return leader_of(hosts)[1][0]


@pytest.mark.parametrize("choose", [plain_member, leader])
def test_a_host_stopped_by_sigterm_is_shown_as_left_and_not_as_failed(lab, choose):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    leaver = choose(hosts)
    rest = [host for host in hosts if host is not leaver]
    tails = [host.tail("-n", "1", "--events") for host in rest]
    rest[0].send("the tails are there")
    for tail in tails:
        tail.wait_for_text("the tails are there")
    assert leaver.terminate() == 0
    await_ring(rest)
    rest[0].send("it has left")
    for tail in tails:
        tail.wait_for_text("it has left")
        events = [line for line in tail.lines if "event" in line]
        assert "left" in {event["event"] for event in events}
        assert "failed" not in {event["event"] for event in events}
    for host in rest:
        assert f"{leaver.name} left" in host.log_text()
        assert f"{leaver.name} failed" not in host.log_text()


def test_a_killed_host_is_shown_as_failed_and_not_as_left(lab):
    """The other side of it: the tests above can fail."""
    hosts = lab.make_hosts(3)
    start_together(hosts)
    victim, rest = hosts[1], [hosts[0], hosts[2]]
    victim.kill()
    await_ring(rest)
    for host in rest:
        assert f"{victim.name} left" not in host.log_text()
    assert any(f"{victim.name} failed" in host.log_text() for host in rest)


def test_the_last_host_leaves_in_good_order_too(lab):
    [host] = lab.make_hosts(1)
    host.start()
    host.send("the last word")
    assert host.terminate() == 0
    host.start()
    assert [message["text"] for message in host.messages()] == ["the last word"]
