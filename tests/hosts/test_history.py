"""The history of a ring: what is imported, what is removed, and readers of all kinds."""

import json
import threading

from client import PATIENCE
from ring import await_same_history, start_together


def send_lines(host, count, prefix):
    text = "".join(f"{prefix} {number}\n" for number in range(count)).encode()
    host.control("send", "--each-line", text=text)


def export(host):
    return host.control("export").stdout


def test_what_one_host_imports_reaches_every_member(lab):
    *ring, other = lab.make_hosts(4)
    other.start("--ring", "other")
    send_lines(other, 2000, "imported")
    backup = export(other)
    start_together(ring)
    send_lines(ring[1], 200, "said before")
    writing = threading.Thread(target=send_lines, args=(ring[2], 500, "said meanwhile"))
    writing.start()
    done = json.loads(ring[0].control("-j", "import", "-", text=backup).stdout)
    assert done == {"imported": 2000, "known": 0, "refused": 0}
    writing.join(PATIENCE)
    history = await_same_history(ring)
    assert set(backup.splitlines()) <= set(history.splitlines())
    assert sum(b"said" in line for line in history.splitlines()) == 700
    # Again, at another member, and nothing happens.
    done = json.loads(ring[1].control("-j", "import", "-", text=backup).stdout)
    assert done == {"imported": 0, "known": 2000, "refused": 0}


def test_import_is_for_administrators(lab):
    host, = lab.make_instances(1)
    host.start()
    done = host.control("import", "-", text=b"", user="nobody", check=False)
    assert done.returncode == 0  # nothing was asked of the daemon
    host.send("hello")
    done = host.control("import", "-", text=export(host), user="nobody", check=False)
    assert done.returncode == 1
    assert b"usermod" in done.stderr
