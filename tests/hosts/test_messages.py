"""What is sent is what everybody gets: unchanged, once, and in one order."""

import collections
import threading

import pytest
from client import Client
from ring import await_everything, start_together

# Accounts that every Debian has.
USERS = ["root", "daemon", "bin", "games", "nobody"]

CONTENTS = {
    "one letter": "x",
    "the original's separator": "a|b||c|",
    "the original's commands": "@LIDER>>1 @LIST @EXIT FIM JOIN|1|2",
    "several lines": "first\nsecond\n\nfourth\n",
    "line ends of other systems": "a\r\nb\rc",
    "quotes and backslashes": "\"it's\" \\ \\\" \\n \\u0000 `x` $HOME %s %n",
    "spaces around": "  \t text \t ",
    "terminal control": "\x1b[31mred\x1b]0;title\x07\x08\x7f\x01",
    "Polish, Greek, Japanese, emoji": "zażółć γειά 日本語 🦆👩‍👩‍👧",
    "combining and right-to-left": "e\u0301 \u202eabc\u202c \u2028 \u2029 \ufeff",
    "the last code points": "\ud7ff\ue000\ufffd\uffff\U0010ffff",
    "JSON": '{"method":"org.ringchat.Send","parameters":{"text":"x"}}',
    "SQL and full-text syntax": "'); DROP TABLE message; -- NEAR(a b) \"x* AND",
    "16 KiB": "x" * 16384,
    "16 KiB in four-byte letters": "🦆" * 4096,
    "16 KiB of quotes and newlines": "\"\n" * 8192,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_text_arrives_on_the_other_host_as_it_was_sent(pair, content):
    sender, receiver = pair
    tail = receiver.tail("-n", "1")
    # ringchatctl takes one newline off the end of what it reads, as every line has one.
    sent = sender.send(content + "\n")
    message = tail.wait_until("the message", lambda lines: next(
        (line for line in lines if line["id"] == sent["id"]), None))
    assert message["text"] == content


@pytest.fixture(scope="module")
def pair(module_lab):
    hosts = module_lab.make_hosts(2)
    start_together(hosts)
    return hosts


class Burst(threading.Thread):
    """One user's messages on one host, one behind the other on one connection, all before the first
    answer is read."""

    def __init__(self, host, user, texts):
        super().__init__(daemon=True)
        self.host, self.user, self.texts = host, user, texts
        self.client = Client(host.socket, user)
        self.members = []
        self.error = None

    def run(self):
        try:
            with self.client:
                for text in self.texts:
                    self.client.request("Send", text=text)
                for _ in self.texts:
                    self.members.append(self.client.reply()["members"])
        except Exception as error:  # whatever it was, the test shows it
            self.error = error


def nasty_texts(host, user, count):
    contents = list(CONTENTS.values())
    return [f"{host.name} {user} {number} {contents[number % len(contents)]}"
            .encode()[:16384].decode(errors="ignore") for number in range(count)]


@pytest.mark.parametrize("size", [3, 5])
def test_1000_messages_from_all_hosts_at_once_are_the_same_history_everywhere(lab, size):
    hosts = lab.make_hosts(size)
    start_together(hosts)
    tails = [host.tail("-n", "1") for host in hosts]
    hosts[0].send("the tails are there")
    for tail in tails:
        tail.wait_for_text("the tails are there")

    each = -(-1000 // (size * len(USERS)))
    bursts = [Burst(host, user, nasty_texts(host, user, each)) for host in hosts for user in USERS]
    for burst in bursts:
        burst.start()
    for burst in bursts:
        burst.join()
        assert burst.error is None
        assert burst.members == [size] * each
    await_everything(hosts, "that was all")
    for tail in tails:
        tail.wait_for_text("that was all")

    histories = [host.history() for host in hosts]
    assert all(history == histories[0] for history in histories)
    messages = [message for message in hosts[0].messages() if message["kind"] == "chat"]
    assert_complete_and_in_order(messages, bursts)
    shown = [[message["id"] for message in tail.messages() if message["kind"] == "chat"]
             for tail in tails]
    assert all(ids == shown[0] for ids in shown)
    assert shown[0] == [message["id"] for message in messages]


def assert_complete_and_in_order(messages, bursts):
    assert len({message["id"] for message in messages}) == len(messages)
    assert [message["order"] for message in messages] == sorted(
        message["order"] for message in messages)
    by_sender = collections.defaultdict(list)
    for message in messages:
        by_sender[message["node"], message["user"]].append(message["text"])
    for burst in bursts:
        texts = by_sender[burst.host.name, burst.user]
        assert [text for text in texts if text in set(burst.texts)] == burst.texts
    assert len(messages) == sum(len(burst.texts) for burst in bursts) + 2


def test_a_message_too_long_for_the_limit_is_refused_and_nothing_is_stored(pair):
    host = pair[0]
    before = host.history()
    done = host.control("send", "-", text=b"x" * 16385, check=False)
    assert done.returncode == 1
    assert b"16384" in done.stderr or b"16 K" in done.stderr or b"16K" in done.stderr
    assert host.history() == before
