"""What may happen to the disk under a running daemon, and kill -9 at any moment."""

import contextlib
import os
import pathlib
import random
import re
import resource
import sqlite3
import subprocess
import threading
import uuid

import pytest
from client import PATIENCE, CallFailed, Client
from host import BUILD
from ring import await_ring, await_same_history, start_together

DISK_FAILS = 74  # EX_IOERR


@contextlib.contextmanager
def disk_of_its_own(host, size):
    """The host's state directory is a file system of that size, with what was in it."""
    before = {path.name: path.read_bytes() for path in host.state.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "ringchat-test",
                    str(host.state)], check=True)
    for name, content in before.items():
        (host.state / name).write_bytes(content)
        (host.state / name).chmod(0o600)
    try:
        yield
    finally:
        if host.runs():
            host.kill()
        subprocess.run(["umount", str(host.state)], check=True)


def remount(host, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(host.state)], check=True)


def write_until_it_ends(host, others):
    """Sends big messages elsewhere until that host's daemon has ended, and two more; returns what
    was acknowledged."""
    acknowledged = []
    with others[0].client() as client:
        for number in range(100000):
            if not host.runs():
                break
            reply = client.call("Send", text=f"{number} " + "x" * 8000)
            acknowledged.append(reply["id"])
        else:
            raise AssertionError("the disk is not full yet")
        for number in range(2):
            acknowledged.append(client.call("Send", text=f"after {number}")["id"])
    return acknowledged


def assert_held(host, acknowledged):
    assert set(acknowledged) <= {message["id"] for message in host.messages()}


def test_a_host_whose_disk_is_full_leaves_and_comes_back_when_there_is_room(lab):
    hosts = lab.make_hosts(3)
    with disk_of_its_own(hosts[1], "3m"):
        start_together(hosts)
        acknowledged = write_until_it_ends(hosts[1], [hosts[0], hosts[2]])
        assert hosts[1].process.wait(PATIENCE) == DISK_FAILS
        assert "make room on the disk" in hosts[1].log_text()
        await_ring([hosts[0], hosts[2]])
        # As long as there is no room it says so, and ends again.
        hosts[1].launch()
        if hosts[1].process.wait(PATIENCE) != DISK_FAILS:
            raise AssertionError(hosts[1].log_text())
        remount(hosts[1], "size=64m")
        hosts[1].start()
        await_ring(hosts)
        await_same_history(hosts)
        assert_held(hosts[1], acknowledged)
        assert hosts[1].terminate() == 0


def test_a_read_only_file_system_is_told_at_the_start(lab):
    host, = lab.make_instances(1)
    with disk_of_its_own(host, "16m"):
        host.start()
        host.send("kept")
        assert host.terminate() == 0
        remount(host, "ro")
        host.launch()
        assert host.process.wait(PATIENCE) == DISK_FAILS
        assert "make the file system writable" in host.log_text()
        remount(host, "rw")
        host.start()
        assert [message["text"] for message in host.messages()] == ["kept"]
        assert host.terminate() == 0


def test_a_disk_that_takes_no_more_writes_ends_the_daemon_and_nothing_is_acknowledged(lab):
    host, = lab.make_instances(1)
    host.start()
    host.send("kept")
    with host.client() as client:
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        with pytest.raises((CallFailed, ConnectionError)) as failure:
            client.call("Send", text="lost")
        if failure.type is CallFailed:
            assert failure.value.name == "org.ringchat.StoreBroken"
    assert host.process.wait(PATIENCE) == DISK_FAILS
    host.start()
    assert [message["text"] for message in host.messages()] == ["kept"]


@pytest.mark.parametrize("name", ["history.db", "history.db-wal"])
def test_a_deleted_file_ends_the_daemon_and_the_history_comes_back(lab, name):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    for number, host in enumerate(hosts):
        host.send(f"from {number}")
    before = hosts[1].json("status")["id"]
    (hosts[1].state / name).unlink()
    assert hosts[1].process.wait(PATIENCE) == DISK_FAILS
    assert "deleted or replaced" in hosts[1].log_text()
    await_ring([hosts[0], hosts[2]])
    hosts[0].send("meanwhile")
    hosts[1].start()
    await_ring(hosts)
    history = await_same_history(hosts)
    assert b"meanwhile" in history and b"from 1" in history
    if name == "history.db":
        assert hosts[1].json("status")["id"] != before


