"""Whatever a daemon passes on of its peers, no verb lets it drive the terminal."""

import copy
import json
import pathlib
import re
import subprocess

import pytest
from fake import CONTROL, MEMBERS, MESSAGE, STATUS, ManyClients, control, on_a_terminal
from live import DAEMON
from terminal import Terminal

# Colours, a title and a bell, carriage returns, what turns the direction of what is read, C1's CSI,
# what is not seen, and a tag.
HOSTILE = ("a\x1b[31mred\x1b]0;title\x07\rback\x08\u202eover\u2066\u200f\u200b\u2028"
           "\x7f\x9b2J\U000e0041")
SHOWN = "a\\x1b[31mred\\x1b]0;title\\x07\\x0dback\\x08\\u{202e}over\\u{2066}"

# None of these may reach a terminal. A newline ends a line.
DRIVING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e"
                     "\u2060-\u206f\ufeff\U000e0000-\U000e007f]")

GONE = {"event": "failed", "id": STATUS["id"][:-1] + "f", "name": "host9",
        "address": "10.0.0.9:7263", "time": 1795465868402494}
EVENT = {"event": "joined", "time": 1795465868402494, "epoch": 2, "node": "host2",
         "id": GONE["id"], "address": "10.0.0.2:7263", "members": 2}
ANSWERS = {
    "Status": [{"status": STATUS}],
    "Wait": [{"status": STATUS}],
    "Leave": [{"status": STATUS}],
    "Join": [{"status": STATUS}],
    "Members": [{**MEMBERS, "gone": [GONE], "warnings": ["no key: make one"]}],
    "Elect": [{"leader": STATUS["id"], "leader_name": "host1", "epoch": 3}],
    "Tail": [{"message": MESSAGE, "cursor": "c-1", "late": True},
             *({"event": {**EVENT, "event": event}, "cursor": "c-2"} for event in (
                 "joined", "left", "failed", "leader", "merged")), {"cursor": "c-2"}],
    "History": [{"messages": [MESSAGE, MESSAGE]}],
    "Rooms": [{"rooms": [{"name": "ops", "messages": 2, "last": 1795465868402494}]}],
    "Export": [{"messages": [MESSAGE]}],
    "Import": [{"imported": 0, "known": 0,
                "refused": [{"index": 0, "reason": "it is no message"}]}],
    "Doctor": [{"checks": [{"check": "multicast_in", "interface": "eth0", "result": result,
                            "text": "what was found", "cure": "what to do"}
                           for result in ("ok", "warning", "failed")]}],
    "Send": [{"id": MESSAGE["id"], "members": 1, "elapsed_usec": 1, "warning": "the clock is off"}],
    "Log": [{"topics": ["chat", "ring"]}],
    "KeyList": [{"keys": [{"id": "01234567", "used": True}], "path": "/keyring"}],
    "KeyShow": [{"id": "01234567", "key": "rck1_"}],
    "KeyGenerate": [{"id": "01234567", "used": True, "members": 1}],
}

# Every verb that shows something of an answer, as it is called, and the method.
VERBS = {
    "status": (["status"], "Status"), "members": (["members"], "Members"),
    "members --refresh": (["members", "--refresh"], "Members"), "ring": (["ring"], "Members"),
    "rooms": (["rooms"], "Rooms"), "tail": (["tail", "--events"], "Tail"),
    "history": (["history"], "History"), "export": (["export"], "Export"),
    "doctor": (["doctor"], "Doctor"), "elect": (["elect", "host1"], "Elect"),
    "wait": (["wait", "--members", "1"], "Wait"), "leave": (["leave"], "Leave"),
    "join": (["join"], "Join"), "log": (["log"], "Log"), "send": (["send", "hi"], "Send"),
    "import": (["import", "-"], "Import"), "key list": (["key", "list"], "KeyList"),
    "key show": (["key", "show"], "KeyShow"), "key generate": (["key", "generate"], "KeyGenerate"),
}
SILENT = {"wait", "leave", "join"}  # where nothing went wrong
ELSEWHERE = {"chat", "help"}        # below; shows nothing of an answer


