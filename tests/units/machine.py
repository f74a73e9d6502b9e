"""One host of a lab. Nothing here sleeps: every wait is for an event, with a deadline."""

import json
import pathlib
import re
import select
import shlex
import socket
import subprocess
import threading

PATIENCE = 60  # seconds: longer than any wait of a machine that works, however slow

ENVIRONMENT = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "container=systemd-nspawn"]


class Machine:
    def __init__(self, lab, number, kind=""):
        self.lab, self.number, self.kind = lab, number, kind
        self.name = f"host{number}"
        self.address = f"10.78.0.{number}"
        self.cgroup = lab.cgroup / f"h{number}"
        self.console = lab.directory / f"console{number}"
        self.followers = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(lab.directory / f"notify{number}"))
        self.notify.settimeout(PATIENCE)

    # ---- power ----

    def start(self):
        self.lab.tell("start", str(self.number), self.kind)

    def await_boot(self):
        """Returns when its systemd has finished the boot."""
        self._await(b"READY=1")
        return self

    def boot(self):
        self.start()
        return self.await_boot()

    def reboot(self):
        # Newer systemd says more than once that it is ready.
        while select.select([self.notify], [], [], 0)[0]:
            self.notify.recv(4096)
        self.run("systemctl", "reboot")
        self.await_boot()

    def _await(self, word):
        while True:
            try:
                lines = self.notify.recv(4096).split(b"\n")
            except TimeoutError:
                lines = [b"OFF=nothing was heard"]
            if any(line.startswith(word) for line in lines):
                return
            assert not lines[0].startswith(b"OFF"), (
                f"{self.name}: {lines[0].decode()}\n{self.console.read_text()[-2000:]}")

    # ---- the network ----

    def pull_cable(self):
        """Nothing gets from or to the host any more, and it can see that."""
        self._port("down")

    def plug_cable(self):
        self._port("up")

    def bring_up(self, address=None):
        """What a network manager does: the interface up, an address, a route."""
        self.run("ip", "-batch", "-", text=(
            f"link set eth0 up\naddr add {address or self.address}/24 brd + dev eth0\n"
            "route replace default dev eth0\n"))

    def _port(self, *words):
        subprocess.run([*self.lab.inside(), "ip", "link", "set", f"h{self.number}", *words],
                       check=True, capture_output=True)

    # ---- commands ----

    def _leader(self):
        """The host's PID 1, by its id out here."""
        scope = self.cgroup / "payload" / "init.scope" / "cgroup.procs"
        for pid in scope.read_text().split():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            if re.search(r"^NSpid:.*\t1$", status, re.M):
                return pid
        raise AssertionError(f"{self.name} does not run")

    def outside_pid(self, pid):
        """The id out here of a process that has the id `pid` in the host."""
        for path in (self.cgroup / "payload").rglob("cgroup.procs"):
            for outside in path.read_text().split():
                status = pathlib.Path(f"/proc/{outside}/status").read_text()
                if re.search(rf"^NSpid:.*\t{pid}$", status, re.M):
                    return int(outside)
        raise AssertionError(f"{self.name} has no process {pid}")

    def _words(self, command):
        return ["nsenter", "-t", self._leader(), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w",
                "--", *ENVIRONMENT, *command]

    def _popen(self, group, command, **options):
        """Runs it in a cgroup of the host, so that what happens to the host happens to it."""
        enter = (group / "cgroup.procs").write_text
        return subprocess.Popen(self._words(command), text=True, preexec_fn=lambda: enter("0"),
                                **options)

    def run(self, *command, text=None, check=True):
        """Runs a command as root and outside of any unit, and returns the finished process."""
        process = self._popen(self.cgroup / "exec", command, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            out, err = process.communicate(text or "", timeout=2 * PATIENCE)
        assert not check or process.returncode == 0, (
            f"{self.name}: {shlex.join(command)} ended with {process.returncode}:\n{out}{err}")
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def feed(self, path, *command):
        """Runs a command with a file of out here as its input."""
        with open(path, "rb") as content:
            process = self._popen(self.cgroup / "exec", command, stdin=content)
            assert process.wait(2 * PATIENCE) == 0

    def output(self, *command, **options):
        return self.run(*command, **options).stdout.strip()

    def write(self, path, text):
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "sh", path, text=text)

    def follow(self, *command, keep_input=False):
        """Starts a command that goes on printing. With `keep_input` its input does not end."""
        group = self.cgroup / f"follower{len(self.followers)}"
        group.mkdir()
        process = self._popen(group, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.PIPE if keep_input else subprocess.DEVNULL)
        self.followers.append(Follower(f"{self.name}: {shlex.join(command)}", group, process))
        return self.followers[-1]

    # ---- units ----

    def systemctl(self, *words, **options):
        return self.run("systemctl", *words, **options)

    def show(self, unit, name):
        return self.output("systemctl", "show", "-P", name, unit)

    def journal(self, *words):
        """Entries of the journal, as dictionaries."""
        self.run("journalctl", "--sync")
        lines = self.output("journalctl", "--quiet", "--all", "--output=json", *words)
        return [json.loads(line) for line in lines.splitlines()]

    # ---- ringchat ----

    def control(self, *words, user=None, **options):
        command = ["ringchatctl", *words]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command]
        return self.run(*command, **options)

    def status(self):
        return json.loads(self.control("--json", "status").stdout)

    def members(self):
        return json.loads(self.control("--json", "members").stdout)

    def texts(self):
        """The texts of the history, in its order, without notices."""
        lines = self.control("--json", "history").stdout.splitlines()
        return [message["text"] for message in map(json.loads, lines)
                if message["kind"] == "chat"]

    def close(self):
        for follower in self.followers:
            follower.close()
        self.notify.close()


class Follower:
    """A command that goes on printing: `lines` grows with it."""

    def __init__(self, name, group, process):
        self.name, self.group, self.process = name, group, process
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, pattern, count=1, patience=PATIENCE):
        """Returns the line that matches, or the count-th one."""
        def found():
            matching = [line for line in self.lines if re.search(pattern, line)]
            return matching[count - 1] if len(matching) >= count else None

        with self.changed:
            self.changed.wait_for(lambda: found() or not self.reader.is_alive(), patience)
            line = found()
        assert line is not None, f"{self.name} does not show {pattern!r}: {self.lines[-8:]}"
        return line

    def stays_without(self, pattern, seconds):
        """Watches for so long, and fails as soon as a line matches."""
        def found():
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self.changed:
            self.changed.wait_for(found, seconds)
            assert found() is None, f"{self.name} shows {found()!r}"

    def close(self):
        if self.process.stdout.closed:
            return
        (self.group / "cgroup.kill").write_text("1")
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        if self.process.stdin:
            self.process.stdin.close()
