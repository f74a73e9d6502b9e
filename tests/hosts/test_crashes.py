"""kill -9 while messages flow: the rest goes on by itself, and nothing acknowledged is lost."""

import json

import pytest
from flow import Flow
from ring import await_everything, await_ring, await_same_history, leader_of, start_together


def plain_member(hosts):
    return [leader_of(hosts)[1][1]]


def leader(hosts):
    return [leader_of(hosts)[0]]


def both_neighbours_of_a_member(hosts):
    first, rest = leader_of(hosts)
    return [rest[0], rest[2]] if len(rest) > 2 else [first, rest[0]]


def leader_and_its_successor(hosts):
    first, rest = leader_of(hosts)
    return [first, rest[0]]


@pytest.mark.parametrize("choose", [
    plain_member, leader, both_neighbours_of_a_member, leader_and_its_successor])
def test_after_a_kill_the_rest_goes_on_and_nothing_acknowledged_is_lost(lab, choose):
    hosts = lab.make_hosts(5)
    start_together(hosts)
    flow = Flow(hosts)
    flow.await_more(hosts, 20)
    victims = choose(hosts)
    rest = [host for host in hosts if host not in victims]
    for victim in victims:
        victim.process.kill()
    for victim in victims:
        victim.kill()
    await_ring(rest)
    flow.await_more(rest, 20)
    acknowledged = set(flow.stop())
    assert {name for name, _ in flow.errors} <= {victim.name for victim in victims}

    await_everything(rest)
    assert len({host.history() for host in rest}) == 1
    assert acknowledged <= {message["text"] for message in rest[0].messages()}

    for victim in victims:
        victim.launch()
    for victim in victims:
        victim.await_ready()
    await_ring(hosts)
    await_everything(hosts, "all are back")
    await_same_history(hosts, rest[0])
    # A host greets the ring each time it joins, so only chat has to be unique.
    texts = [message["text"] for message in victims[0].messages() if message["kind"] == "chat"]
    assert acknowledged <= set(texts)
    assert len(texts) == len(set(texts))


def test_a_tail_goes_on_over_a_kill_and_a_restart_and_shows_everything_once(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    victim = hosts[2]
    tail = victim.tail("-n", "1000")
    hosts[0].send("before")
    tail.wait_for_text("before")
    victim.kill()
    await_ring(hosts[:2])
    hosts[0].send("while it is down")
    victim.start()
    await_ring(hosts)
    hosts[0].send("after")
    tail.wait_for_text("while it is down")
    tail.wait_for_text("after")
    ids = [message["id"] for message in tail.messages()]
    assert len(ids) == len(set(ids))


def test_what_a_killed_host_had_acknowledged_alone_comes_back_with_it(lab):
    hosts = lab.make_hosts(2)
    hosts[0].start()
    hosts[0].send("only here")
    hosts[0].kill()
    hosts[1].start()
    hosts[0].start()
    await_ring(hosts)
    history = await_same_history(hosts[1:], hosts[0])
    assert "only here" in [json.loads(line)["text"] for line in history.splitlines()]
