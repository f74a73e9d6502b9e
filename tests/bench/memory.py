"""A control group with little memory, for this process and all that it starts.

On a host that has been up for long, memory is full of cached files: what a daemon writes is cached
where something older was. On one that was just started, or a virtual machine that gives back what
it does not use, it goes to memory nobody has used yet, which can cost several times as much as the
write itself, and the same flood is slower from a moment on that has to do with neither daemon nor
load. So all that is measured is given as much memory as a small host has, full of a cached file."""

import contextlib
import os
import pathlib
import tempfile

CHUNK = 1 << 20


def _mounts():
    """(place, type, options) of each that is mounted."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        yield pathlib.Path(place), kind, options.split(",")


def _find():
    """The top of the hierarchy that limits memory, and the limit's name; None: there is none."""
    for place, kind, options in _mounts():
        if kind == "cgroup" and "memory" in options:
            return place, "memory.limit_in_bytes"
        control = place / "cgroup.subtree_control"
        if kind == "cgroup2" and control.exists() and "memory" in control.read_text().split():
            return place, "memory.max"
    return None


def _own(place, limit):
    """This process' control group below that place."""
    controller = "" if limit == "memory.max" else "memory"
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", maxsplit=2)
        if controller in controllers.split(","):
            return place / path.lstrip("/")
    return place


def _fill(file, size):
    for _ in range(size // CHUNK):
        file.write(bytes(CHUNK))
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def confined(size):
    """Yields whether all is confined to `size` bytes (0: not at all) from now on, cached files
    included. When it ends, nothing may run that was started within."""
    found = _find()
    if not found or size == 0:
        yield False
        return
    place, limit = found
    before, group = _own(place, limit), place / f"ringbench-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(size))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield False
        return
    try:
        with tempfile.TemporaryFile() as file:
            _fill(file, size)
            yield True
    finally:
        (before / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()
