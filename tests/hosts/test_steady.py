"""A minute of rest, for several rings side by side: nobody who is alive is ever left out, whatever
heartbeats the members want, and who hangs for half of it comes back by himself."""

import threading

import pytest
from flow import Flow, assert_tails
from ring import await_ring, leader_of, start_together, view_of

MINUTE = 60
HANG = 30
SLOW = "[Ring]\nHeartbeatIntervalSec=5\nHeartbeatTimeoutSec=10\nLinkTimeoutSec=10\n"


def watch(host, seconds):
    """For that long the ring of the host must not change. Waiting for a member too many is a rest
    of exactly this length."""
    before = host.members()
    done = host.control("wait", "--members", "99", "--timeout", str(seconds), check=False,
                        timeout=2 * seconds)
    assert done.returncode == 4, done.stderr
    assert view_of(host.members()) == view_of(before), host.log_text()


class SideBySide:
    """Runs functions in threads and raises what the first of them raised."""

    def __init__(self):
        self.threads, self.failures = [], []

    def start(self, function, *arguments):
        self.threads.append(threading.Thread(target=self._run, args=(function, *arguments)))
        self.threads[-1].start()

    def _run(self, function, *arguments):
        try:
            function(*arguments)
        except BaseException as failure:
            self.failures.append(failure)

    def join(self):
        for thread in self.threads:
            thread.join()
        for failure in self.failures:
            raise failure


@pytest.fixture
def rings(lab):
    """Rings by name: all slow, the leader alone, a member alone, and one with the defaults of which
    a member is going to hang."""
    made = {name: lab.make_hosts(3) for name in ("all slow", "slow leader", "slow member")}
    made["hanging"] = lab.make_hosts(5)
    for host in made["all slow"]:
        host.configure(SLOW)
    for name in ("slow leader", "slow member"):
        made[name][0].configure(SLOW)
    for hosts in made.values():
        start_together(hosts)
    made["slow leader"][0].control("elect")
    made["slow member"][1].control("elect")
    for hosts in made.values():
        await_ring(hosts)
    return made


def hang_and_come_back(hosts):
    tails = [host.tail("-n", "0") for host in hosts]
    flow = Flow(hosts, steady=True, gap=0.05)
    flow.await_more(hosts, 5)
    _, [_, victim, *_] = leader_of(hosts)
    rest = [host for host in hosts if host is not victim]
    victim.pause()
    await_ring(rest)
    watch(rest[0], HANG)
    flow.await_more(rest, 5)
    victim.resume()
    await_ring(hosts)
    flow.await_more(hosts, 5)
    flow.stop_and_check()
    assert_tails(tails)
    assert f"{victim.name} failed" in rest[0].log_text()


def chat_and_stay(hosts):
    """One host chats, the others watch the ring."""
    flow = Flow(hosts[1:2], gap=0.05)
    watches = SideBySide()
    for host in hosts:
        watches.start(watch, host, MINUTE)
    watches.join()
    assert not flow.errors
    flow.stop_and_check(hosts)
    for host in hosts:
        assert "failed" not in host.log_text()
        assert "no heartbeat" not in host.log_text()


def test_rings_with_any_heartbeats_are_steady_for_a_minute_and_a_hung_member_comes_back(rings):
    assert leader_of(rings["slow leader"])[0] is rings["slow leader"][0]
    assert leader_of(rings["slow member"])[0] is rings["slow member"][1]
    work = SideBySide()
    work.start(hang_and_come_back, rings["hanging"])
    for name in ("all slow", "slow leader", "slow member"):
        work.start(chat_and_stay, rings[name])
    work.join()
