"""A daemon that says what a test wants it to say: the other side of ringchatctl."""

import contextlib
import json
import os
import pathlib
import pty
import socket
import subprocess
import tempfile
import threading

CONTROL = pathlib.Path(os.environ.get("RINGCHAT_BUILD", "build")).resolve() / "ctl" / "ringchatctl"
PATIENCE = 20  # seconds

MESSAGE = {"id": "01a20a1a-f472-7817-b2e4-722bfac9f4ec",
           "origin": "d1a952c2-c2fa-4e41-b32f-f155d9e4d4fc", "seq": "217629067-2",
           "order": "01a20a1af4720000d1a952c2c2fa4e41b32ff155d9e4d4fc0cf8c18b00000002",
           "node": "host1", "user": "alice", "kind": "chat", "room": "main", "text": "hi",
           "sent": 1795465868402494}
STATUS = {"state": "live", "id": "6af99290-350c-4487-909b-4f8a627b4334", "name": "host1",
          "address": "10.0.0.1:7263", "epoch": 2, "view": "2-00000000000000aa",
          "leader": "6af99290-350c-4487-909b-4f8a627b4334", "leader_name": "host1", "members": 1,
          "lap_usec": 1500, "messages": 7, "store_bytes": 4096, "queued": 0, "unstable": 0,
          "undelivered": 0, "sent": 1, "delivered": 7, "late": 0, "repaired": 0,
          "missing": 0, "lacking": 0, "formations": 1, "clients": 1,
          "started": 1795465868402494, "version": "0.1.0", "warnings": ["no key: make one"]}
MEMBERS = {"epoch": 2, "view": "2-00000000000000aa", "leader": STATUS["id"],
           "leader_name": "host1",
           "members": [{"position": 0, "id": STATUS["id"], "name": "host1",
                        "address": "10.0.0.1:7263", "leader": True, "self": True,
                        "since": 1795465868402494, "hop_usec": 89, "version": 1}]}


class Daemon:
    """`answers` maps a method to what it answers, one entry a reply: parameters, or an exception's
    (name, parameters). `calls` are the calls of these methods that came; others are unknown."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []
        self.always_continues = False
        self.directory = tempfile.TemporaryDirectory(prefix="ringshell-")
        self.path = os.path.join(self.directory.name, "control")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)
        self.directory.cleanup()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(ConnectionError):
                    self._talk(connection)

    def _talk(self, connection):
        received = b""
        while data := connection.recv(65536):
            received += data
            *calls, received = received.split(b"\0")
            for call in calls:
                self._answer(connection, json.loads(call))

    def reply_is_due(self, method, number):
        """Returns when that reply to a call is to be sent."""

    def _answer(self, connection, call):
        method = call["method"].rpartition(".")[2]
        answers = self.answers.get(method)
        if answers is None:
            reply = {"error": "org.varlink.service.MethodNotFound",
                     "parameters": {"method": method}}
            connection.sendall(json.dumps(reply).encode() + b"\0")
            return
        self.calls.append(call)
        for number, answer in enumerate(answers):
            self.reply_is_due(method, number)
            if isinstance(answer, tuple):
                reply = {"error": answer[0], "parameters": answer[1]}
            else:
                reply = {"parameters": answer}
                if self.always_continues or number + 1 < len(answers):
                    reply["continues"] = True
            connection.sendall(json.dumps(reply).encode() + b"\0")


def on_a_terminal(*arguments, socket_path):
    """What ringchatctl writes to a terminal until it ends, as one text."""
    master, slave = pty.openpty()
    with subprocess.Popen([str(CONTROL), "--socket", socket_path, *arguments], stdin=slave,
                          stdout=slave, stderr=slave, close_fds=True, start_new_session=True,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
                               "TERM": "dumb"}) as process:
        def end():
            process.wait(PATIENCE)
            os.write(slave, b"\0")

        # A terminal that is closed may lose what was written last: it is held until a mark comes.
        ending = threading.Thread(target=end, daemon=True)
        ending.start()
        written = b""
        while not written.endswith(b"\0"):
            written += os.read(master, 65536)
        ending.join(PATIENCE)
        os.close(slave)
        os.close(master)
    return written[:-1].decode()


class ManyClients(Daemon):
    """The same for several connections at once."""

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve_one, args=[connection], daemon=True).start()

    def _serve_one(self, connection):
        with connection, contextlib.suppress(OSError):
            self._talk(connection)


def control(*arguments, socket_path=None, text=b"", environment=()):
    command = [str(CONTROL)]
    if socket_path is not None:
        command += ["--socket", socket_path]
    return subprocess.run(
        command + list(arguments), input=text, capture_output=True, timeout=PATIENCE, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", **dict(environment)})