def spoil(path):
    """Overwrites the middle of the file, and leaves its first page alone."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        for page in range(2, size // 4096 - 1, 3):
            file.seek(page * 4096)
            file.write(b"spoiled " * 64)


@pytest.mark.parametrize("how", ["header", "pages"])
def test_a_damaged_database_is_set_aside_and_the_history_comes_back(lab, how):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    hosts[0].control("send", "--each-line",
                     text="".join(f"line {n} {'y' * 200}\n" for n in range(2000)).encode())
    before = hosts[1].json("status")["id"]
    await_same_history(hosts)
    # A kill, so that the next start looks at everything.
    hosts[1].kill()
    path = hosts[1].state / "history.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if how == "header":
        path.write_bytes(b"no database" + path.read_bytes()[11:])
    else:
        spoil(path)
    damaged = path.read_bytes()
    hosts[1].start()
    await_ring(hosts)
    await_same_history(hosts)
    aside, = (found for found in hosts[1].state.glob("history.db.damaged-*Z"))
    assert aside.read_bytes() == damaged
    assert str(aside) in hosts[1].log_text()
    assert hosts[1].json("status")["id"] != before


# ---- long texts in files of their own ----

def for_long_texts(hosts):
    for host in hosts:
        host.configure("[History]\nMaxMessageBytes=60K\n")
    return hosts


def is_enough_alone(message):
    """Whether the text of the message goes to the files beside the database even if there is no
    other long text in its commit: how many there are is a matter of the machine's speed."""
    return str(message)[-1] in "02468ace"


def long_text(message):
    return f"text of {message} " + "long " * (8000 if is_enough_alone(message) else 1600)


def in_texts(host):
    """How many messages have their texts in the files beside the database."""
    with contextlib.closing(sqlite3.connect(host.state / "history.db")) as database:
        return database.execute("SELECT count(*) FROM message WHERE long < 0").fetchone()[0]


def send_long_ones(host, count=300):
    lines = "".join(f"{long_text(number)}\n" for number in range(count))
    host.control("send", "--each-line", text=lines.encode())


def test_texts_that_are_deleted_end_the_daemon_and_come_back(lab):
    hosts = for_long_texts(lab.make_hosts(3))
    start_together(hosts)
    send_long_ones(hosts[0])
    await_same_history(hosts)
    assert in_texts(hosts[1]) >= sum(map(is_enough_alone, range(300)))
    for path in (hosts[1].state / "history.db-texts").iterdir():
        path.unlink()
    send_long_ones(hosts[0])
    assert hosts[1].process.wait(PATIENCE) == DISK_FAILS
    assert "deleted or replaced" in hosts[1].log_text()
    await_ring([hosts[0], hosts[2]])
    hosts[1].start()
    await_ring(hosts)
    assert len((await_same_history(hosts)).splitlines()) >= 600
    assert list(hosts[1].state.glob("history.db.damaged-*Z-texts"))


def recipe(host, copy):
    """The lines of the manual that make a copy of that host's history, and the one that names the
    files which must be in it."""
    page = (pathlib.Path(__file__).parents[2] / "man" / "ringchatd.8").read_text()
    page = page.replace("\\(aq", "'").replace("\\(dq", '"').replace("COPY", str(copy))
    make = re.search(r"^(cd /var/lib/ringchat\n(?:.+\n)+?)\.Ed", page, re.M)[1]
    look = re.search(r"^\.Ql (sqlite3 .* FROM segment,state')$", page, re.M)[1]
    return make.replace("/var/lib/ringchat", str(host.state)), look


def test_a_copy_made_as_the_manual_says_has_every_text(lab):
    host, = for_long_texts(lab.make_instances(1))
    host.start()
    acknowledged = Acknowledged()
    senders = [Sender(host, acknowledged, long_text) for _ in range(4)]
    for sender in senders:
        sender.up.set()
        sender.start()
    acknowledged.wait_for_more(1000)
    copy = host.directory / "copied" / "history.db"
    copy.parent.mkdir()
    make, look = recipe(host, copy)
    subprocess.run(["sh", "-e", "-c", make], check=True)
    acknowledged.wait_for_more(1000)
    before = list(acknowledged.ids)
    # Once more, in the place of that one.
    copy.unlink()
    subprocess.run(["sh", "-e", "-c", make], check=True)
    named = subprocess.run(["sh", "-c", look], check=True, stdout=subprocess.PIPE).stdout.decode()
    copied = os.listdir(host.directory / "copied" / "history.db-texts")
    assert named and set(named.split()) <= set(copied)
    acknowledged.wait_for_more(500)
    for sender in senders:
        sender.end()
    assert host.terminate() == 0
    assert in_texts(host) >= sum(map(is_enough_alone, acknowledged.ids)) > 1000
    host.forget_history()
    for path in (host.directory / "copied").iterdir():
        path.rename(host.state / path.name)
    host.start()
    assert "damaged" not in host.log_text()
    messages = host.messages()
    assert set(before) <= {message["id"] for message in messages}
    assert all(message["text"] == long_text(message["id"]) for message in messages)
    send_long_ones(host)
    assert len(host.messages()) == len(messages) + 300


