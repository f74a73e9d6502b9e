"""chat: what it keeps for the next session, and messages that take their time."""

import json
import re
import threading

import pytest
from chatting import CLOCK, USER, open_chat, prompt_line
from fake import CONTROL, MEMBERS, MESSAGE, PATIENCE, STATUS, ManyClients
from live import LiveDaemon
from terminal import Terminal


@pytest.fixture
def daemon():
    with LiveDaemon() as made:
        yield made


# ---- what was typed ----

def open_again(daemon, state):
    return open_chat(daemon, environment={"XDG_STATE_HOME": str(state)})


def test_what_was_typed_can_be_fetched_back_in_the_next_session(daemon, tmp_path):
    with open_again(daemon, tmp_path) as chat:
        for text in ("with a \\n that is none", "cafe\u0301"):
            chat.enter(text)
            chat.wait_for(rf"{re.escape(text)} \(delivered to 1\)$")
        chat.paste("one\ntwo")
        chat.wait_for("^two$")
        chat.key("Enter")
        chat.wait_for(r"^ +two \(delivered to 1\)$")
        chat.enter("/quit")
        assert chat.wait_for_end() == 0
    typed = tmp_path / "ringchat" / "typed"
    assert typed.stat().st_mode & 0o777 == 0o600
    assert typed.read_text().splitlines() == [
        "with a \\\\n that is none", "cafe\u0301", "one\\ntwo", "/quit"]
    with open_again(daemon, tmp_path) as chat:
        for shown in ("main> /quit", "two", "main> cafe\u0301", "main> with a \\n that is none"):
            chat.key("Up")
            chat.wait_until(shown, lambda _, line=shown: prompt_line(chat) == line)
        chat.key("Down", "Down", "Enter")
        chat.wait_until("the paste once more", lambda _: daemon.json(
            "history", "-n", "1")["text"] == "one\ntwo")


def test_the_file_of_what_was_typed_is_bounded(daemon, tmp_path):
    typed = tmp_path / "ringchat" / "typed"
    typed.parent.mkdir()
    typed.write_text("".join(f"line {number}\n" for number in range(1500)) + "x" * 100000 + "\n")
    with open_again(daemon, tmp_path) as chat:
        chat.key("Up")
        chat.wait_for("^main> line 1499$")
        lines = typed.read_text().splitlines()
        assert lines[:-1] == [f"line {number}" for number in range(1001, 1500)]
        chat.key("C-u")
        chat.enter("y" * 5000)
        chat.wait_for(r"\(delivered to 1\)$")
    assert len(typed.read_text().splitlines()) == 500


def test_without_a_place_for_what_was_typed_chat_goes_on(daemon, tmp_path):
    (tmp_path / "file").write_text("no directory")
    with open_again(daemon, tmp_path / "file") as chat:
        chat.enter("hello")
        chat.wait_for(r"hello \(delivered to 1\)$")
        chat.key("Up")
        chat.wait_for("^main> hello$")


# ---- messages that take their time ----

class Late(ManyClients):
    """Keeps what is sent, and delivers it only when it is let."""

    def __init__(self):
        super().__init__({"Status": [{"status": {**STATUS, "warnings": []}}],
                          "Members": [MEMBERS], "Rooms": [{"rooms": []}]})
        self.sent = None
        self.released = threading.Event()

    def _answer(self, connection, call):
        method, parameters = call["method"].rpartition(".")[2], call.get("parameters", {})
        reply = {"parameters": {"cursor": "c"}}
        if method == "Send":
            self.sent = parameters
            reply = {"error": "org.ringchat.TimedOut",
                     "parameters": {"id": parameters["id"], "stored": True}}
        elif method == "Tail" and parameters.get("follow"):
            connection.sendall(json.dumps({**reply, "continues": True}).encode() + b"\0")
            assert self.released.wait(PATIENCE)
            reply = {"continues": True, "parameters": {
                "message": {**MESSAGE, "id": self.sent["id"], "text": self.sent["text"],
                            "origin": STATUS["id"], "user": USER}, "late": False, "cursor": "d"}}
        elif method != "Tail":
            super()._answer(connection, call)
            return
        connection.sendall(json.dumps(reply).encode() + b"\0")


def test_an_own_message_that_waits_on_this_disk_is_shown_as_late_until_it_is_delivered():
    with Late() as fake, Terminal([str(CONTROL), "--socket", fake.path, "chat"]) as chat:
        chat.wait_for("1 member: host1")
        chat.enter("when the others are back")
        chat.wait_for(r"^   \(late, kept here\) when the others are back$")
        chat.type("half")
        chat.wait_for("^main> half$")
        assert chat.text().count("when the others") == 1
        fake.released.set()
        chat.wait_for(rf"^{CLOCK} {USER}@host1  when the others are back \(delivered late\)$")
        chat.wait_until("end of waiting", lambda _: "kept here" not in chat.text())
        assert chat.text().count("when the others") == 1
        assert prompt_line(chat) == "main> half"


class Repairing(ManyClients):
    """Brings older messages, waits, and then says that all have come."""

    def __init__(self, count):
        super().__init__({"Status": [{"status": {**STATUS, "warnings": []}}],
                          "Members": [MEMBERS], "Rooms": [{"rooms": []}]})
        self.count = count
        self.finish = threading.Event()

    def _answer(self, connection, call):
        if not call["method"].endswith(".Tail"):
            super()._answer(connection, call)
            return

        def say(parameters, continues=True):
            reply = {"parameters": parameters, "continues": continues}
            connection.sendall(json.dumps(reply).encode() + b"\0")

        follows = call["parameters"].get("follow", False)
        say({"cursor": "c"}, follows)
        if not follows:
            return
        for number in range(self.count):
            say({"message": {**MESSAGE, "id": f"id{number}", "text": f"old {number}"},
                 "late": True, "cursor": "c"})
        assert self.finish.wait(PATIENCE)
        say({"message": {**MESSAGE, "id": "new", "text": "something new"}, "late": False,
             "cursor": "c"})
        say({"event": {"event": "repaired", "time": MESSAGE["sent"], "epoch": 2,
                       "messages": self.count}})


def test_a_large_repair_is_a_count_above_the_line_and_then_one_line():
    with Repairing(3000) as fake, Terminal([str(CONTROL), "--socket", fake.path, "chat"]) as chat:
        chat.wait_for(r"^   \(history repair: \d+ older messages so far\)$")
        chat.type("half")
        chat.wait_for("^main> half$")
        assert re.search(r"\(late\)  old 9$", chat.text(), re.M) and "old 10" not in chat.text()
        fake.finish.set()
        chat.wait_for("the repair of the history brought 3000 messages$")
        assert re.search("something new$", chat.text(), re.M)
        chat.wait_until("end of the count", lambda _: "so far" not in chat.text())
        assert prompt_line(chat) == "main> half"
