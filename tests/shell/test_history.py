"""History, export and import with a real daemon."""

import contextlib
import json
import sqlite3
import subprocess
import time

import pytest
from fake import CONTROL, PATIENCE
from live import LiveDaemon
from terminal import Terminal

SAID = [("main", "the backup is done"), ("ops", "disk full on host7"), ("main", "Das Café öffnet"),
        ("ops", "backups of 10.77.0.1 failed"), ("main", "disk replaced"), ("main", "NOT a query")]


@pytest.fixture(scope="module")
def daemon():
    with LiveDaemon() as made:
        for room, text in SAID:
            made.send("-r", room, text)
        yield made


def texts(daemon, *arguments):
    done = daemon.control("-j", "history", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("arguments, expected", [
    ([], [0, 1, 2, 3, 4, 5]),
    (["--reverse"], [5, 4, 3, 2, 1, 0]),
    (["-n", "2"], [4, 5]),
    (["-n", "2", "--reverse"], [5, 4]),
    (["-n", "0"], []),
    (["-n", "100"], [0, 1, 2, 3, 4, 5]),
    (["-r", "ops"], [1, 3]),
    (["-r", "ops", "-n", "1"], [3]),
    (["-g", "DISK"], [1, 4]),
    (["-g", "disk full"], [1]),
    (["-g", "full disk"], [1]),
    (["-g", "backup*"], [0, 3]),
    (["-g", "backup"], [0]),
    (["-g", "cafe OFFNET"], [2]),
    (["-g", "10.77.0.1"], [3]),
    (["-g", "77.10"], []),
    (["-g", "not"], [5]),
    (["-g", "disk", "-r", "main"], [4]),
    (["-g", "disk", "-n", "1"], [4]),
    (["-u", "root"], [0, 1, 2, 3, 4, 5]),
    (["-u", "nobody"], []),
    (["-N", "alpha"], [0, 1, 2, 3, 4, 5]),
    (["-N", "beta"], []),
    (["-S", "-1h"], [0, 1, 2, 3, 4, 5]),
    (["-S", "+1h"], []),
    (["-U", "yesterday"], []),
    (["-S", "-1h", "-U", "+1h", "-n", "1"], [5]),
    (["-S", "tomorrow", "-U", "yesterday"], []),
])
def test_history_shows_what_is_asked_for(daemon, arguments, expected):
    assert texts(daemon, *arguments) == [SAID[number][1] for number in expected]


def test_since_and_until_are_exact(daemon):
    messages = [json.loads(line) for line in daemon.control("-j", "history").stdout.splitlines()]
    for number, message in enumerate(messages):
        second, micro = divmod(message["sent"], 1000000)
        at = f"@{second}.{micro:06d}"
        assert texts(daemon, "-S", at) == [text for _, text in SAID[number:]]
        assert texts(daemon, "-U", at) == [text for _, text in SAID[:number + 1]]


@pytest.mark.parametrize("arguments, what", [
    (["-S", "soon"], b"soon"),
    (["-n", "-1"], b"number"),
    (["-g"], b"-g"),
    (["word"], b"no arguments"),
])
def test_wrong_usage_of_history_is_told(daemon, arguments, what):
    done = daemon.control("history", *arguments)
    assert done.returncode == 2
    assert what in done.stderr


def test_words_that_are_none_are_refused(daemon):
    done = daemon.control("history", "-g", "   ")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"words" in done.stderr


def test_what_export_writes_import_takes_in_byte_for_byte(daemon, tmp_path):
    exported = daemon.control("export").stdout
    assert exported == daemon.control("-j", "history").stdout
    (tmp_path / "history").write_bytes(exported)
    with LiveDaemon("beta") as other:
        checked = other.control("-j", "import", "--check", str(tmp_path / "history"))
        assert json.loads(checked.stdout) == {"imported": len(SAID), "known": 0, "refused": 0}
        assert other.control("export").stdout == b""
        done = other.control("import", str(tmp_path / "history"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == b"%d imported, 0 known already, 0 refused\n" % len(SAID)
        assert other.control("export").stdout == exported
        again = other.control("-j", "import", "-", text=exported)
        assert json.loads(again.stdout) == {"imported": 0, "known": len(SAID), "refused": 0}
        other.stop()
        other.start()
        assert other.control("export").stdout == exported
        assert texts(other, "-g", "disk full") == [SAID[1][1]]


def changed(line, **fields):
    return json.dumps({**json.loads(line), **fields}).encode()


def test_lines_that_cannot_be_taken_are_refused_by_their_number(daemon):
    lines = daemon.control("export").stdout.splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[1])
    wrong = {
        1: changed(lines[0], text="something else"),
        2: changed(lines[0], id=second["id"]),
        3: changed(lines[0], user="mallory"),
        4: b"{",
        5: b'{"id": "x"}',
        6: b'"text"',
        7: changed(lines[0], order=second["order"]),
        8: changed(lines[0], seq="0-1"),
        9: changed(lines[0], text=""),
        10: changed(lines[0], room="r" * 65),
        11: b"\xff\xfe",
        12: b"x" * 1100000,
    }
    # The same key with another clock: the order is hlc, origin and seq as digits.
    wrong[13] = changed(lines[0], order="0" + "123456789abcdef" + first["order"][16:])
    wrong[14] = changed(lines[0], order="f" * 16 + first["order"][16:])
    # What is held of a node raises its own run: above this, no run would be left for it.
    wrong[15] = changed(lines[0], seq="2147483647-1", id="00000000-0000-4000-8000-000000000002",
                        order=first["order"][:-16] + "7fffffff00000001")
    text = b"\n".join([*wrong.values(), lines[2], b"", lines[3]]) + b"\n"
    for arguments in (["import", "--check", "-"], ["import", "-"]):
        done = daemon.control(*arguments, text=text)
        assert done.returncode == 1
        assert done.stdout.endswith(b", 2 known already, %d refused\n" % len(wrong))
        reported = done.stderr.decode().splitlines()
        assert len(reported) == len(wrong)
        for number in wrong:
            assert sum(f"line {number}: " in line for line in reported) == 1, (number, reported)
        assert "line 15: its seq cannot be" in done.stderr.decode()
    assert daemon.control("export").stdout.splitlines() == lines


def test_two_lines_of_one_file_that_contradict_each_other_are_found(daemon):
    line = daemon.control("export").stdout.splitlines()[0]
    with LiveDaemon("gamma") as other:
        text = b"\n".join([line, line, changed(line, text="no"), changed(
            line, id="00000000-0000-4000-8000-000000000001")]) + b"\n"
        done = other.control("import", "-", text=text)
        assert done.returncode == 1
        assert done.stdout == b"1 imported, 1 known already, 2 refused\n"
        assert b"line 3: its key" in done.stderr and b"line 4: its key" in done.stderr
        assert other.control("export").stdout.splitlines() == [line]


def test_a_message_of_the_largest_text_comes_back(daemon):
    with LiveDaemon("delta") as other, LiveDaemon("epsilon") as third:
        done = other.control("send", "-", text=b"\\\"<" * 5000)
        assert done.returncode == 0
        exported = other.control("export").stdout
        assert third.control("import", "-", text=exported).returncode == 0
        assert third.control("export").stdout == exported


def await_index(database):
    """Until all that is held is in the index of words."""
    deadline = time.monotonic() + PATIENCE
    while database.execute("SELECT (SELECT total(last - first + 1) FROM held)"
                           " - (SELECT total(last - first + 1) FROM indexed)").fetchone()[0] > 0:
        assert time.monotonic() < deadline


def test_what_cannot_be_read_is_told_and_the_rest_is_shown_before_it():
    with LiveDaemon("zeta") as other:
        lines = b"".join(b"before %d\n" % number for number in range(300))
        assert other.control("send", "--each-line", text=lines).returncode == 0
        assert other.control("send", "-", text=b"x" * 5000).returncode == 0
        other.send("behind")
        with contextlib.closing(sqlite3.connect(f"{other.state}/history.db")) as database:
            # What the daemon finds by itself ends it.
            other.await_end_of_check()
            await_index(database)
            with database:
                assert database.execute("DELETE FROM long_text").rowcount == 1
        broken = b"the disk of this host fails; look at: journalctl -u ringchatd\n"
        for verb, shown in ("history", b" before 0\n"), ("export", b"before 0"), ("tail", b""):
            done = other.control(verb)
            assert done.returncode == 1 and shown in done.stdout and broken in done.stderr, verb
        assert b"a part of the history cannot be read" in other.log()
        other.send("new ones are taken")


@pytest.mark.parametrize(("arguments", "pager", "paged"), [
    ([], "sed 's/^/paged: /'", True), ([], "exit 3", True), (["--no-pager"], "exit 3", False),
    (["--json"], "exit 3", False)])
def test_history_goes_through_a_pager_on_a_terminal_unless_told_otherwise(
        daemon, arguments, pager, paged):
    command = [str(CONTROL), "--socket", daemon.path, *arguments, "history", "-u", "root"]
    with Terminal(command, columns=400, environment={"PAGER": pager}) as terminal:
        assert terminal.wait_for_end() == 0
        shown = [line for line in terminal.screen() if "NOT a query" in line]
    if paged and pager.startswith("exit"):
        assert not shown  # whoever leaves the pager early has seen enough
    else:
        assert len(shown) == 1 and shown[0].startswith("paged: ") == paged


def test_import_says_what_is_wrong_with_its_file(daemon, tmp_path):
    done = daemon.control("import", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No such file" in done.stderr
    assert daemon.control("import").returncode == 2
    assert daemon.control("import", "a", "b").returncode == 2


def test_a_reader_that_goes_away_ends_an_export_quietly(daemon):
    done = subprocess.run(
        f"{CONTROL} --socket {daemon.path} export | head -c 10", shell=True, capture_output=True,
        timeout=PATIENCE, check=False)
    assert (done.stderr, len(done.stdout)) == (b"", 10)
