"""A ring of real daemons, and floods through it."""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "hosts"))

import network  # noqa: E402
import processes  # noqa: E402
from host import BUILD, Host  # noqa: E402
from keyring import give_keys, make_key  # noqa: E402

RINGBENCH = BUILD / "tests" / "bench" / "ringbench"


def ringbench(*words):
    done = subprocess.run([RINGBENCH, *map(str, words)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"ringbench {words[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Ring:
    """`nodes` daemons with one key and one configuration, in a network of their own."""

    def __init__(self, directory, nodes, configuration=""):
        os.chmod(directory, 0o755)
        self.network = network.Network(nodes)
        self.nodes = nodes
        key = make_key()
        self.hosts = [give_keys(Host(directory, f"host{number}", self.network.inside(number)), key)
                      for number in self.network.hosts]
        for host in self.hosts:
            host.configure(configuration)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.abandon()
        self.network.close()

    def pids(self):
        return [host.process.pid for host in self.hosts]

    def pss_mib(self):
        return max(map(processes.pss_kib, self.pids())) / 1024

    def sockets(self):
        return [word for host in self.hosts for word in ("--socket", host.socket)]

    def flood(self, senders, size, seconds):
        """All of them as fast as it goes: ringbench's result, and what the daemons used."""
        usage = processes.Usage(self.pids())
        result = ringbench("flood", *self.sockets(), "--senders", senders, "--size", size,
                           "--seconds", seconds)
        cpu, switches = (used / max(result["messages"], 1) for used in usage.read())
        return {**result, "hosts": self.nodes, "pss_mib": round(self.pss_mib(), 1),
                "cpu_usec_per_message": round(cpu, 2), "switches_per_message": round(switches, 3)}
