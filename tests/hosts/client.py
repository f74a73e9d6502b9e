"""A client of the control socket in plain Python: the Varlink protocol, without ringchatctl."""

import contextlib
import json
import os
import pwd
import socket

PATIENCE = 30  # seconds: longer than any wait of a machine that works, however slow


class CallFailed(Exception):
    """A typed error reply: `name` is the error's, `parameters` its fields."""

    def __init__(self, reply):
        super().__init__(json.dumps(reply))
        self.name = reply["error"]
        self.parameters = reply.get("parameters", {})


@contextlib.contextmanager
def acting_as(user, group):
    """The process has the effective user `user` and group id `group`, as the daemon will see it."""
    groups = os.getgroups()
    uid, gid = os.geteuid(), os.getegid()
    os.setgroups([group])
    os.setegid(group)
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


class Client:
    def __init__(self, path, user=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        if user is None:
            self.socket.connect(path)
        else:
            with acting_as(user, os.stat(path).st_gid):
                self.socket.connect(path)
        self.received = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def request(self, method, more=False, **parameters):
        call = {"method": f"org.ringchat.{method}", "parameters": parameters}
        if more:
            call["more"] = True
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def reply(self):
        while b"\0" not in self.received:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self.received += data
        text, _, rest = self.received.partition(b"\0")
        self.received = rest
        reply = json.loads(text)
        if "error" in reply:
            raise CallFailed(reply)
        return reply.get("parameters", {})

    def call(self, method, **parameters):
        self.request(method, **parameters)
        return self.reply()
