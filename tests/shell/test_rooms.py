"""The rooms of the whole history, with a real daemon."""

import collections
import json
import socket

import pytest
from fake import PATIENCE, Daemon, control
from live import LiveDaemon

HOSTILE = ["a", "a b", "evil\x1b[2J", "café", "\u202etxt", "r" * 64, "\U0001f600", "-r", "$(id)"]
MANY = 700  # more than two replies


def rooms_of(daemon):
    """What `rooms` says, by name."""
    done = daemon.control("--json", "rooms")
    assert (done.returncode, done.stderr) == (0, b"")
    rooms = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({room["name"] for room in rooms}) == len(rooms)
    return {room["name"]: room for room in rooms}


def counted(lines):
    return collections.Counter(json.loads(line)["room"] for line in lines)


def copies(line, rooms, first):
    """That message again for each room, as others: with ids, seqs and clocks from `first` on."""
    message = json.loads(line)
    run, origin = message["seq"].split("-")[0], message["origin"].replace("-", "")
    hlc = int(message["order"][:16], 16)
    for number, room in enumerate(rooms, first):
        order = f"{hlc + number:016x}{origin}{int(run):08x}{number:08x}"
        yield json.dumps({**message, "seq": f"{run}-{number}", "order": order, "room": room,
                          "id": f"00000000-0000-4000-8000-{number:012x}",
                          "sent": message["sent"] + number}).encode()


@pytest.fixture(scope="module")
def exported():
    """A message of another host, as a line."""
    with LiveDaemon("beta") as daemon:
        daemon.send("-r", "oldest", "the first of all")
        return daemon.control("export").stdout.rstrip(b"\n")


@pytest.fixture
def daemon():
    with LiveDaemon() as made:
        yield made


def answers_to(daemon, call):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(daemon.path)
        connection.sendall(json.dumps(call).encode() + b"\0")
        received, answers = b"", []
        while not answers or answers[-1].get("continues"):
            received += connection.recv(1 << 20)
            *whole, received = received.split(b"\0")
            answers += map(json.loads, whole)
        return answers


def test_a_room_far_back_is_known_and_counted_whole(daemon, exported):
    names = ["main", "ops", "main"] * 500
    lines = [exported, *copies(exported, names, 100)]
    done = daemon.control("import", "-", text=b"\n".join(lines))
    assert (done.returncode, done.stderr) == (0, b"")
    rooms = rooms_of(daemon)
    assert {name: room["messages"] for name, room in rooms.items()} == counted(lines)
    assert rooms["oldest"]["last"] == json.loads(exported)["sent"]
    assert rooms["main"]["last"] == json.loads(lines[-1])["sent"]
    # What is known already is not counted again, and what was just said is.
    daemon.control("import", "-", text=b"\n".join(lines))
    daemon.send("-r", "ops", "one more")
    assert rooms_of(daemon)["ops"]["messages"] == rooms["ops"]["messages"] + 1
    assert rooms_of(daemon)["main"] == rooms["main"]


def test_many_rooms_with_any_names_come_in_several_replies(daemon, exported):
    names = [f"room {number:04}" for number in range(MANY)] + HOSTILE
    daemon.control("import", "-", text=b"\n".join(copies(exported, names, 100)))
    answers = answers_to(daemon, {"method": "org.ringchat.Rooms", "more": True})
    assert len(answers) == 3
    told = [room["name"] for answer in answers for room in answer["parameters"]["rooms"]]
    assert told == sorted(names, key=str.encode)
    assert set(rooms_of(daemon)) == {*names, "main"}
    shown = daemon.control("rooms").stdout.decode()
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "evil\\x1b[2J" in shown


@pytest.mark.parametrize("call, error", [
    ({"method": "org.ringchat.Rooms"}, "org.varlink.service.ExpectedMore"),
    ({"method": "org.ringchat.Rooms", "more": True, "parameters": {"room": "main"}},
     "org.varlink.service.InvalidParameter"),
])
def test_a_wrong_call_is_refused(daemon, call, error):
    assert [answer["error"] for answer in answers_to(daemon, call)] == [error]


def test_a_daemon_that_is_killed_knows_its_rooms_afterwards(daemon):
    said = collections.Counter()
    for number in range(4):
        text = b"".join(b"%d\n" % line for line in range(50 + number))
        done = daemon.control("send", "--each-line", "-r", f"room {number % 3}", text=text)
        assert (done.returncode, done.stderr) == (0, b"")
        said[f"room {number % 3}"] += 50 + number
        daemon.process.kill()
        daemon.process.wait(PATIENCE)
        daemon.start()
        assert {name: room["messages"] for name, room in rooms_of(daemon).items()} == {
            **said, "main": 0}
    assert counted(daemon.control("export").stdout.splitlines()) == said


def test_a_history_without_messages_has_the_room_that_everybody_is_in(daemon):
    assert rooms_of(daemon) == {"main": {"name": "main", "messages": 0, "unread": 0, "last": 0}}
    assert daemon.control("--no-legend", "rooms").stdout == b"main  0  0  -\n"


def test_a_daemon_without_the_method_is_told_of():
    with Daemon({"Status": [{"status": {"id": "01234567"}}], "Tail": [{"cursor": "c"}]}) as daemon:
        done = control("rooms", socket_path=daemon.path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no method Rooms" in done.stderr
