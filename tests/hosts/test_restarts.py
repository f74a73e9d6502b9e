"""Daemons that stop, crash, leave and come back while all hosts chat, once or again and again."""

import os
import random

from flow import Flow, assert_tails
from ring import await_members, await_ring, leader_of, start_together


def number_of(host):
    return int(host.address.rpartition(".")[2])


def test_a_rolling_restart_of_all_members_loses_nothing(lab):
    hosts = lab.make_hosts(5)
    start_together(hosts)
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, steady=True, gap=0.002)
    for host in hosts:
        flow.await_more(hosts, 5)
        assert host.terminate() == 0
        host.start()
        await_ring(hosts)
    flow.await_more(hosts, 5)
    flow.stop_and_check()
    assert_tails(tails)
    for host in hosts:
        for other in hosts:
            assert f"{other.name} failed" not in host.log_text()


def test_leave_and_join_under_load_lose_nothing(lab):
    hosts = lab.make_hosts(4)
    start_together(hosts)
    flow = Flow(hosts, steady=True, gap=0.002)
    for leaver in [leader_of(hosts)[0], leader_of(hosts)[1][1]]:
        rest = [host for host in hosts if host is not leaver]
        leaver.up.clear()
        assert leaver.json("leave")["state"] == "left"
        await_ring(rest)
        flow.await_more(rest, 5)
        history = leaver.history()
        done = leaver.control("send", "from outside", check=False)
        assert done.returncode == 1 and b"ringchatctl join" in done.stderr
        flow.await_more(rest, 5)
        assert leaver.history() == history
        leaver.control("join")
        leaver.up.set()
        await_ring(hosts)
    flow.await_more(hosts, 5)
    flow.stop_and_check()
    for host in hosts:
        for other in hosts:
            assert f"{other.name} failed" not in host.log_text()


def test_a_member_that_comes_and_fails_again_and_again_is_held_off(lab):
    """The first wait is none; each further one is twice as long. Meanwhile the others chat."""
    hosts = lab.make_hosts(3)
    rest, flapping = hosts[:2], hosts[2]
    start_together(rest)
    flow = Flow(rest, gap=0.002)
    for _ in range(3):
        flapping.start()
        for host in hosts:
            await_members(host, {other.name for other in hosts})
        flapping.kill()
        await_ring(rest)
        flow.await_more(rest, 5)
    flapping.start()
    await_ring(hosts)
    assert "an earlier merge did not hold" in flapping.log_text()
    assert not flow.errors
    flow.stop_and_check(hosts)


# ---- many faults in a row ----


class Chaos:
    """Faults of hosts, drawn at random, and each with its end."""

    def __init__(self, hosts, net, flow, draw):
        self.hosts, self.net, self.flow, self.draw = hosts, net, flow, draw
        self.story = []

    def crash(self, hosts):
        for host in hosts:
            host.kill()
        yield
        for host in hosts:
            host.launch()
        for host in hosts:
            host.await_ready()

    def stop(self, hosts):
        for host in hosts:
            assert host.terminate() == 0
        yield
        for host in hosts:
            host.start()

    def hang(self, hosts):
        for host in hosts:
            host.pause()
        yield
        for host in hosts:
            host.resume()

    def cut(self, hosts):
        for host in hosts:
            self.net.cut(number_of(host))
        yield
        for host in hosts:
            self.net.heal(number_of(host))

    def part(self, hosts):
        others = [host for host in self.hosts if host not in hosts]
        self.net.partition([number_of(host) for host in others],
                           [number_of(host) for host in hosts])
        yield
        self.net.heal_all()

    def deafen(self, hosts):
        for host in hosts:
            self.net.deafen(number_of(host))
        yield
        for host in hosts:
            self.net.undeafen(number_of(host))

    def play_one(self):
        """One fault of one or two hosts. The others chat through it; at its end the whole ring is
        waited for, or, as often, is not."""
        fault = self.draw.choice([self.crash, self.crash, self.crash, self.stop, self.hang,
                                  self.cut, self.part, self.deafen])
        victims = self.draw.sample(self.hosts, self.draw.choice([1, 1, 2]))
        rest = [host for host in self.hosts if host not in victims]
        steps = fault(victims)
        self.story.append((fault.__name__, [host.name for host in victims]))
        next(steps)
        self.flow.await_more(rest, 3)
        next(steps, None)
        if self.draw.random() < 0.5:
            await_ring(self.hosts)


def test_twenty_random_faults_in_a_row_lose_nothing(lab):
    """RINGCHAT_SEED plays a run again, as far as the machine's timing allows."""
    seed = int(os.environ.get("RINGCHAT_SEED", random.randrange(1 << 32)))
    hosts = lab.make_hosts(5)
    start_together(hosts)
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, steady=True, gap=0.005)
    chaos = Chaos(hosts, lab.networks[0], flow, random.Random(seed))
    print(f"RINGCHAT_SEED={seed}")
    try:
        for _ in range(20):
            chaos.play_one()
    finally:
        print("\n".join(f"{fault} {' '.join(names)}" for fault, names in chaos.story))
    await_ring(hosts)
    flow.await_more(hosts, 5)
    flow.stop_and_check()
    assert_tails(tails)
