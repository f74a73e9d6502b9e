"""One real daemon without a network: a ring of one."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from fake import CONTROL, PATIENCE, control

DAEMON = CONTROL.parents[1] / "daemon" / "ringchatd"


class LiveDaemon:
    def __init__(self, name="alpha"):
        self.name = name
        self.directory = tempfile.TemporaryDirectory(prefix="ringlive-")
        self.path = os.path.join(self.directory.name, "control")
        self.state = os.path.join(self.directory.name, "state")
        os.mkdir(self.state, 0o700)
        self.process = None

    def start(self):
        """Returns when the daemon is ready."""
        ready = os.path.join(self.directory.name, "ready")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.settimeout(PATIENCE)
            notify.bind(ready)
            with open(os.path.join(self.directory.name, "log"), "ab") as log:
                self.process = subprocess.Popen(
                    [str(DAEMON), "--config", "/dev/null", "--state", self.state, "--socket",
                     self.path, "--name", self.name], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, env={**os.environ, "NOTIFY_SOCKET": ready})
            while b"READY=1" not in notify.recv(4096).split(b"\n"):
                pass
        os.unlink(ready)
        return self

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def await_end_of_check(self):
        """Of the whole database, which begins before the daemon answers its first call."""
        deadline = time.monotonic() + PATIENCE
        while "check" in self._threads():
            assert time.monotonic() < deadline

    def _threads(self):
        names = []
        for file in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                names.append(file.read_text().strip())
        return names

    def log(self):
        with open(os.path.join(self.directory.name, "log"), "rb") as log:
            return log.read()

    def control(self, *arguments, **options):
        return control(*arguments, socket_path=self.path, **options)

    def json(self, *arguments):
        return json.loads(self.control("--json", *arguments).stdout)

    def send(self, *arguments):
        done = self.control("send", *arguments)
        assert done.returncode == 0, done.stderr

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self.directory.cleanup()
