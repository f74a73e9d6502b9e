"""What takes longer than a second shows how far it is: a bar on a terminal, else lines at times."""

import json
import re
import threading

import pytest
from fake import CONTROL, MESSAGE, STATUS, Daemon, ManyClients, control
from terminal import Terminal

PAGE = {"messages": [MESSAGE] * 10}


class Slow(ManyClients):
    """Sends the second page of an export when the first is `seconds` old, and the last one when the
    test says so."""

    def __init__(self, seconds):
        super().__init__({"Status": [{"status": {**STATUS, "messages": 40}}],
                          "Export": [PAGE, PAGE, {"messages": []}]})
        self.seconds = seconds
        self.enough = threading.Event()
        self.clock = threading.Event()

    def reply_is_due(self, method, number):
        if method == "Export" and number == 1:
            self.clock.wait(self.seconds)
        if method == "Export" and number == 2:
            self.enough.wait()


def test_a_long_export_shows_a_bar_and_takes_it_away():
    with Slow(1.1) as daemon:
        command = ["sh", "-c", f"{CONTROL} --socket {daemon.path} export >/dev/null; echo done"]
        with Terminal(command) as terminal:
            terminal.wait_for(r"^\[#{15}\.{15}\] 20 messages, 50%, .* left$")
            daemon.enough.set()
            terminal.wait_for("^done$")
            assert terminal.wait_for_end() == 0
            assert terminal.screen() == ["done"]


def test_without_a_terminal_there_are_lines_and_with_quiet_nothing():
    for options, stderr in ([], b"20 messages, 50%, "), (["-q"], b""):
        with Slow(5.1 if not options else 0) as daemon:
            daemon.enough.set()
            done = control(*options, "export", socket_path=daemon.path)
        assert done.returncode == 0
        assert done.stdout.count(b"\n") == 20
        assert done.stderr.startswith(stderr) and (stderr or not done.stderr)


class Repairing(Slow):
    """The same for older messages that a tail is told of."""

    def __init__(self, seconds):
        super().__init__(seconds)
        late = {"message": MESSAGE, "late": True, "cursor": "c"}
        self.answers["Tail"] = [late] * 12 + [
            {"event": {"event": "repaired", "time": MESSAGE["sent"], "epoch": 2, "messages": 12}}]

    def reply_is_due(self, method, number):
        if method == "Tail" and number == 11:
            self.clock.wait(self.seconds)
        if method == "Tail" and number == 12:
            self.enough.wait()


def test_a_tail_on_a_terminal_counts_what_a_large_repair_brings():
    with Repairing(1.1) as daemon:
        with Terminal([str(CONTROL), "--socket", daemon.path, "tail", "-f"]) as terminal:
            terminal.wait_for("^12 older messages so far, by history repair$")
            assert terminal.text().count("(late)") == 10
            daemon.enough.set()
            terminal.wait_for("history repair has brought 12 older messages$")
            assert "so far" not in terminal.text()


class Importing(Daemon):
    """Takes in a first batch when it is `seconds` old, and the sixth when the test says so: no more
    than four wait for their answers, so that came after the first was answered."""

    def __init__(self, seconds):
        super().__init__({"Import": [{"imported": 100, "known": 0, "refused": []}]})
        self.seconds = seconds
        self.enough = threading.Event()
        self.clock = threading.Event()

    def reply_is_due(self, method, number):
        if len(self.calls) == 1:
            self.clock.wait(self.seconds)
        if len(self.calls) == 6:
            self.enough.wait()


LINES = 8000


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history"
    path.write_text(LINES * (json.dumps(MESSAGE) + "\n"), encoding="utf-8")
    return str(path)


def assert_right(lines, percent):
    """How far an import comes before it waits is a matter of sockets' buffers."""
    assert 0 < lines < LINES and percent == round(100 * lines / LINES)


def test_a_long_import_shows_a_bar_and_takes_it_away(history):
    with Importing(1.1) as daemon:
        with Terminal([str(CONTROL), "--socket", daemon.path, "import", history]) as terminal:
            bar, lines, percent = terminal.wait_for(
                r"^\[(#*\.*)\] (\d+) lines, (\d+)%, .* left$").groups()
            assert_right(int(lines), int(percent))
            assert (len(bar), bar.count("#")) == (30, 30 * int(lines) // LINES)
            daemon.enough.set()
            terminal.wait_for(r"^\d+ imported, 0 known already, 0 refused$")
            assert terminal.wait_for_end() == 0
            assert len([line for line in terminal.screen() if line]) == 1


def test_an_import_without_a_terminal_has_lines_and_with_quiet_nothing(history):
    for options in [], ["-q"]:
        with Importing(0 if options else 5.1) as daemon:
            daemon.enough.set()
            done = control(*options, "import", history, socket_path=daemon.path)
        assert done.returncode == 0
        if options:
            assert (done.stdout, done.stderr) == (b"", b"")
        else:
            lines, percent = re.match(rb"(\d+) lines, (\d+)%, .* left\n", done.stderr).groups()
            assert_right(int(lines), int(percent))


def test_what_is_quick_shows_nothing():
    with Slow(0) as daemon:
        daemon.enough.set()
        done = control("export", socket_path=daemon.path)
    assert (done.returncode, done.stderr) == (0, b"")
