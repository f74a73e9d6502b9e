"""What several tests ask of a ring: that it forms, that it is one, that all have its history."""

from client import PATIENCE


def await_ring(hosts):
    """Waits until each of the hosts has a ring of all of them and of nobody else, and until it is
    the same; returns it."""
    names = {host.name for host in hosts}
    epoch = 0
    while True:
        views = [await_members(host, names, epoch) for host in hosts]
        epoch = max(view["epoch"] for view in views)
        if all(view["epoch"] == epoch for view in views):
            break
    assert len({view_of(view) for view in views}) == 1, views
    leaders = [member for member in views[0]["members"] if member["leader"]]
    assert len(leaders) == 1
    for host, view in zip(hosts, views):
        assert [member["name"] for member in view["members"] if member["self"]] == [host.name]
    return views[0]


def await_members(host, names, epoch=0):
    """Waits until the host's ring is live, has exactly these members, and is of that epoch or a
    later one; returns it. The ring's events say that it is time to look again."""
    present = None
    with host.client() as events, host.client() as client:
        events.request("Tail", more=True, follow=True, events=True, lines=0)
        while True:
            try:
                events.reply()
            except TimeoutError:
                raise AssertionError(
                    f"{host.name} has a ring of {present}, not of {names}") from None
            view = client.call("Members")
            present = {member["name"] for member in view["members"]}
            if present == names and view["epoch"] >= epoch:
                client.call("Wait", timeout_usec=PATIENCE * 1000000)
                return view


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


def await_same_history(hosts, *others):
    """Waits until all the hosts have the same history, byte for byte; returns it. What a repair
    brings is late news in a tail, so every line of one is a reason to look again."""
    hosts = [*hosts, *others]
    tails = [host.tail("-n", "1", "--events") for host in hosts]
    while True:
        seen = [len(tail.lines) for tail in tails]
        histories = [host.history() for host in hosts]
        if len(set(histories)) == 1:
            return histories[0]
        lines = [set(history.splitlines()) for history in histories]
        whole = set().union(*lines)
        behind = [place for place, part in enumerate(lines) if part != whole]
        assert behind, "the same messages are in different orders"
        place = behind[0]
        tails[place].wait_until(
            f"the {len(whole) - len(lines[place])} messages that it lacks",
            lambda lines, seen=seen[place]: len(lines) > seen)
