"""What running processes use, as the kernel tells."""

import os
import pathlib
import shutil
import subprocess
import threading

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_usec(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


def pss_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def switches(pid):
    """How often the process' threads were given a processor."""
    return sum(int(line.split()[1])
               for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
               for line in status.read_text().splitlines() if "ctxt_switches" in line)


class Usage:
    """CPU time and context switches of processes, from the start to read()."""

    def __init__(self, pids):
        self.pids = list(pids)
        self.begin = self._now()

    def _now(self):
        return [sum(map(what, self.pids)) for what in (cpu_usec, switches)]

    def read(self):
        """What an average process has used since: CPU µs, switches."""
        return [(now - then) / len(self.pids) for now, then in zip(self._now(), self.begin)]


def calls_during(pids, file, action):
    """System calls of the processes during action(), which returns something: (calls, that). None
    where there is no strace."""
    if not shutil.which("strace"):
        return None
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(file)]
    with subprocess.Popen([*command, *(word for pid in pids for word in ("-p", str(pid)))],
                          stderr=subprocess.PIPE, text=True) as strace:
        for _ in pids:
            strace.stderr.readline()
        result = action()
        strace.terminate()
        strace.stderr.read()
    lines = [line.split() for line in pathlib.Path(file).read_text().splitlines()]
    return sum(int(line[0]) for line in lines if len(line) == 2 and line[1] != "total"
               and line[0].isdigit()), result


class Others:
    """What part of the machine's processors all other processes use, beside given ones."""

    def __init__(self):
        self.begin = self._now()

    @staticmethod
    def _now():
        text = pathlib.Path("/proc/stat").read_text()
        fields = list(map(int, text.split("\n", maxsplit=1)[0].split()[1:9]))
        return sum(fields), sum(fields) - fields[3] - fields[4]

    def busy(self):
        total, busy = (now - then for now, then in zip(self._now(), self.begin))
        return busy / max(total, 1)


def machine_is_busy(seconds=1):
    """The part of the processors' time that is used while nothing is measured."""
    others = Others()
    threading.Event().wait(seconds)
    return others.busy()