def texts_of(value, path=()):
    """The paths to all texts in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, (dict, list)):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_of(below, (*path, key))


def with_hostile(answers, path):
    changed = copy.deepcopy(answers)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = HOSTILE
    return changed


def call(daemon, words):
    """What is shown where output is a terminal, and where it is none."""
    text = json.dumps(MESSAGE).encode() + b"\n" if "import" in words else b""
    done = control(*words, socket_path=daemon.path, text=text,
                   environment={"XDG_STATE_HOME": daemon.directory.name}.items())
    shown = (done.stdout + done.stderr).decode()
    if not text:
        shown += on_a_terminal(*words, socket_path=daemon.path).replace("\r\n", "\n")
    return shown


def assert_harmless(shown, where):
    found = DRIVING.search(shown)
    assert not found, (where, found, shown[max(0, found.start() - 80):found.end() + 20])


def test_no_verb_is_forgotten():
    known = {words[0] for words, _ in VERBS.values()} | ELSEWHERE
    assert set(control("--verbs").stdout.decode().split()) == known


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_of_an_answer_drives_the_terminal(verb, form):
    words, method = VERBS[verb]
    words = [*(["--json"] if form == "json" else []), "--no-pager", *words]
    seen = 0
    for path in texts_of(ANSWERS[method]):
        changed = {**ANSWERS, method: with_hostile(ANSWERS[method], path)}
        with ManyClients(changed) as daemon:
            shown = call(daemon, words)
        assert_harmless(shown, path)
        seen += SHOWN in shown or any_json_has_it(shown)
    assert seen > 0 or form == "text" and verb in SILENT


def any_json_has_it(shown):
    """What is written as an escape is the same text for who reads the JSON."""
    objects = [json.loads(line) for line in shown.split("\n") if line.startswith("{")]
    return any(value == HOSTILE for found in objects for value in values_of(found))


def values_of(value):
    for path in texts_of(value):
        found = value
        for key in path:
            found = found[key]
        yield found


def error_rows():
    """The errors of the table, with the fields that their sentences show, and one more."""
    table = pathlib.Path(__file__).parents[2] / "common" / "errors.def"
    rows = re.findall(r'ERROR\(\w+, "([\w.]+)", \d,\s*"((?:[^"\\]|\\.)*)"', table.read_text())
    assert len(rows) > 25
    return [(name, re.findall(r"{([a-z_]+)}", sentence)) for name, sentence in rows] + [
        (f"org.example.{HOSTILE}", [])]


def test_no_field_of_an_error_drives_the_terminal():
    for name, fields in error_rows():
        parameters = {field: [HOSTILE] if field == "ids" else HOSTILE for field in fields}
        with ManyClients({"Elect": [(name, parameters)]}) as daemon:
            shown = call(daemon, ["elect", "host1"])
        assert_harmless(shown, name)
        assert shown.count(SHOWN) == 2 * len(fields) or name.startswith("org.example")


@pytest.mark.parametrize("words", [["tail", "-n"], ["history", "--since"], ["elect", "a"],
                                   ["send", "--timeout"], ["status"], ["log"], ["help"], []])
def test_no_word_of_the_command_line_drives_the_terminal(words):
    """A script may have it from a message."""
    with ManyClients(ANSWERS) as daemon:
        assert_harmless(call(daemon, [*words, HOSTILE]), words)


# What either program says of an option that it does not take. The bytes are no UTF-8.
UNKNOWN = [(b"--\x1b]0;x\x07\xff", rb'unknown option "--\x1b]0;x\x07\xff"'),
           (b"-\x9b", rb'unknown option "-\x9b"')]


@pytest.mark.parametrize("program, word, told", [
    *((program, *row) for program in ("ringchatctl", "ringchatd") for row in UNKNOWN),
    ("ringchatctl", b"--no-", b'"--no-" may be --no-legend or --no-pager'),
    ("ringchatctl", b"--quiet=\x1b", b"--quiet takes no value"),
    ("ringchatctl", b"--socket", b"--socket needs a value"),
    ("ringchatd", b"--c", b'"--c" may be --config or --check'),
    ("ringchatd", b"--check=\x1b", b"--check takes no value"),
    ("ringchatd", b"--listen", b"--listen needs a value"),
])
def test_no_option_before_a_verb_drives_the_terminal(program, word, told):
    path = {"ringchatctl": CONTROL, "ringchatd": DAEMON}[program]
    done = subprocess.run([path, word], capture_output=True, check=False)
    name = program.encode()
    assert done.stderr == name + b": " + told + b"; see " + name + b" --help\n"
    assert done.returncode == 2 and not done.stdout


def test_no_setting_of_the_command_line_drives_the_terminal(tmp_path):
    for option, word in (("--config", f"{tmp_path}/{HOSTILE}"), ("--listen", HOSTILE)):
        done = subprocess.run([DAEMON, "--check", option, word], capture_output=True, check=False)
        assert b"\\x1b[31m" in done.stderr
        assert not DRIVING.search(done.stderr.decode()), done.stderr


# ---- chat ----

SHOWN_BY_PEERS = {"node", "user", "text", "name", "leader_name", "address", "warnings", "view"}


def test_nothing_drives_the_terminal_of_chat():
    answers = {**ANSWERS, "Elect": [("org.ringchat.NoSuchNode", {"node": HOSTILE})]}
    for path in texts_of(answers):
        if SHOWN_BY_PEERS & set(path):
            answers = with_hostile(answers, path)
    # One message comes in another room, whose name is shown when it is asked for.
    other = {"message": {**MESSAGE, "id": "other", "room": HOSTILE}, "cursor": "c-1"}
    answers["Tail"] = [other, *answers["Tail"]]
    with ManyClients(answers) as daemon:
        with Terminal([str(CONTROL), "--socket", daemon.path, "chat"], columns=300,
                      rows=100) as chat:
            chat.wait_for(r"merged with the ring of a\\x1b\[31mred")
            for command in ("/members", "/list", "/ring", "/room", "/history", "/elect x"):
                before = chat.output_bytes().count(SHOWN.encode())
                chat.enter(command)
                chat.wait_until(command, lambda chat, before=before:
                                chat.output_bytes().count(SHOWN.encode()) > before)
            chat.enter("/quit")
            chat.wait_for_end()
            written = chat.output_bytes().decode()
    for piece in ("\x1b[31mred", "\x1b]0;", "title\x07", "\rback", "back\x08"):
        assert piece not in written, piece
    # Escapes of its own it needs, to edit a line.
    assert_harmless(re.sub("[\x07\x08\r\x1b]", "", written), "chat")
