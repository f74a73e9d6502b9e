"""What scripts rely on, a row a verb: arguments, text, JSON, exit codes, stderr. A real daemon
answers; a verb without a row fails the test."""

import json
import re

import pytest
from fake import control
from live import LiveDaemon

MESSAGE = {"id": str, "origin": str, "seq": str, "order": str, "node": str, "user": str,
           "kind": str, "room": str, "text": str, "sent": int}
MEMBERS = {"epoch": int, "view": str, "leader": str, "leader_name": str, "members": [
    {"position": int, "id": str, "name": str, "address": str, "leader": bool, "self": bool,
     "since": int, "hop_usec": int, "version": int}], "gone": [
    {"event": str, "id": str, "name": str, "address": str, "time": int}], "warnings": [str]}
STATUS = {"state": str, "id": str, "name": str, "address": str, "epoch": int, "view": str,
          "leader": str, "leader_name": str, "members": int, "lap_usec": int, "messages": int,
          "store_bytes": int, "queued": int, "unstable": int, "undelivered": int, "sent": int,
          "delivered": int, "late": int, "repaired": int, "missing": int, "lacking": int,
          "formations": int, "clients": int, "started": int,
          "version": str, "warnings": [str]}

# For each verb: arguments that succeed, what they print as text (None: nothing), and one object of
# their JSON (None: the verb prints none), in which a key with a "?" may be missing.
ROWS = {
    "send": (["hello", "contract"], None, {"id": str, "members": int, "elapsed_usec": int,
                                             "?warning": str}),
    "tail": (["-n", "1"], r" \S+@alpha  first$", {**MESSAGE, "late": bool, "cursor": str}),
    "history": (["-n", "1"], r" \S+@alpha  first$", MESSAGE),
    "export": ([], r'"text":"first"', None),
    "import": (["/dev/null"], r"^0 imported, 0 known already, 0 refused$",
               {"imported": int, "known": int, "refused": int}),
    "members": ([], r"^POSITION +NAME +ADDRESS +ROLE", MEMBERS),
    "ring": ([], r"alpha \(this host\)", MEMBERS),
    "rooms": ([], r"^main +\d+ +\d+ ", {"name": str, "messages": int, "unread": int, "last": int}),
    "doctor": ([], r"ring key", {"checks": [
        {"check": str, "?interface": str, "result": str, "text": str, "?cure": str}]}),
    "status": ([], r"^ *Node: alpha \(", STATUS),
    "wait": (["--members", "1", "--timeout", "20"], None, STATUS),
    "elect": ([], r"alpha", {"leader": str, "leader_name": str, "epoch": int}),
    "leave": ([], None, STATUS),
    "join": ([], None, STATUS),
    "log": (["normal"], r"\S", {"topics": [str]}),
    "key": (["list"], r"^0 keys, in ", {"keys": [{"id": str, "used": bool}], "path": str}),
    "help": ([], r"^  send ", None),
}

# Exit codes other than 0: this daemon has no key, and doctor finds that.
CODES = {"doctor": 1}

# Verbs for a terminal: test_chat.py has what they do there.
INTERACTIVE = {"chat"}

VERBS = control("--verbs").stdout.decode().split()


@pytest.fixture(scope="module")
def daemon():
    with LiveDaemon() as made:
        made.send("first")
        yield made


