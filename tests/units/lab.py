"""Hosts that real systemd boots, on one bridge.

Everything of a lab (mounts, network, processes) is in namespaces and in one cgroup of its own,
under a process that ends with this one. Names carry the process id of the test run: two runs do
not collide, and what a killed run left behind is found and removed by the next."""

import itertools
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading

from base import Impossible
from machine import PATIENCE, Machine

PREFIX = "ringunits"

_serial = itertools.count(1)


def cgroup_root():
    """Where cgroups of the second version are mounted on this machine; None: nowhere."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return pathlib.Path(fields[4])
    return None


def why_impossible():
    """A reason why this machine cannot boot such hosts, or None."""
    if os.geteuid() != 0:
        return "hosts with systemd need root"
    if cgroup_root() is None:
        return "no cgroup2 is mounted"
    try:
        probe = cgroup_root() / f"{PREFIX}-{os.getpid()}-try"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"no cgroup can be made: {error}"
    done = subprocess.run(["unshare", "-m", "-n", "-C", "-p", "-i", "-u", "--fork", "--mount-proc",
                           "sh", "-ec", "mount --make-rprivate /; ip link add lan type bridge"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"no namespaces of its own: {done.stderr.strip()}"
    return None


def remove_cgroup(path):
    """Ends every process in it, frozen ones too, and removes it."""
    if not path.exists():
        return
    (path / "cgroup.kill").write_text("1")
    await_empty(path)
    for directory, _, _ in os.walk(path, topdown=False):
        os.rmdir(directory)


def await_empty(cgroup):
    """Returns when nothing is left in the cgroup and below."""
    with open(cgroup / "cgroup.events", encoding="ascii") as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            assert poll.poll(PATIENCE * 1000), f"{cgroup} does not empty"
            events.seek(0)


def remove_leftovers():
    """Removes what test runs left whose process is gone."""
    for path in [*cgroup_root().glob(f"{PREFIX}-*"),
                 *pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}-*")]:
        match = re.match(PREFIX + r"-(\d+)-", path.name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            if (path / "cgroup.procs").exists():
                remove_cgroup(path)
            else:
                shutil.rmtree(path, ignore_errors=True)


class Lab:
    """Makes hosts on one network. `lowers` are the directories that their root is laid over."""

    def __init__(self, lowers):
        name = f"{PREFIX}-{os.getpid()}-{next(_serial)}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.directory.chmod(0o755)
        self.cgroup = cgroup_root() / name
        self.cgroup.mkdir()
        self.machines = {}
        self.holder = subprocess.Popen(
            ["unshare", "-m", "-n", "-C", "-p", "-i", "-u", "--fork", "--mount-proc",
             "--kill-child", "--", "bash", str(pathlib.Path(__file__).with_name("holder")),
             str(self.directory), ":".join(str(lower) for lower in lowers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            preexec_fn=lambda: (self.cgroup / "cgroup.procs").write_text("0"))
        if self.holder.stdout.readline() != "ready\n":
            self.close()
            raise Impossible("the lab's namespaces could not be made")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        """Tells a machine that it is off."""
        for line in self.holder.stdout:
            _, number, status = line.split()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(f"OFF={status}".encode(), str(self.directory / f"notify{number}"))

    def tell(self, *words):
        self.holder.stdin.write(" ".join(words) + "\n")

    def make(self, kind=""):
        """The next machine, not booted. Of kind "unplugged" it boots without a network; of kind
        "building" it has the programs of the machine that the tests run on."""
        number = len(self.machines) + 1
        self.machines[number] = Machine(self, number, kind)
        return self.machines[number]

    def boot(self, count):
        """More machines, booted together."""
        made = [self.make() for _ in range(count)]
        for machine in made:
            machine.start()
        for machine in made:
            machine.await_boot()
        return made

    def inside(self):
        """Words to put before a command that is to run on the lab's own network."""
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        return ["nsenter", "-t", children.read_text().split()[0], "-m", "-n", "--"]

    def close(self):
        for machine in self.machines.values():
            machine.close()
        self.holder.stdin.close()
        remove_cgroup(self.cgroup)
        self.holder.wait(PATIENCE)
        self.holder.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)
