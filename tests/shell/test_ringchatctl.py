"""ringchatctl against a daemon that answers as the test wants: texts, JSON, exit codes."""

import json

import pytest
from fake import MEMBERS, MESSAGE, STATUS, Daemon, control, on_a_terminal

SENT = {"id": MESSAGE["id"], "members": 5, "elapsed_usec": 1800}
CURSOR = "s=ab;h=1;o=cd;q=2;l=0"


def run(answers, *arguments, **options):
    with Daemon(answers) as daemon:
        done = control(*arguments, socket_path=daemon.path, **options)
    return done, daemon.calls


# ---- send ----

@pytest.mark.parametrize("arguments, text, sent", [
    (["send", "hi"], b"", "hi"),
    (["send", "two", "words"], b"never read", "two words"),
    (["send", "-"], b"from stdin\n", "from stdin"),
    (["send"], b"two\nlines\n\n", "two\nlines\n"),
    (["send", "--", "-x"], b"", "-x"),
    (["send", "grüße", "✓"], b"", "grüße ✓"),
])
def test_send_takes_words_or_the_whole_input_less_one_newline(arguments, text, sent):
    done, calls = run({"Send": [SENT]}, *arguments, text=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [call["parameters"]["text"] for call in calls] == [sent]


def test_send_passes_its_options_on():
    _, calls = run({"Send": [SENT]}, "send", "-r", "ops", "-t", "2.5", "--id", SENT["id"],
                   "--notice", "hi")
    assert calls[0]["parameters"] == {"text": "hi", "room": "ops", "kind": "notice",
                                      "id": SENT["id"], "timeout_usec": 2500000}


def test_send_json_is_the_reply():
    done, _ = run({"Send": [SENT]}, "-j", "send", "hi")
    assert json.loads(done.stdout) == SENT


def test_each_line_is_a_message():
    done, calls = run({"Send": [SENT]}, "--json", "send", "--each-line", text=b"a\nb\n\nc")
    assert done.returncode == 0
    assert [call["parameters"]["text"] for call in calls] == ["a", "b", "c"]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [SENT] * 3


@pytest.mark.parametrize("arguments, text, what", [
    (["send", ""], b"", b"empty"),
    (["send"], b"", b"empty"),
    (["send", "-"], b"a\0b", b"NUL"),
    (["send", "-"], b"\xff", b"UTF-8"),
    (["send", "-t", "soon", "hi"], b"", b"seconds"),
    (["send", "--each-line", "word"], b"", b"standard input"),
    (["tail", "-n", "many"], b"", b"number"),
    (["tail", "word"], b"", b"no arguments"),
    (["history", "-x"], b"", b"unknown option"),
    (["wait", "--members", "0"], b"", b"number"),
    (["status", "all"], b"", b"unexpected"),
    (["elect", "host1", "host2"], b"", b"unexpected"),
    (["elect", "--now"], b"", b"unknown option"),
    (["--json=loud", "status"], b"", b"short or pretty"),
    (["--color=red", "status"], b"", b"auto, always or never"),
    (["dance"], b"", b"unknown verb"),
])
def test_wrong_usage_is_told_and_nothing_is_asked(arguments, text, what):
    done, calls = run({}, *arguments, text=text)
    assert done.returncode == 2
    assert what in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert calls == []


def test_the_nearest_verb_is_suggested():
    done = control("membres")
    assert done.returncode == 2
    assert b'did you mean "members"?' in done.stderr


@pytest.mark.parametrize("error, parameters, code, what", [
    ("TimedOut", {"id": SENT["id"], "stored": True}, 4, SENT["id"].encode()),
    ("TimedOut", {"id": SENT["id"], "stored": False}, 1, b""),
    ("NotInRing", {}, 1, b"ringchatctl join"),
    ("Busy", {}, 1, b"try again"),
    ("IdConflict", {"id": SENT["id"]}, 1, SENT["id"].encode()),
    ("StoreBroken", {}, 1, b"journalctl"),
    ("TextTooLong", {"size": 99, "limit": 50}, 1, b"MaxMessageBytes"),
    ("PermissionDenied", {"user": "bob", "group": "ringchat-admin"}, 1, b"usermod"),
    ("SomethingNew", {}, 1, b"SomethingNew"),
])
def test_errors_of_the_daemon_are_one_line_and_an_exit_code(error, parameters, code, what):
    done, _ = run({"Send": [("org.ringchat." + error, parameters)]}, "send", "hi")
    assert done.returncode == code
    assert done.stdout == b""
    assert what in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_without_a_daemon_the_error_says_how_to_start_it(tmp_path):
    done = control("send", "hi", socket_path=str(tmp_path / "control"))
    assert done.returncode == 3
    assert done.stderr == (b"ringchatctl: ringchatd is not running; start it with: systemctl start "
                           b"ringchatd\n")


def test_the_socket_is_found_by_the_environment():
    with Daemon({"Status": [{"status": STATUS}]}) as daemon:
        done = control("--json", "status", environment={"RINGCHAT_SOCKET": daemon.path})
    assert json.loads(done.stdout) == STATUS


# ---- tail and history ----

def test_tail_shows_messages_with_a_line_for_the_day():
    answers = [{"message": MESSAGE, "late": False, "cursor": CURSOR},
               {"message": {**MESSAGE, "text": "two\nlines", "room": "ops"}, "late": True,
                "cursor": CURSOR},
               {"event": {"event": "failed", "node": "host3", "time": MESSAGE["sent"]}},
               {"cursor": CURSOR}]
    done, calls = run({"Tail": answers}, "tail", "-n", "5", "--events")
    assert done.returncode == 0
    day, first, second, rest, event = done.stdout.decode().splitlines()
    assert day.startswith("-- ") and "2026" in day
    assert first.endswith(" alice@host1  hi")
    assert second.endswith(" alice@host1 #ops (late)  two")
    assert rest.strip() == "lines"
    assert event.endswith("-- host3 failed")
    assert calls[0]["parameters"] == {"lines": 5, "events": True}
    assert calls[0]["more"] is True


def test_tail_json_is_a_message_a_line_with_cursor():
    done, _ = run({"Tail": [{"message": MESSAGE, "late": False, "cursor": CURSOR},
                            {"cursor": CURSOR}]}, "--json", "tail")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {**MESSAGE, "late": False, "cursor": CURSOR}]


