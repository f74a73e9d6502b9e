"""What several tests ask of a ring: that it forms, that it is one, that it chats meanwhile."""

import threading

from client import PATIENCE, CallFailed


def await_ring(hosts):
    """Waits until each of the hosts has a ring of all of them and of nobody else, and asserts that
    it is the same."""
    for host in hosts:
        host.wait("--members", str(len(hosts)))
        await_members(host, {other.name for other in hosts})
    views = [host.members() for host in hosts]
    assert len({view_of(view) for view in views}) == 1, views
    leaders = [member for member in views[0]["members"] if member["leader"]]
    assert len(leaders) == 1
    for host, view in zip(hosts, views):
        assert [member["name"] for member in view["members"] if member["self"]] == [host.name]
    return views[0]


def await_members(host, names):
    """Waits until the host's ring has exactly these members. `wait --members` is content with more,
    so the ring's events are what says that it is time to look again."""
    present = None
    with host.client() as events, host.client() as client:
        events.request("Tail", more=True, follow=True, events=True, lines=0)
        while True:
            try:
                events.reply()
            except TimeoutError:
                raise AssertionError(
                    f"{host.name} has a ring of {present}, not of {names}") from None
            present = {member["name"] for member in client.call("Members")["members"]}
            if present == names:
                return


def view_of(members):
    """The part of `members --json` that all hosts must agree on."""
    return (members["epoch"], members["view"], members["leader"],
            tuple((member["position"], member["id"], member["name"], member["address"],
                   member["leader"]) for member in members["members"]))


def start_together(hosts):
    for host in hosts:
        host.launch()
    for host in hosts:
        host.await_ready()
    return await_ring(hosts)


def leader_of(hosts):
    """The leader among the hosts, and the others in ring order behind it."""
    members = hosts[0].members()["members"]
    by_name = {host.name: host for host in hosts}
    start = next(place for place, member in enumerate(members) if member["leader"])
    in_order = [by_name[member["name"]] for member in members[start:] + members[:start]]
    return in_order[0], in_order[1:]


def await_everything(hosts, text="everything before this is delivered"):
    """Sends a last message and waits until each host shows it: by the agreed order, what was
    acknowledged before is delivered everywhere then."""
    tails = [host.tail("-n", "1") for host in hosts]
    hosts[0].send(text)
    for tail in tails:
        tail.wait_for_text(text)


def await_same_history(hosts, reference):
    """Waits until each host has the history of `reference`, byte for byte. What a repair brings is
    late news in a tail, so every line of the tail is a reason to look again."""
    wanted = reference.history()
    for host in hosts:
        tail = host.tail("-n", "1", "--events")
        seen = 0
        while True:
            history = host.history()
            if history == wanted:
                break
            seen = tail.wait_until(
                f"what is missing ({len(wanted)} bytes wanted, {len(history)} there)",
                lambda lines, seen=seen: len(lines) > seen and len(lines))
    return wanted


class Flow:
    """Chat that goes on until it is stopped: each host has a sender that sends its next message
    when the last is acknowledged. `acknowledged` are all texts for which a send returned
    success."""

    def __init__(self, hosts):
        self.acknowledged = []
        self.counts = {host.name: 0 for host in hosts}
        self.errors = []
        self.changed = threading.Condition()
        self.stopping = False
        self.threads = {host.name: threading.Thread(target=self._send, args=(host,), daemon=True)
                        for host in hosts}
        for thread in self.threads.values():
            thread.start()

    def _send(self, host):
        try:
            with host.client() as client:
                while not self.stopping:
                    text = f"{host.name} {self.counts[host.name]}"
                    client.call("Send", text=text)
                    with self.changed:
                        self.acknowledged.append(text)
                        self.counts[host.name] += 1
                        self.changed.notify_all()
        except (OSError, CallFailed) as error:
            with self.changed:
                self.errors.append((host.name, error))
                self.changed.notify_all()

    def await_more(self, hosts, count):
        """Waits until each of the hosts has had `count` more messages acknowledged."""
        with self.changed:
            goals = {host.name: self.counts[host.name] + count for host in hosts}
            done = self.changed.wait_for(
                lambda: all(self.counts[name] >= goal for name, goal in goals.items()), PATIENCE)
            assert done, f"chat does not go on: wanted {goals}, is {self.counts}, {self.errors}"

    def stop(self):
        self.stopping = True
        for thread in self.threads.values():
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a send does not return"
        return self.acknowledged