def differences(schema, value, at="$"):
    """Where a JSON value is not as the schema has it."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{at}: no object"]
        known = {key.removeprefix("?"): wanted for key, wanted in schema.items()}
        return ([f"{at}.{key}: missing" for key in schema if key[0] != "?" and key not in value] +
                [f"{at}.{key}: unknown" for key in value if key not in known] +
                [line for key, wanted in known.items() if key in value
                 for line in differences(wanted, value[key], f"{at}.{key}")])
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{at}: no array"]
        return [line for number, entry in enumerate(value)
                for line in differences(schema[0], entry, f"{at}[{number}]")]
    # bool is an int in Python and none in JSON.
    return [] if type(value) is schema else [f"{at}: {value!r} is no {schema.__name__}"]


def test_every_verb_has_a_row():
    assert set(ROWS) | INTERACTIVE == set(VERBS)


@pytest.mark.parametrize("verb", sorted(INTERACTIVE))
def test_a_verb_for_a_terminal_says_so(daemon, verb):
    done = daemon.control(verb)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no terminal" in done.stderr


def test_a_difference_from_a_schema_is_found():
    assert differences({"a": [{"b": int}], "?c": str}, {"a": [{"b": 1}]}) == []
    assert differences({"?c": str}, {"c": 1}) == ["$.c: 1 is no str"]
    assert differences({"a": int}, {"a": 1, "more": 1}) == ["$.more: unknown"]
    assert differences({"a": [{"b": int}]}, {"a": [{"b": True}]}) == ["$.a[0].b: True is no int"]
    assert differences({"a": str}, {}) == ["$.a: missing"]


@pytest.mark.parametrize("verb", ROWS)
def test_a_verb_prints_its_text(daemon, verb):
    arguments, text, _ = ROWS[verb]
    done = daemon.control(verb, *arguments)
    assert done.returncode == CODES.get(verb, 0), done.stderr
    assert done.stderr == b""
    if text is None:
        assert done.stdout == b""
    else:
        assert re.search(text, done.stdout.decode(), re.M), done.stdout.decode()
    if verb == "leave":
        daemon.control("join")
    if verb == "send":
        daemon.send("first")


@pytest.mark.parametrize("verb", [verb for verb in ROWS if ROWS[verb][2]])
@pytest.mark.parametrize("option", ["-j", "--json=pretty"])
@pytest.mark.parametrize("behind", [False, True])
def test_a_verb_prints_its_json(daemon, verb, option, behind):
    arguments, _, schema = ROWS[verb]
    words = [verb, option, *arguments] if behind else [option, verb, *arguments]
    done = daemon.control(*words)
    assert (done.returncode, done.stderr) == (CODES.get(verb, 0), b"")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 1 if option == "-j" else len(lines) > 1
    assert not differences(schema, json.loads(done.stdout))
    if verb == "leave":
        daemon.control("join")


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_a_usage_error_that_shows_the_usage(daemon, verb):
    done = daemon.control(verb, "--no-such-option")
    assert done.returncode == 2
    assert done.stdout == b""
    assert re.fullmatch(rf'ringchatctl {verb}: unknown option "--no-such-option"; '
                        rf"usage: ringchatctl {verb}\b.*\n", done.stderr.decode()), done.stderr


@pytest.mark.parametrize("verb", [verb for verb in ROWS if verb != "help"])
def test_without_a_daemon_a_verb_says_how_to_start_it(verb):
    done = control(verb, *ROWS[verb][0], socket_path="/nonexistent/control")
    assert done.returncode == 3
    assert done.stdout == b""
    assert done.stderr == (b"ringchatctl: ringchatd is not running; start it with: systemctl start "
                           b"ringchatd\n")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_tells_how_it_is_used(verb):
    behind, before = control(verb, "--help"), control("help", verb)
    assert behind.returncode == before.returncode == 0
    assert behind.stdout == before.stdout
    assert behind.stdout.startswith(b"ringchatctl [OPTIONS] " + verb.encode())


def options():
    """(verb, option, name of its argument or "") of all synopses."""
    for line in control("--synopses").stdout.decode().splitlines():
        verb, synopsis = line.split("\t")
        for names, argument in re.findall(r"\[(-[^\] ]+)(?: ([^\]]+))?\]", synopsis):
            for name in names.split("|"):
                yield verb, name, argument


@pytest.mark.parametrize("verb, option, argument", options())
def test_an_option_of_a_synopsis_is_known_to_its_verb(verb, option, argument):
    words = [option, "1"] if argument else [option]
    # A path that no socket can have ends a verb that would wait for the daemon.
    done = control(verb, *words, socket_path="/" + 200 * "x", text=b"text")
    assert done.returncode != 0
    assert b"unknown option" not in done.stderr
    if argument:
        done = control(verb, option)
        assert done.returncode == 2
        assert f"{option} takes {argument}".encode() in done.stderr


@pytest.mark.parametrize("words, code", [
    (["send", "hi", "-q", "--json"], 0), (["send", "--", "--json"], 0),
    (["members", "--color", "never"], 0), (["members", "--color"], 2),
    (["members", "--color=purple"], 2), (["--json=tall", "members"], 2), (["-x"], 2),
    (["wait", "--members", "2", "--timeout", "0.1"], 4), (["elect", "nobody"], 1),
    (["send", ""], 2), (["tail", "--after", "nonsense"], 1), (["log", "nonsense"], 1),
])
def test_exit_codes(daemon, words, code):
    done = daemon.control(*words)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == (code != 0)
    assert done.stderr.count(b"\n") <= 2


def test_words_of_a_message_may_look_like_options(daemon):
    daemon.send("-r", "main", "please", "run", "it", "with", "--json")
    assert daemon.json("history", "-n", "1")["text"] == "please run it with --json"


@pytest.mark.parametrize("environment, options, coloured", [
    ({"TERM": "xterm"}, ["--color=always"], True), ({"TERM": "xterm"}, [], False),
    ({"TERM": "xterm", "NO_COLOR": "1"}, [], False), ({"TERM": "xterm"}, ["--color=never"], False),
])
def test_colour_is_used_where_it_is_wanted(daemon, environment, options, coloured):
    done = daemon.control(*options, "members", environment=environment)
    assert (b"\x1b[" in done.stdout) == coloured
