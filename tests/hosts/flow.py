"""Chat that goes on while things happen, and what must be true of it afterwards."""

import collections
import json
import threading
import uuid

from client import PATIENCE, CallFailed
from ring import await_same_history


class Flow:
    """Chat that goes on until it is stopped: each host has a sender that sends its next message
    when the last is acknowledged, and with `gap` that many seconds later. `acknowledged` are all
    texts for which a send returned success; `errors` are what ended a sender.

    With `steady` no sender ends: whatever becomes of its daemon, it sends the same message again,
    by the same id, until that is acknowledged."""

    def __init__(self, hosts, steady=False, gap=0):
        self.acknowledged = []
        self.counts = {host.name: 0 for host in hosts}
        self.errors = []
        self.steady, self.gap = steady, gap
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.hosts = hosts
        self.threads = {host.name: threading.Thread(target=self._send, args=(host,), daemon=True)
                        for host in hosts}
        for thread in self.threads.values():
            thread.start()

    def _send(self, host):
        message = None
        while not self.stopping.is_set():
            try:
                with host.client() as client:
                    while not self.stopping.is_set():
                        message = message or (str(uuid.uuid4()),
                                              f"{host.name} {self.counts[host.name]}")
                        client.call("Send", id=message[0], text=message[1], timeout_usec=0)
                        self._note(host, message[1])
                        message = None
                        self.stopping.wait(self.gap)
            except (OSError, CallFailed) as error:
                if not self.steady:
                    with self.changed:
                        self.errors.append((host.name, error))
                        self.changed.notify_all()
                    return
                # It is down, or about to be: until the test starts it again.
                self.stopping.wait(0.01)
                host.up.wait(PATIENCE)

    def _note(self, host, text):
        with self.changed:
            self.acknowledged.append(text)
            self.counts[host.name] += 1
            self.changed.notify_all()

    def await_more(self, hosts, count):
        """Waits until each of the hosts has had `count` more messages acknowledged."""
        with self.changed:
            goals = {host.name: self.counts[host.name] + count for host in hosts}
            done = self.changed.wait_for(
                lambda: all(self.counts[name] >= goal for name, goal in goals.items()), PATIENCE)
            assert done, f"chat does not go on: wanted {goals}, is {self.counts}, {self.errors}"

    def stop(self):
        self.stopping.set()
        for thread in self.threads.values():
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a send does not return"
        return self.acknowledged

    def stop_and_check(self, hosts=None):
        """Stops, and waits until each of the hosts (all of them) has everything that was
        acknowledged, once, in one order for all, each sender's as it was sent."""
        self.stop()
        history = await_one_history(hosts or self.hosts)
        assert_chat(history, self.acknowledged)


def assert_chat(history, acknowledged):
    """`history` are the bytes of one that has each acknowledged text once, and each sender's in
    the order sent."""
    texts = [message["text"] for message in map(json.loads, history.splitlines())
             if message["kind"] == "chat"]
    twice = [text for text, count in collections.Counter(texts).items() if count > 1]
    assert not twice, f"{len(twice)} messages are there twice: {twice[:10]}"
    lost = set(acknowledged) - set(texts)
    assert not lost, f"{len(lost)} acknowledged messages are lost: {sorted(lost)[:10]}"
    numbers = collections.defaultdict(list)
    for name, _, number in (text.rpartition(" ") for text in texts):
        if number.isdigit():
            numbers[name].append(int(number))
    for name, sent in numbers.items():
        assert sent == sorted(sent), f"the messages of {name} are not in the order sent"


def await_one_history(hosts):
    """Has each host send a last message, and waits until all have these, and the same history,
    byte for byte; returns it."""
    tails = [host.tail("-n", "1") for host in hosts]
    last = [f"the last of {host.name}, {uuid.uuid4()}" for host in hosts]
    for host, text in zip(hosts, last):
        host.send(text)
    for tail in tails:
        for text in last:
            tail.wait_for_text(text)
    return await_same_history(hosts)


def assert_tails(tails):
    """What each of the tails has shown is shown once, and all that is not late in its order."""
    for tail in tails:
        shown = tail.messages()
        twice = [key for key, count in
                 collections.Counter(message["id"] for message in shown).items() if count > 1]
        assert not twice, f"{tail.name}'s tail shows {len(twice)} messages twice"
        orders = [message["order"] for message in shown if not message["late"]]
        assert orders == sorted(orders), f"{tail.name}'s tail is not in order"
