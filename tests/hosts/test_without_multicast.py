"""Where multicast is blocked, hosts find each other through the peers they are told of."""

import pytest
from flow import Flow
from ring import await_everything, await_ring, await_same_history, leader_of, start_together


def blocked_hosts(lab, size):
    hosts = lab.make_hosts(size)
    for number in lab.networks[0].hosts:
        lab.networks[0].block_multicast(number)
    return hosts


def with_peer(hosts, peer):
    for host in hosts:
        if host is not peer:
            host.arguments += ["--peer", peer.address]
    return hosts


def test_without_multicast_and_without_peers_hosts_stay_alone(lab):
    """Shows that the other tests' network really blocks."""
    alone, other = blocked_hosts(lab, 2)
    alone.start()
    other.start()
    done = alone.control("wait", "--members", "2", "--timeout", "3", check=False)
    assert done.returncode == 4


@pytest.mark.parametrize("size", [3, 5])
def test_hosts_that_know_one_peer_become_one_ring(lab, size):
    hosts = blocked_hosts(lab, size)
    start_together(with_peer(hosts, hosts[0]))


def test_hosts_that_know_one_peer_and_start_one_by_one_become_one_ring(lab):
    hosts = blocked_hosts(lab, 3)
    with_peer(hosts, hosts[0])
    for count, host in enumerate(hosts, 1):
        host.start()
        await_ring(hosts[:count])


def test_a_peer_that_does_not_lead_sends_newcomers_to_its_leader(lab):
    hosts = blocked_hosts(lab, 3)
    with_peer(hosts[:2], hosts[0])
    start_together(hosts[:2])
    _, [follower] = leader_of(hosts[:2])
    hosts[2].arguments += ["--peer", follower.address]
    hosts[2].start()
    await_ring(hosts)


def test_peers_may_stand_in_the_configuration_file(lab):
    hosts = blocked_hosts(lab, 2)
    hosts[1].configure(f"[Ring]\nPeers={hosts[0].address}\n")
    start_together(hosts)


def test_a_killed_leader_is_replaced_without_multicast_too(lab):
    hosts = blocked_hosts(lab, 3)
    everybody = " ".join(host.address for host in hosts).split()
    for host in hosts:
        for address in everybody:
            host.arguments += ["--peer", address]
    start_together(hosts)
    flow = Flow(hosts)
    flow.await_more(hosts, 10)
    leader, rest = leader_of(hosts)
    leader.kill()
    for host in rest:
        host.wait("--members", "2")
    flow.await_more(rest, 10)
    acknowledged = flow.stop()
    leader.start()
    await_ring(hosts)
    await_everything(hosts)
    history = await_same_history(hosts[1:], hosts[0]).decode()
    assert all(f'"{text}"' in history for text in acknowledged)
