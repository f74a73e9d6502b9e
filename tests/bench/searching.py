"""When the index of words has what was flooded: daemons fill it behind their commits."""

import contextlib
import sqlite3
import threading
import time

# Origins are few, and each has few intervals of either kind.
MISSING = ("SELECT (SELECT total(last - first + 1) FROM held)"
           " - (SELECT total(last - first + 1) FROM indexed)")
DEADLINE = 300


def await_search(hosts):
    """Until each host's index has every message that the host holds: the seconds that took. The
    daemons are at rest then, so that nothing of theirs takes time from what is measured next."""
    begin = time.monotonic()
    for host in hosts:
        path = f"file:{host.state / 'history.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
            while database.execute(MISSING).fetchone()[0] > 0:
                assert time.monotonic() - begin < DEADLINE, f"{host.name} does not index"
                threading.Event().wait(0.02)
    return time.monotonic() - begin
