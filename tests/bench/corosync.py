"""Corosync daemons on the hosts of a network, to compare the ring with: each in a mount namespace
of its own, since a second one on a machine would take the first one's files."""

import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess

from host import end_with_the_test

# What of the file system each daemon has for itself.
OWN = ("/dev/shm", "/run", "/var/lib/corosync", "/var/log/corosync")

# Totem's settings for each way it may talk.
WAYS = {
    "encrypted": "transport: knet\ncrypto_cipher: aes256\ncrypto_hash: sha256\n",
    "knet": "transport: knet\ncrypto_cipher: none\ncrypto_hash: none\n",
    "udpu": "transport: udpu\n",
}


def is_installed():
    return shutil.which("corosync") is not None and all(map(os.path.isdir, OWN))


class Corosync:
    """A daemon on each host of `network`, which talk in the way of that name."""

    def __init__(self, directory, network, way, ringbench):
        self.ringbench = ringbench
        self.network = network
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.daemons = {}
        key = self.directory / "key"
        key.write_bytes(secrets.token_bytes(256))
        # A host without a network outside would wait for name servers that it cannot reach.
        self.resolver = self.directory / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\n")
        self.configuration = self.directory / "corosync.conf"
        nodes = "".join(
            f"node {{\nring0_addr: {network.address(number)}\nnodeid: {number}\n"
            f"name: host{number}\n}}\n" for number in network.hosts)
        self.configuration.write_text(
            f"totem {{\nversion: 2\ncluster_name: ringbench\nkeyfile: {key}\n{WAYS[way]}}}\n"
            f"nodelist {{\n{nodes}}}\n"
            "logging {\nto_stderr: no\nto_logfile: no\nto_syslog: no\n}\n")
        for number in network.hosts:
            self._start(number)

    def _start(self, number):
        mounts = " && ".join([*(f"mount -t tmpfs tmpfs {place}" for place in OWN),
                              f"mount --bind {self.resolver} /etc/resolv.conf"])
        self.daemons[number] = subprocess.Popen(
            [*self.network.inside(number), "unshare", "--mount", "sh", "-c",
             f"{mounts} && exec corosync -f -c {self.configuration}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=end_with_the_test)

    def pids(self):
        return [daemon.pid for daemon in self.daemons.values()]

    def _load(self, number, members, size, seconds, pipeline):
        return subprocess.Popen(
            [*self.network.inside(number), "nsenter", f"--target={self.daemons[number].pid}",
             "--mount", "--", str(self.ringbench), "cpg", "--nodes", str(members), "--size",
             str(size), "--seconds", str(seconds), "--pipeline", str(pipeline)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=end_with_the_test)

    def load(self, senders, size, seconds, pipeline=256):
        """Own deliveries a second of the first `senders` hosts together, and the first one's
        times; None if they do not form a ring."""
        loads = [self._load(number, senders, size, seconds, pipeline)
                 for number in list(self.network.hosts)[:senders]]
        results = []
        for load in loads:
            out, error = load.communicate()
            if load.returncode != 0:
                print(f"# corosync: {error.strip()}", flush=True)
                continue
            results.append(json.loads(out))
        if len(results) < senders:
            return None
        return {**results[0], "senders": senders,
                "messages": sum(result["messages"] for result in results),
                "rate": sum(result["rate"] for result in results)}

    def close(self):
        for daemon in self.daemons.values():
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        self.daemons = {}