class Fading(Daemon):
    """Goes away in the middle of its first stream, and refuses the second."""

    def _answer(self, connection, call):
        super()._answer(connection, call)
        self.answers["Tail"] = [("org.ringchat.CursorStale", {})]
        raise ConnectionError


def test_a_tail_that_follows_resumes_behind_its_cursor():
    with Fading({"Tail": [{"message": MESSAGE, "late": False, "cursor": CURSOR}]}) as daemon:
        daemon.always_continues = True
        done = control("--json", "tail", "-f", "-n", "1", socket_path=daemon.path)
    assert [call["parameters"] for call in daemon.calls] == [
        {"lines": 1, "follow": True}, {"after": CURSOR, "follow": True}]
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [MESSAGE["id"]]
    assert done.returncode == 1
    assert b"without --after" in done.stderr


def test_history_is_the_same_bytes_as_the_messages():
    done, _ = run({"History": [{"messages": [MESSAGE, MESSAGE]}, {"messages": []}]}, "--json",
                  "history", "-n", "2")
    assert done.stdout.decode().splitlines() == [json.dumps(MESSAGE, separators=(",", ":"))] * 2


OTHER_ID = "9be1c0de-350c-4487-909b-4f8a627b4334"


def test_hosts_of_one_name_are_told_apart_beside_their_messages():
    members = {**MEMBERS, "members": [{**MEMBERS["members"][0], "name": "host1~d1a9",
                                       "id": MESSAGE["origin"]},
                                      {**MEMBERS["members"][0], "name": "lone"}]}
    lone = {**MESSAGE, "node": "lone", "origin": MEMBERS["leader"]}
    answers = {"Members": [members], "Tail": [{"message": MESSAGE, "cursor": CURSOR}],
               "History": [{"messages": [MESSAGE, lone]}]}
    tail, _ = run(answers, "tail")
    history, _ = run(answers, "history")
    assert tail.stdout.decode().endswith(" alice@host1~d1a9  hi\n")
    assert [line.split()[1] for line in history.stdout.decode().splitlines()[1:]] == [
        "alice@host1~d1a9", "alice@lone"]


def test_a_host_that_went_long_ago_is_told_apart_once_its_messages_are_seen():
    twin = {**MESSAGE, "origin": OTHER_ID}
    done, _ = run({"History": [{"messages": [MESSAGE, twin, MESSAGE]}]}, "history")
    assert [line.split()[1] for line in done.stdout.decode().splitlines()[1:]] == [
        "alice@host1", "alice@host1~9be1", "alice@host1~d1a9"]


REPAIRED = {"event": {"event": "repaired", "time": 1795465868402494, "epoch": 2, "messages": 30}}


def test_a_large_repair_is_one_line_for_who_watches_and_whole_for_a_script():
    late = [{"message": {**MESSAGE, "text": f"old {number}"}, "late": True, "cursor": CURSOR}
            for number in range(30)]
    new = {"message": {**MESSAGE, "text": "new"}, "late": False, "cursor": CURSOR}
    with Daemon({"Tail": [*late[:20], new, *late[20:], {**REPAIRED}, *late[:1], new]}) as daemon:
        shown = on_a_terminal("tail", "-f", socket_path=daemon.path)
        whole = control("tail", "-f", socket_path=daemon.path)
    assert "old 9" in shown and "old 10" not in shown
    assert shown.count("old ") == 11 and shown.count("new") == 2
    assert "history repair has brought 30 older messages" in shown
    assert all(f"old {number}" in whole.stdout.decode() for number in range(30))


@pytest.mark.parametrize("hostile, shown", [
    ("\x1b[2J", "\\x1b[2J"), ("a\rb", "\\x0d"), ("\u202eevil", "\\u{202e}")])
