"""Hosts that are started find each other and become one ring."""

import pytest
from ring import await_ring, await_same_history, start_together


@pytest.mark.parametrize("size", [3, 5])
def test_hosts_started_together_become_one_ring_with_one_leader(lab, size):
    start_together(lab.make_hosts(size))


@pytest.mark.parametrize("size", [3, 5])
def test_hosts_started_one_by_one_become_one_ring_with_one_leader(lab, size):
    hosts = lab.make_hosts(size)
    for count, host in enumerate(hosts, 1):
        host.start()
        await_ring(hosts[:count])


def test_the_first_host_alone_is_a_working_ring_of_one(lab):
    [host] = lab.make_hosts(1)
    host.start()
    view = await_ring([host])
    assert view["leader"] == view["members"][0]["id"]
    assert host.send("is anybody here?")["members"] == 1
    assert [message["text"] for message in host.messages()] == ["is anybody here?"]


def test_a_host_shows_the_address_at_which_the_others_reach_it(lab):
    hosts = lab.make_hosts(3)
    view = start_together(hosts)
    addresses = {member["name"]: member["address"] for member in view["members"]}
    for host in hosts:
        assert host.address in addresses[host.name]


def test_a_message_of_a_ring_reaches_every_host_and_says_how_many(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    tails = [host.tail("-n", "1") for host in hosts]
    assert hosts[1].send("hello, ring")["members"] == 3
    for tail in tails:
        assert tail.wait_for_text("hello, ring")["node"] == "host2"


def test_histories_from_before_two_hosts_met_are_one_afterwards(lab):
    hosts = lab.make_hosts(2)
    lab.networks[0].cut(2)
    for host in hosts:
        host.start()
        assert host.send(f"{host.name} is alone")["members"] == 1
    lab.networks[0].heal(2)
    await_ring(hosts)
    await_same_history(hosts[1:], hosts[0])
    texts = [message["text"] for message in hosts[1].messages() if message["kind"] == "chat"]
    assert texts == ["host1 is alone", "host2 is alone"]
