"""What a tail that follows shows as it is delivered, against what the database has afterwards."""

import json
import pathlib
import signal
import time
import uuid

from client import PATIENCE
from flow import Flow, assert_tails
from host import SANITIZED
from ring import await_everything, await_ring, await_same_history, start_together

LONG = 16000  # near the most that a host sends unless it is told otherwise


def after(host, cursor):
    """What the host's tail shows from there to the end."""
    done = host.control("--json", "tail", "--after", cursor)
    return [json.loads(line) for line in done.stdout.splitlines()]


def make_ring(lab):
    """Three hosts that have told each other what they said before they met: nothing comes late."""
    hosts = lab.make_hosts(3)
    start_together(hosts)
    await_same_history(hosts)
    return hosts


def lines_from(tail, text):
    lines = tail.messages()
    return lines[[line["text"] for line in lines].index(text):]


def send_all_kinds(hosts, count):
    """Short and long texts, in rooms, notices; and some by one id at two hosts at once, so that
    they get two keys."""
    clients = [host.client() for host in hosts]
    for number in range(count):
        parameters = {"id": str(uuid.uuid4()), "timeout_usec": 0, "text": f"{number} " +
                      "e\u0301\n\U0001f600\"" * (LONG // 12 if number % 4 == 0 else 1)}
        if number % 3 == 0:
            parameters["room"] = "ops"
        if number % 5 == 0:
            parameters["kind"] = "notice"
        chosen = [clients[number % len(hosts)]]
        if number % 7 == 0:
            chosen.append(clients[(number + 1) % len(hosts)])
        for client in chosen:
            client.request("Send", **parameters)
        for client in chosen:
            client.reply()
    for client in clients:
        with client:
            pass


def test_a_tail_is_shown_at_once_what_the_database_has_after_a_kill(lab):
    hosts = make_ring(lab)
    host = hosts[0]
    hosts[1].send("before")
    tail, stopped = host.tail("-n", "1000"), host.tail("-n", "1000")
    for reader in tail, stopped:
        reader.wait_for_text("before")
    hosts[1].send("the first of all")
    for reader in tail, stopped:
        reader.wait_for_text("the first of all")
    stopped.process.send_signal(signal.SIGSTOP)
    send_all_kinds(hosts, 400)
    await_everything(hosts)
    stopped.process.send_signal(signal.SIGCONT)
    for reader in tail, stopped:
        reader.wait_for_text("everything before this is delivered")

    shown = lines_from(tail, "the first of all")
    assert len(shown) >= 402 and not any(line["late"] for line in shown)
    # One who could not keep up has read it from the database.
    assert lines_from(stopped, "the first of all") == shown
    host.kill()
    host.start()
    known = {line["id"] for line in shown}
    for place in 0, 1, len(shown) // 2, len(shown) - 2:
        stored = [line for line in after(host, shown[place]["cursor"]) if line["id"] in known]
        assert stored == shown[place + 1:]


def assert_cursors(host, shown, two_keys):
    """From each line a tail goes on with exactly the others behind it; late ones may then come
    sooner, and of two keys of one message the other one may be shown."""
    late = [place for place, line in enumerate(shown) if line["late"]]
    for place in {0, len(shown) // 2, len(shown) - 2, *late[:3], *late[-3:]}:
        rest = shown[place + 1:]
        stored = after(host, shown[place]["cursor"])[:len(rest)]
        assert len({line["id"] for line in stored}) == len(stored)
        assert {line["id"] for line in stored} == {line["id"] for line in rest}
        for is_late in False, True:
            ids = [[line["id"] for line in lines
                    if line["late"] == is_late and line["id"] not in two_keys]
                   for lines in (stored, rest)]
            assert ids[0] == ids[1]


def test_every_cursor_leads_to_what_was_shown_behind_it_over_a_cut_and_a_kill(lab):
    hosts = make_ring(lab)
    tails = [host.tail("-n", "0", "--events") for host in hosts]
    flow = Flow(hosts, steady=True, gap=0.002)
    flow.await_more(hosts, 20)
    lab.networks[0].partition([1], [2, 3])
    for side in hosts[:1], hosts[1:]:
        await_ring(side)
    two_keys = set()
    for number in range(5):
        message = str(uuid.uuid4())
        for host in hosts[0], hosts[2]:
            host.control("send", "--id", message, f"on both sides {number}")
        two_keys.add(message)
    flow.await_more(hosts, 20)
    lab.networks[0].heal_all()
    await_ring(hosts)
    flow.await_more(hosts, 20)
    flow.stop_and_check()
    assert_tails(tails)
    assert any(line["late"] for tail in tails for line in tail.messages())
    shown = [tail.messages() for tail in tails]
    for host, lines in zip(hosts, shown):
        assert_cursors(host, lines, two_keys)
    hosts[0].kill()
    hosts[0].start()
    assert_cursors(hosts[0], shown[0], two_keys)


def test_tails_that_begin_in_a_flood_miss_nothing_and_repeat_nothing(lab):
    hosts = make_ring(lab)
    flow = Flow(hosts)
    tails = [hosts[0].tail("-n", "3")]
    for _ in range(3):
        flow.await_more(hosts, 30)
        tails.append(hosts[0].tail("-n", "5"))
        cursor = tails[0].wait_until("a line", len) and tails[0].messages()[-1]["cursor"]
        tails.append(hosts[0].tail("--after", cursor))
        tails.append(hosts[0].tail("-n", "2", "-r", "main"))
    flow.await_more(hosts, 30)
    flow.stop()
    await_everything(hosts)
    for tail in tails:
        tail.wait_for_text("everything before this is delivered")
    history = [json.loads(line)["id"] for line in await_same_history(hosts).splitlines()]
    for tail in tails:
        ids = [line["id"] for line in tail.messages()]
        assert len(ids) > 3 and ids == history[-len(ids):]


def test_what_comes_late_while_a_tail_shows_its_lines_is_shown_once(lab):
    hosts = make_ring(lab)
    lab.networks[0].partition([1], [2, 3])
    for side in hosts[:1], hosts[1:]:
        await_ring(side)
    with hosts[0].client() as client:
        for number in range(200):
            client.call("Send", text=f"{number} {'y' * LONG}"[:LONG], timeout_usec=0)
    hosts[1].send("said apart")
    hosts[0].send("the last line")
    with hosts[0].client() as reader:
        reader.request("Tail", more=True, follow=True, lines=100000)
        shown = [reader.reply()]
        # It has no room for more until somebody reads.
        lab.networks[0].heal_all()
        await_ring(hosts)
        await_same_history(hosts)
        hosts[0].send("the end")
        while shown[-1].get("message", {}).get("text") != "the end":
            shown.append(reader.reply())
    shown = [reply for reply in shown if "message" in reply]
    history = [message["id"] for message in hosts[0].messages()]
    assert sorted(reply["message"]["id"] for reply in shown) == sorted(history)
    late = [reply["message"]["text"] for reply in shown if reply["late"]]
    assert late == ["said apart"]


def test_a_tail_shows_all_while_retention_removes_what_it_has_shown(lab):
    host, = lab.make_instances(1)
    host.configure("[History]\nRetentionBytes=400K\n")
    host.start()
    texts = [f"the first {'z' * 300}"]
    host.send(texts[0])
    tail = host.tail("-n", "1")
    tail.wait_for_text(texts[0])
    deadline = time.monotonic() + PATIENCE
    with host.client() as client:
        while client.call("Status")["status"]["messages"] > len(texts) - 1500:
            assert time.monotonic() < deadline, "retention removes nothing"
            for _ in range(100):
                texts.append(f"{len(texts)} {'z' * 300}")
                client.call("Send", text=texts[-1], timeout_usec=0)
            tail.wait_for_text(texts[-1])
    shown = tail.messages()
    assert [line["text"] for line in shown] == texts
    assert after(host, shown[-10]["cursor"]) == shown[-9:]


def test_a_tail_of_long_texts_that_is_not_read_takes_little_memory(lab):
    host, = lab.make_instances(1)
    host.configure("[History]\nMaxMessageBytes=1020K\n")
    host.start()
    host.send("before")
    cursor = json.loads(host.control("--json", "tail", "-n", "1").stdout)["cursor"]
    with host.client() as client:
        for number in range(48):
            client.call("Send", text=f"{number} {'x' * 1000000}", timeout_usec=0)
    before = host.memory()
    cursors = []
    for wanted in {"lines": 48}, {"lines": 48, "room": "main"}, {"after": cursor}:
        with host.client() as reader:
            reader.request("Tail", more=True, **wanted)
            shown = [reader.reply()]
            assert host.memory() - before < (512 if SANITIZED else 16) << 20
            while len(shown) < 48:
                shown.append(reader.reply())
        texts = [reply["message"]["text"] for reply in shown]
        assert [int(text.split()[0]) for text in texts] == list(range(48))
        cursors.append(shown[30]["cursor"])
    for cursor in cursors:
        assert [line["text"] for line in after(host, cursor)] == texts[31:]


def reads_of_the_loop(host):
    """How often the daemon's loop has read anything."""
    text = pathlib.Path(f"/proc/{host.process.pid}/task/{host.process.pid}/io").read_text("ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("syscr:"))


def test_what_is_delivered_is_shown_without_a_read_of_the_database(lab):
    host, = lab.make_instances(1)
    host.start()
    host.control("send", "-r", "ops", "the first")
    tails = [host.tail("-n", "1"), host.tail("-n", "1", "-r", "ops")]
    for tail in tails:
        tail.wait_for_text("the first")
    with host.client() as client:
        before = reads_of_the_loop(host)
        for number in range(300):
            client.call("Send", text=f"one by one {number}", room="ops")
        for tail in tails:
            tail.wait_for_text("one by one 299")
        # Its call, and that it is on disk: a look at the database takes some five more.
        assert reads_of_the_loop(host) - before < 300 * 4
