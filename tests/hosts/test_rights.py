"""What a local user may do, and what no user can: be somebody else."""

import contextlib
import json
import os
import pathlib
import re
import sqlite3

import pytest
from client import CallFailed
from keyring import give_keys, make_key

INTERFACE = (pathlib.Path(__file__).parents[2] / "common/ringchat.varlink").read_text()

# Every privileged verb, with what it would do.
PRIVILEGED = [["elect"], ["leave"], ["join"], ["log", "debug"], ["key", "generate"],
              ["key", "show"], ["key", "add"], ["key", "use", "00000000"],
              ["key", "remove", "00000000"], ["key", "list"], ["import", "-"]]

# A message in the name of another.
FORGED = {"id": "01890000-0000-7000-8000-000000000001", "seq": "1-1", "node": "host1",
          "origin": "00000000-0000-0000-0000-000000000001", "user": "root", "kind": "chat",
          "order": "0000000000000001" "00000000000000000000000000000001" "0000000100000001",
          "room": "main", "text": "I am root", "sent": 1}

# What they read; the others a key.
INPUT = {"import": json.dumps(FORGED).encode() + b"\n"}

# The same as methods: those that the interface gives to administrators.
METHODS = {"Elect": {}, "Leave": {}, "Join": {}, "Log": {"topics": ["debug"]}, "KeyList": {},
           "KeyShow": {}, "KeyGenerate": {}, "KeyAdd": {"key": make_key()},
           "KeyUse": {"id": "00000000"}, "KeyRemove": {"id": "00000000"},
           "Import": {"messages": [FORGED]}}


@pytest.fixture(scope="module")
def host(module_lab):
    [made] = module_lab.make_hosts(1)
    give_keys(made, make_key())
    return made.start()


def state(host):
    """What a privileged verb could have changed."""
    status = host.json("status")
    return (status["state"], status["leader"], host.json("log")["topics"],
            (host.state / "keyring").read_text(), status["messages"])


def test_the_list_of_privileged_methods_is_whole():
    """What the interface text says is for administrators, down to "all that follow"."""
    said = set(re.findall(r"(?:^#.*\n)*^# .*\b[Ff]or administrators\.\nmethod (\w+)", INTERFACE,
                          re.M)) | set(re.findall(r"^method (Key\w+)", INTERFACE, re.M)) | {"Log"}
    assert "Import" in said and said <= set(METHODS)


@pytest.mark.parametrize("verb", PRIVILEGED, ids=" ".join)
def test_who_is_no_administrator_is_told_which_group_it_takes(host, verb):
    before = state(host)
    done = host.control(*verb, user="nobody", text=INPUT.get(verb[0], make_key().encode()),
                        check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"ringchat-admin" in done.stderr and b"nobody" in done.stderr
    assert state(host) == before


def test_what_is_refused_as_an_import_is_a_message_that_root_may_import(lab):
    """Else the refusal would show nothing."""
    [host] = lab.make_hosts(1)
    give_keys(host, make_key()).start()
    with host.client() as client:
        assert client.call("Import", messages=[FORGED])["imported"] == 1


@pytest.mark.parametrize("method", METHODS)
def test_no_privileged_method_works_without_ringchatctl_either(host, method):
    before = state(host)
    with host.client(user="nobody") as client, pytest.raises(CallFailed) as failure:
        client.call(method, **METHODS[method])
    assert failure.value.name == "org.ringchat.PermissionDenied"
    assert failure.value.parameters["group"] == "ringchat-admin"
    assert state(host) == before


def test_who_is_not_in_the_group_does_not_even_connect(host):
    done = host.control("status", user="nobody", check=False)
    assert done.returncode == 0
    os.chmod(host.socket, 0o600)
    try:
        done = host.control("status", user="nobody", check=False)
        assert done.returncode == 1 and b"usermod -aG ringchat nobody" in done.stderr
    finally:
        os.chmod(host.socket, 0o660)


def test_a_message_is_its_callers_whatever_the_call_says(host):
    with host.client(user="nobody") as client:
        for field in ("user", "node", "origin", "sent"):
            with pytest.raises(CallFailed) as failure:
                client.call("Send", text="I am root", **{field: "root"})
            assert failure.value.name == "org.varlink.service.InvalidParameter"
        sent = client.call("Send", text="I am nobody")
    [message] = [message for message in host.messages() if message["id"] == sent["id"]]
    assert message["user"] == "nobody" and message["node"] == host.name
    assert not [message for message in host.messages() if message["text"] == "I am root"]


def test_anothers_message_cannot_be_taken_over_by_its_id(host):
    mine = host.json("send", "mine")["id"]
    with host.client(user="nobody") as client, pytest.raises(CallFailed) as failure:
        client.call("Send", text="mine", id=mine)
    assert failure.value.name == "org.ringchat.IdConflict"


def until_refused(host, stack, more, **call):
    """Opens connections and calls until one is refused; how many were taken, and the error."""
    for taken in range(2000):
        client = stack.enter_context(host.client(user="nobody"))
        try:
            if call:
                client.request(more=more, **call)
                client.reply()
            else:
                client.call("Status")
        except CallFailed as failure:
            return taken, failure
    raise AssertionError("nothing was ever refused")


@pytest.mark.parametrize("what", ["connections", "tails"])
def test_one_user_takes_no_more_than_its_share(host, what):
    call = {"method": "Tail", "follow": True, "lines": 0} if what == "tails" else {}
    with contextlib.ExitStack() as stack:
        taken, failure = until_refused(host, stack, True, **call)
        assert failure.name == "org.ringchat.QuotaExceeded"
        assert failure.parameters == {"what": what, "limit": taken}
        with host.client(user="daemon") as other:
            assert other.call("Send", text="others are not bothered")["members"] == 1
    # What is closed is given back.
    with host.client(user="nobody") as client:
        client.request("Tail", more=True, lines=1)
        assert client.reply()


def test_many_scripts_of_one_user_share_what_it_may_send(host):
    scripts, lines = 16, 256
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(host.client(user="nobody")) for _ in range(scripts)]
        for number, client in enumerate(clients):
            client.socket.sendall(b"".join(
                json.dumps({"method": "org.ringchat.Send",
                            "parameters": {"text": f"{number} {line}"}}).encode() + b"\0"
                for line in range(lines)))
        for client in clients:
            for _ in range(lines):
                assert client.reply()["members"] == 1
    texts = [message["text"] for message in host.messages() if " " in message["text"]
             and message["text"].split()[0].isdigit()]
    assert sorted(texts) == sorted(f"{number} {line}" for number in range(scripts)
                                   for line in range(lines))
    for number in range(scripts):
        mine = [text for text in texts if text.startswith(f"{number} ")]
        assert mine == [f"{number} {line}" for line in range(lines)]