def test_no_long_text_is_lost_by_a_kill_in_a_flood(lab):
    host, = for_long_texts(lab.make_instances(1))
    host.start()
    acknowledged = Acknowledged()
    senders = [Sender(host, acknowledged, long_text) for _ in range(4)]
    chance = random.Random(5)
    for sender in senders:
        sender.start()
    for _ in range(12):
        for sender in senders:
            sender.up.set()
        acknowledged.wait_for_more(chance.randrange(1, 400))
        kill_and_start(host, senders)
    end_after_one_more(senders, acknowledged)
    messages = all_acknowledged(host, acknowledged)
    assert all(message["text"] == long_text(message["id"]) for message in messages)
    assert in_texts(host) >= sum(map(is_enough_alone, acknowledged.ids)) > 100
    assert "damaged" not in host.log_text()
    assert host.terminate() == 0


# ---- kill -9 ----

# With sanitizers each start takes ten times as long.
KILLS = 40 if BUILD.name == "asan" else 220


class Sender(threading.Thread):
    """Keeps some sends under way, whatever happens to the daemon."""

    def __init__(self, host, acknowledged, text=lambda message: f"text of {message}"):
        super().__init__(daemon=True)
        self.text = text
        self.host = host
        self.acknowledged = acknowledged
        self.up = threading.Event()
        self.ended = False
        self.problem = None

    def run(self):
        while not self.ended:
            if self.up.wait(PATIENCE):
                with contextlib.suppress(ConnectionError, FileNotFoundError):
                    self.send()

    def end(self):
        self.ended = True
        self.join(PATIENCE)
        assert self.problem is None

    def send(self):
        with Client(self.host.socket) as client:
            waiting = []
            while not self.ended:
                while len(waiting) < 16:
                    message = str(uuid.uuid4())
                    client.request("Send", text=self.text(message), id=message)
                    waiting.append(message)
                try:
                    client.reply()
                except CallFailed as failure:
                    # A clean answer is allowed, a success without the message is not.
                    if failure.name != "org.ringchat.TimedOut":
                        self.problem = failure
                        return
                    waiting.pop(0)
                    continue
                self.acknowledged.add(waiting.pop(0))


class Acknowledged:
    """Ids that were acknowledged; lets a test wait for more of them."""

    def __init__(self):
        self.ids = []
        self.changed = threading.Condition()

    def add(self, message):
        with self.changed:
            self.ids.append(message)
            self.changed.notify_all()

    def wait_for_more(self, count):
        with self.changed:
            wanted = len(self.ids) + count
            assert self.changed.wait_for(lambda: len(self.ids) >= wanted, PATIENCE)


def kill_and_start(host, senders):
    host.kill()
    for sender in senders:
        sender.up.clear()
    host.notify.close()
    host.start()


def end_after_one_more(senders, acknowledged):
    for sender in senders:
        sender.up.set()
    acknowledged.wait_for_more(1)
    for sender in senders:
        sender.end()


def all_acknowledged(host, acknowledged):
    """The host's messages, which are what was acknowledged, and what else was sent, each once."""
    messages = host.messages()
    ids = [message["id"] for message in messages]
    assert len(ids) == len(set(ids))
    assert set(acknowledged.ids) <= set(ids)
    return messages


def test_no_acknowledged_message_is_lost_by_any_kill(lab):
    host, = lab.make_instances(1)
    host.start()
    host.send("the first")
    tail = host.tail("-n", "1")
    tail.wait_for_text("the first")
    acknowledged = Acknowledged()
    senders = [Sender(host, acknowledged) for _ in range(4)]
    chance = random.Random(4)
    for sender in senders:
        sender.start()
    for number in range(KILLS):
        for sender in senders:
            sender.up.set()
        if number % 10 == 9:
            # While it starts, before or after it is ready.
            host.kill()
            host.launch()
            for _ in range(chance.randrange(4)):
                with contextlib.suppress(ConnectionError, FileNotFoundError):
                    Client(host.socket).socket.close()
        else:
            acknowledged.wait_for_more(chance.randrange(150))
        kill_and_start(host, senders)
    end_after_one_more(senders, acknowledged)
    host.send("the end")
    tail.wait_for_text("the end")
    messages = all_acknowledged(host, acknowledged)
    assert len(acknowledged.ids) > KILLS
    assert all(message["text"] in ("the first", f"text of {message['id']}", "the end")
               for message in messages)
    # The tail was there all the time: it has each once, and what is not late in its order.
    shown = [line["id"] for line in tail.messages()]
    assert sorted(shown) == sorted(message["id"] for message in messages)
    assert [line["order"] for line in tail.messages() if not line["late"]] == sorted(
        line["order"] for line in tail.messages() if not line["late"])
