"""What takes longer than a second shows how far it is: a bar on a terminal, else lines at times."""

import threading

from fake import CONTROL, MESSAGE, STATUS, ManyClients, control
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


def test_what_is_quick_shows_nothing():
    with Slow(0) as daemon:
        daemon.enough.set()
        done = control("export", socket_path=daemon.path)
    assert (done.returncode, done.stderr) == (0, b"")
