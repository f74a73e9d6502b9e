"""A restart of one member, and an upgrade, while the others chat."""

import json

from base import BUILD
from ringchat import SERVICE, await_ring, events_of, follow_events, start_ring

SENDER = ("i=0; while [ ! -e /run/enough ]; do"
          " ringchatctl --json send $(hostname)-$((i += 1)) || echo '{\"failed\": true}'; done")


class Load:
    """Each of the hosts sends one message after the other."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.senders = [host.follow("sh", "-c", SENDER) for host in hosts]

    def await_more(self, count=20):
        for sender in self.senders:
            sender.wait_for("members", len(sender.lines) + count)

    def longest_since(self, starts, restarted):
        """The longest that a message of another host took, s; `starts` as marks() gave them."""
        return max(json.loads(line)["elapsed_usec"]
                   for host, sender, start in zip(self.hosts, self.senders, starts)
                   if host is not restarted for line in sender.lines[start:]) / 1e6

    def marks(self):
        return [len(sender.lines) for sender in self.senders]

    def end(self):
        for host, sender in zip(self.hosts, self.senders):
            host.run("touch", "/run/enough")
            sender.process.wait(60)
            sender.reader.join(60)

    def assert_nothing_lost(self, everybody):
        for sender in self.senders:
            assert not [line for line in sender.lines if "failed" in line]
        texts = [host.texts() for host in everybody]
        assert all(text == texts[0] for text in texts)
        assert len(set(texts[0])) == len(texts[0])
        for host, sender in zip(self.hosts, self.senders):
            sent = [f"{host.name}-{number}" for number in range(1, len(sender.lines) + 1)]
            assert [text for text in texts[0] if text.startswith(f"{host.name}-")] == sent


def await_same_end(hosts, text):
    tails = [host.follow("ringchatctl", "tail", "-f", "-n", "1") for host in hosts]
    hosts[0].control("send", text)
    for tail in tails:
        tail.wait_for(text)
        tail.close()


def choose(hosts, leads):
    """The leader, or the first host that is not."""
    leaders = {member["name"]: member["leader"] for member in hosts[0].members()["members"]}
    return next(host for host in hosts if leaders[host.name] == leads)


def test_a_restart_under_load_costs_the_others_no_message_and_less_than_a_second(lab):
    """The others' longest is some hundredths of a second, on a machine with load beside too."""
    hosts = start_ring(lab, 5)
    tails = [follow_events(host) for host in hosts[:2]]
    load = Load(hosts)
    load.await_more(5)
    for leads in [True, False, True, False]:
        restarted = choose(hosts, leads)
        start = load.marks()
        restarted.systemctl("restart", SERVICE)
        load.await_more(10)
        restarted.control("-q", "wait", "--members", str(len(hosts)))
        load.await_more(10)
        assert load.longest_since(start, restarted) < 1
    load.end()
    await_same_end(hosts, "that was all")
    load.assert_nothing_lost(hosts)
    for tail in tails:
        tail.wait_for("that was all")
        assert "left" in events_of(tail) and "failed" not in events_of(tail)


def versions_of(host):
    return {member["name"]: member["version"] for member in host.members()["members"]}


def replace(host, program):
    """What a package does: the new program in the place of the old one, and a restart."""
    host.feed(BUILD / "daemon" / program, "sh", "-c", "cat >/usr/local/sbin/new && cd"
              " /usr/local/sbin && chmod 755 new && mv new ringchatd")
    host.systemctl("restart", SERVICE)


def test_an_upgrade_to_a_newer_wire_version_works_one_host_at_a_time_under_load(lab):
    hosts = start_ring(lab, 3)
    [old] = set(versions_of(hosts[0]).values())
    journals = [host.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
                for host in hosts]
    load = Load(hosts)
    load.await_more(5)
    for count, host in enumerate(hosts, 1):
        replace(host, "ringchatd-newer")
        await_ring(hosts)
        load.await_more(5)
        assert sorted(versions_of(hosts[0]).values()) == sorted(
            [old] * (len(hosts) - count) + [old + 1] * count)
    # All know the newer version now, and the ring speaks it; the last one came with it.
    for journal in journals[:2]:
        journal.wait_for(f"the ring speaks version {old + 1} of the protocol now")
    load.await_more(5)

    # And back: a host with the old program is taken in, and the ring speaks the old version.
    replace(hosts[0], "ringchatd")
    await_ring(hosts)
    for journal in journals[1:]:
        journal.wait_for(f"the ring speaks version {old} of the protocol now")
    load.await_more(5)
    load.end()
    await_same_end(hosts, "that was all")
    load.assert_nothing_lost(hosts)