# ---- what comes from peers is shown so that it drives nothing ----

# Escapes, a title, bells, carriage returns, overrides of direction, broken UTF-8 where it may be.
NASTY = "\x1b[31mred\x1b]0;title\x07\rback\x08\u202eover\u2066\u200b\x9b2J"


def test_nothing_from_a_peer_drives_a_terminal_or_the_log(lab):
    key = make_key()
    made = [give_keys(host, key) for host in lab.make_hosts(2)]
    reader, nasty = made
    nasty.arguments += ["--name", NASTY]
    for host in made:
        host.launch("--log", "debug chat")
    for host in made:
        host.await_ready()
    reader.wait("--members", "2")
    nasty.control("elect")
    with nasty.client() as client:
        client.call("Send", text=NASTY, room=NASTY)
    last = reader.send("the last one")
    reader.tail("-n", "2").wait_for_text("the last one")

    shown = [reader.control(*verb).stdout.decode() for verb in (
        ["members"], ["status"], ["ring"], ["history"], ["export"], ["rooms"],
        ["tail", "-n", "10", "--events"], ["log"], ["doctor"],
        ["wait", "--leader", reader.json("members")["leader"], "--timeout", "20"],
        ["elect", "host1"])]
    assert nasty.terminate() == 0
    reader.wait("--members", "1")
    events = reader.json("ring")["gone"]
    shown += [reader.control(*verb).stdout.decode() for verb in (
        ["ring"], ["--json", "ring"], ["--json", "history"], ["--json", "rooms"])]
    shown.append(reader.control("elect", NASTY + "x", check=False).stderr.decode())
    shown.append(reader.control("wait", "--leader", NASTY + "x", "--timeout", "0.1",
                                check=False).stderr.decode())
    shown += [host.log_text() for host in made]
    assert last["members"] == 2
    assert [gone["name"] for gone in events] == [NASTY]
    assert sum("\\x1b[31mred" in text for text in shown) >= 10
    # The joining, the leading, the messages and the going are in the log.
    assert reader.log_text().count("\\x1b[31mred") >= 4
    for text in shown:
        found = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", text)
        assert not found, (found, text[max(0, found.start() - 80):found.end() + 20])


def test_broken_utf8_in_a_peers_history_is_made_visible(lab):
    key = make_key()
    peer, reader = [give_keys(host, key) for host in lab.make_hosts(2)]
    peer.start().send("whole")
    assert peer.terminate() == 0
    with contextlib.closing(sqlite3.connect(peer.state / "history.db")) as database, database:
        done = database.execute("UPDATE message SET text = CAST(X'6865726520FF9B324AC328' AS TEXT)"
                                " WHERE text = 'whole'")
        assert done.rowcount == 1
    for host in (peer, reader):
        host.start()
    reader.tail("-f", "-n", "10").wait_for_text("here \ufffd\ufffd2J\ufffd(")
    shown = reader.control("history").stdout + reader.control("tail").stdout
    assert shown.count("here \ufffd\ufffd2J\ufffd(".encode()) == 2
    assert b"\xff" not in shown and b"\x9b" not in shown.replace(b"\xef\xbf\xbd", b"")


def test_json_carries_it_as_escapes(lab):
    [host] = lab.make_hosts(1)
    give_keys(host, make_key()).start()
    with host.client() as client:
        client.call("Send", text=NASTY)
    line = host.control("--json", "history", "-n", "1").stdout
    assert b"\x1b" not in line and b"\x07" not in line
    assert json.loads(line)["text"] == NASTY
