"""Links that are cut, in every pattern: both sides go on, and are one again afterwards, with all
that was acknowledged on either."""

import pytest
from flow import Flow, assert_tails
from ring import await_ring, leader_of, start_together


def leader(hosts):
    return leader_of(hosts)[0]


def plain_member(hosts):
    return leader_of(hosts)[1][1]


def number_of(host):
    return int(host.address.rpartition(".")[2])


def start_ring(lab, size):
    """A ring, its network, chat on each host, and what each host's tail shows from now on."""
    hosts = lab.make_hosts(size)
    start_together(hosts)
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, gap=0.002)
    flow.await_more(hosts, 5)
    return hosts, lab.networks[0], flow, tails


def settle(hosts, flow, tails):
    """The ring is whole again, nothing is lost, and everything is shown once, in order."""
    await_ring(hosts)
    flow.await_more(hosts, 5)
    assert not flow.errors
    flow.stop_and_check()
    assert_tails(tails)


@pytest.mark.parametrize("choose", [leader, plain_member])
@pytest.mark.parametrize("cut, heal", [("cut", "heal"), ("port_down", "port_up")])
def test_a_host_that_is_cut_off_silently_is_left_out_and_comes_back(lab, choose, cut, heal):
    hosts, net, flow, tails = start_ring(lab, 5)
    victim = choose(hosts)
    rest = [host for host in hosts if host is not victim]
    getattr(net, cut)(number_of(victim))
    await_ring(rest)
    await_ring([victim])
    flow.await_more(hosts, 5)
    getattr(net, heal)(number_of(victim))
    settle(hosts, flow, tails)


def test_a_ring_parted_into_two_and_three_chats_on_both_sides_and_heals(lab):
    hosts, net, flow, tails = start_ring(lab, 5)
    first, rest = leader_of(hosts)
    small, large = [first, rest[1]], [rest[0], rest[2], rest[3]]
    net.partition(*([number_of(host) for host in side] for side in (large, small)))
    for side in (large, small):
        await_ring(side)
    flow.await_more(hosts, 20)
    net.heal_all()
    settle(hosts, flow, tails)


def test_three_rings_merge_at_once(lab):
    hosts = lab.make_hosts(6)
    net = lab.networks[0]
    sides = [hosts[0::3], hosts[1::3], hosts[2::3]]
    net.partition(*([number_of(host) for host in side] for side in sides))
    for side in sides:
        start_together(side)
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, gap=0.002)
    flow.await_more(hosts, 20)
    net.heal_all()
    settle(hosts, flow, tails)


def test_a_member_that_hears_nobody_is_left_out_and_comes_back(lab):
    hosts, net, flow, tails = start_ring(lab, 4)
    deaf = plain_member(hosts)
    rest = [host for host in hosts if host is not deaf]
    net.deafen(number_of(deaf))
    await_ring(rest)
    await_ring([deaf])
    flow.await_more(hosts, 5)
    net.undeafen(number_of(deaf))
    settle(hosts, flow, tails)


def test_a_leader_that_nobody_hears_is_replaced_and_comes_back(lab):
    hosts, net, flow, tails = start_ring(lab, 4)
    dumb, rest = leader_of(hosts)
    for host in rest:
        net.deafen(number_of(host), number_of(dumb))
    await_ring(rest)
    await_ring([dumb])
    flow.await_more(hosts, 5)
    for host in rest:
        net.undeafen(number_of(host))
    settle(hosts, flow, tails)


def test_a_link_that_works_one_way_only_holds_up_nobody_else(lab):
    """A member does not hear its predecessor; both hear all others."""
    hosts, net, flow, tails = start_ring(lab, 5)
    _, [predecessor, deaf, *others] = leader_of(hosts)
    net.deafen(number_of(deaf), number_of(predecessor))
    flow.await_more(hosts, 20)
    net.undeafen(number_of(deaf))
    settle(hosts, flow, tails)
