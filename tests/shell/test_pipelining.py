"""Several calls at once on one connection: they are answered in their order, streams too."""

import json
import socket

import pytest
from fake import PATIENCE
from live import LiveDaemon


@pytest.fixture(scope="module")
def daemon():
    with LiveDaemon() as made:
        made.send("first")
        yield made


def replies(daemon, calls):
    """The replies to all calls, which are written at once, until the last is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(daemon.path)
        connection.sendall(b"".join(json.dumps(call).encode() + b"\0" for call in calls))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
    return [json.loads(reply) for reply in received.split(b"\0")[:-1]]


def call(method, more=False, **parameters):
    return {"method": "org.ringchat." + method, "parameters": parameters,
            **({"more": True} if more else {})}


STREAM = call("Tail", more=True, lines=1)
HISTORY = call("History", more=True)
OTHERS = [call("Members"), call("Status"), call("Send", text="hello"), call("Log"),
          call("Wait", members=1), call("Nonsense"), HISTORY, STREAM]


@pytest.mark.parametrize("before", OTHERS, ids=lambda before: before["method"])
@pytest.mark.parametrize("stream", [STREAM, HISTORY], ids=lambda stream: stream["method"])
def test_a_stream_behind_another_call_waits_for_its_turn(daemon, before, stream):
    alone, others = replies(daemon, [before]), replies(daemon, [before, stream, call("Status")])
    assert set(others[0]) == set(alone[0])
    finals = [reply for reply in others if not reply.get("continues")]
    assert len(finals) == 3
    assert "status" in finals[-1]["parameters"]
    assert daemon.process.poll() is None


def test_many_sends_and_a_stream_behind_them(daemon):
    sends = [call("Send", text=f"message {number}") for number in range(20)]
    found = replies(daemon, [*sends, call("Tail", more=True, lines=5)])
    assert len([reply for reply in found if "members" in reply["parameters"]]) == 20
    shown = [reply["parameters"]["message"]["text"] for reply in found
             if "message" in reply["parameters"]]
    assert shown == [f"message {number}" for number in range(15, 20)]