def test_what_a_peer_wrote_cannot_drive_the_terminal(hostile, shown):
    message = {**MESSAGE, "text": hostile, "user": hostile, "node": hostile, "room": hostile}
    done, _ = run({"History": [{"messages": [message]}]}, "history")
    text = done.stdout.decode()
    assert hostile not in text
    assert text.count(shown) == 4


# ---- the rest ----

def test_members_are_a_table():
    done, _ = run({"Members": [MEMBERS]}, "members")
    heading, row, count = done.stdout.decode().splitlines()
    assert heading.split() == ["POSITION", "NAME", "ADDRESS", "ROLE", "SINCE", "HOP", "VERSION"]
    assert "host1" in row and "leader, this host" in row and "10.0.0.1:7263" in row
    assert count.startswith("1 member")


def test_members_without_legend_are_rows_only():
    done, _ = run({"Members": [MEMBERS]}, "--no-legend", "members")
    assert len(done.stdout.splitlines()) == 1


def test_members_json_is_the_reply():
    done, calls = run({"Members": [MEMBERS]}, "-j", "members", "--refresh")
    assert json.loads(done.stdout) == MEMBERS
    assert calls[0]["parameters"] == {"refresh": True}


@pytest.mark.parametrize("arguments", [[], ["status"]])
def test_status_shows_warnings_first(arguments):
    done, _ = run({"Status": [{"status": STATUS}]}, *arguments)
    lines = done.stdout.decode().splitlines()
    assert lines[0].strip() == "Warning: no key: make one"
    assert any("live, 1 member, led by host1" in line for line in lines)


def test_status_tells_how_far_a_repair_is_while_there_is_one():
    done, _ = run({"Status": [{"status": {**STATUS, "repaired": 120, "lacking": 7}}]}, "status")
    lines = [line.strip() for line in done.stdout.decode().splitlines()]
    assert "Repair: 120 older messages have come here so far" in lines
    assert "Repair: other members still want 7 messages from here" in lines
    done, _ = run({"Status": [{"status": {**STATUS, "repaired": 1200, "missing": 98800}}]},
                  "status")
    assert b"Repair: 1200 of about 100000 older messages have come here, 1%\n" in done.stdout
    done, _ = run({"Status": [{"status": STATUS}]}, "status")
    assert b"Repair" not in done.stdout


def test_json_pretty_is_spread_out():
    done, _ = run({"Status": [{"status": STATUS}]}, "--json=pretty", "status")
    assert len(done.stdout.splitlines()) > 10
    assert json.loads(done.stdout) == STATUS


def test_wait_returns_when_the_daemon_answers_and_4_when_time_is_up():
    done, calls = run({"Wait": [{"status": STATUS}]}, "wait", "--members", "3", "--leader", "host1",
                      "--timeout", "5")
    assert (done.returncode, done.stdout) == (0, b"")
    assert calls[0]["parameters"] == {"members": 3, "leader": "host1", "timeout_usec": 5000000}
    done, _ = run({"Wait": [("org.ringchat.NotYet", {"members": 1, "leader": "host1"})]}, "wait")
    assert done.returncode == 4


ELECTED = {"leader": STATUS["id"], "leader_name": "host1", "epoch": 7}


@pytest.mark.parametrize("arguments, asked", [
    (["elect"], {}),
    (["elect", "host1"], {"node": "host1"}),
    (["elect", "--", "-1"], {"node": "-1"}),
])
def test_elect_asks_for_a_node_or_for_this_one(arguments, asked):
    done, calls = run({"Elect": [ELECTED]}, *arguments)
    assert (done.returncode, done.stdout) == (0, b"host1 leads, epoch 7\n")
    assert [call.get("parameters", {}) for call in calls] == [asked]


def test_elect_json_is_the_reply():
    done, _ = run({"Elect": [ELECTED]}, "-j", "elect")
    assert json.loads(done.stdout) == ELECTED


@pytest.mark.parametrize("error, parameters, what", [
    ("NoSuchNode", {"node": "host9"}, b"host9; the names and ids are in: ringchatctl members"),
    ("AmbiguousNode", {"node": "host1", "ids": [STATUS["id"], SENT["id"]]}, SENT["id"].encode()),
    ("Abandoned", {}, b"ask again"),
])
def test_an_election_that_cannot_be_says_why(error, parameters, what):
    done, _ = run({"Elect": [("org.ringchat." + error, parameters)]}, "elect", "host1")
    assert (done.returncode, done.stdout) == (1, b"")
    assert what in done.stderr


def test_log_shows_and_sets_topics():
    done, calls = run({"Log": [{"topics": ["debug"]}]}, "log")
    assert done.stdout == b"debug\n"
    assert "parameters" not in calls[0] or not calls[0]["parameters"]
    _, calls = run({"Log": [{"topics": ["ring", "store"]}]}, "log", "ring", "store")
    assert calls[0]["parameters"] == {"topics": ["ring", "store"]}


def test_help_names_every_verb():
    verbs = control("--verbs").stdout.decode().split()
    help_text = control("help").stdout.decode()
    assert len(verbs) >= 10
    for verb in verbs:
        assert f"\n  {verb}" in help_text


def test_version_is_told():
    assert control("--version").stdout.startswith(b"ringchatctl ")
