"""Hosts as network namespaces on one bridge, with working IPv4 and IPv6 multicast.

The bridge lives in a namespace of its own, so nothing of it touches the machine's network. Every
name carries the process id of the test run: two runs do not collide, and what a killed run left
behind is found and removed by the next."""

import atexit
import itertools
import os
import re
import subprocess

PREFIX = "ringhosts"
SUBNET = "10.77.0"

_serial = itertools.count(1)


def _run(*command, text=None):
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout


def _namespaces():
    return [line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line.strip()]


def remove_leftovers():
    """Removes the namespaces of test runs whose process is gone."""
    for name in _namespaces():
        match = re.fullmatch(PREFIX + r"(\d+)-.*", name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def why_impossible():
    """A reason why this machine cannot make such networks, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"{PREFIX}{os.getpid()}-try"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "del", name)
    except FileNotFoundError:
        return "there is no ip command (package iproute2)"
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.strip()}"
    return None


class Network:
    """`size` hosts, numbered from 1, at 10.77.0.NUMBER on one bridge."""

    def __init__(self, size):
        base = f"{PREFIX}{os.getpid()}-{next(_serial)}"
        self.bridge = f"{base}b"
        self.hosts = {number: f"{base}h{number}" for number in range(1, size + 1)}
        atexit.register(self.close)
        self._make_bridge()
        for number, namespace in self.hosts.items():
            self._make_host(number, namespace)

    def _make_bridge(self):
        _run("ip", "netns", "add", self.bridge)
        # Without spanning tree, delay and snooping a port forwards at once, multicast included.
        _run("ip", "-n", self.bridge, "-batch", "-", text=(
            "".join(f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n"
                    f"link set {name} up\n" for name in ("lan", "lan1", "lan2"))))

    def _make_host(self, number, namespace):
        _run("ip", "netns", "add", namespace)
        # Without duplicate address detection the link-local address can be used at once.
        self.run(number, "sh", "-c", "for i in all default; do"
                 " echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done")
        _run("ip", "-n", self.bridge, "-batch", "-", text=(
            f"link add name p{number} type veth peer name eth0 netns {namespace}\n"
            f"link set p{number} master lan up\n"))
        # A default route without a gateway lets datagrams to a group out.
        _run("ip", "-n", namespace, "-batch", "-", text=(
            "link set lo up\n"
            f"addr add {SUBNET}.{number}/24 brd + dev eth0\n"
            "link set eth0 up\n"
            "route add default dev eth0\n"))

    @staticmethod
    def address(number):
        return f"{SUBNET}.{number}"

    def inside(self, number):
        """The words to put before a command that is to run on a host."""
        return ["nsenter", f"--net=/run/netns/{self.hosts[number]}", "--"]

    def run(self, number, *command, text=None):
        return _run(*self.inside(number), *command, text=text)

    def cut(self, number):
        """Nothing gets from or to the host any more, and nobody is told."""
        _run("ip", "-n", self.bridge, "link", "set", f"p{number}", "nomaster")

    def heal(self, number):
        _run("ip", "-n", self.bridge, "link", "set", f"p{number}", "master", "lan")

    def partition(self, *parts):
        """The hosts of each part (numbers) reach each other and nobody else; the first part stays
        where it is."""
        assert len(parts) <= 3
        _run("ip", "-n", self.bridge, "-batch", "-", text="".join(
            f"link set p{number} master lan{place or ''}\n"
            for place, part in enumerate(parts) for number in part))

    def heal_all(self):
        self.partition(self.hosts)

    def port_down(self, number):
        """The host's port of the bridge is switched off."""
        _run("ip", "-n", self.bridge, "link", "set", f"p{number}", "down")

    def port_up(self, number):
        _run("ip", "-n", self.bridge, "link", "set", f"p{number}", "up")

    def deafen(self, number, *senders):
        """Drops all that comes to the host from these ones (from everybody, without any), while
        what it sends goes out."""
        who = ", ".join(map(self.address, senders))
        rules = f"ip saddr {{ {who} }} drop\nmeta nfproto ipv6 drop" if senders else "drop"
        self.run(number, "nft", "-f", "-", text=(
            "table inet deaf {\n"
            " chain in { type filter hook input priority 0; iifname != eth0 accept;\n"
            f"{rules}\n"
            " }\n"
            "}\n"))

    def undeafen(self, number):
        self.run(number, "nft", "delete", "table", "inet", "deaf")

    def change_address(self, number, address):
        """The host loses its address and has another one of the same network."""
        _run("ip", "-n", self.hosts[number], "-batch", "-", text=(
            "addr flush dev eth0 scope global\n"
            f"addr add {address}/24 brd + dev eth0\n"
            "route replace default dev eth0\n"))

    def block_multicast(self, number):
        """Drops every multicast packet that the host would send or get on its network."""
        self.run(number, "nft", "-f", "-", text=(
            "table inet blocked {\n"
            " chain in { type filter hook input priority 0;"
            " iifname eth0 meta l4proto udp meta pkttype { multicast, broadcast } drop; }\n"
            " chain out { type filter hook output priority 0;"
            " oifname eth0 ip daddr 224.0.0.0/4 drop;"
            " oifname eth0 meta l4proto udp ip6 daddr ff00::/8 drop; }\n"
            "}\n"))

    def close(self):
        atexit.unregister(self.close)
        for namespace in [*self.hosts.values(), self.bridge]:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        self.hosts = {}
