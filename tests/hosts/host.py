"""One host of a test: its ringchatd, and ringchatctl to ask it. Nothing here sleeps: every wait is
for an event, with a deadline."""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading

import keyring
from client import PATIENCE, Client

BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", "build")).resolve()
DAEMON = BUILD / "daemon" / "ringchatd"
CONTROL = BUILD / "ctl" / "ringchatctl"

# A build with sanitizers tells of what it finds on stderr, and ends with another status than 0.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("RINGCHAT_")},
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LC_ALL": "C.UTF-8",
}
SANITIZED = BUILD.name == "asan"
FINDINGS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior")

# Debian's libfaketime, for the clock of one process.
FAKETIME = pathlib.Path("/usr/lib", f"{os.uname().machine}-linux-gnu", "faketime",
                        "libfaketimeMT.so.1")

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def end_with_the_test():
    """In a new process: it is killed when the test run is, whatever happens to that."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """A host named `name`. `inside` are words to put before the daemon's command (the host's
    network), `arguments` its further options."""

    def __init__(self, directory, name, inside=(), arguments=(), address=None):
        self.name = name
        self.directory = pathlib.Path(directory) / name
        self.directory.mkdir(mode=0o755)
        self.state = self.directory / "state"
        self.state.mkdir(mode=0o700)
        self.socket = str(self.directory / "control")
        self.log = self.directory / "log"
        self.inside = list(inside)
        self.arguments = list(arguments)
        self.address = address
        self.configuration = self.directory / "ringchatd.conf"
        self.configure("")
        keyring.give_keys(self, keyring.COMMON_KEY)
        self.environment = {}  # on top of ENVIRONMENT, for the daemon
        self.process = None
        self.up = threading.Event()  # set while the daemon takes calls, as far as the test knows
        self.notify = None
        self.tails = []

    # ---- the daemon ----

    def configure(self, text):
        """What its configuration file says from the next start on."""
        self.configuration.write_text(text)

    def launch(self, *arguments, wrapper=()):
        """Starts the daemon and returns at once; await_ready() waits for it."""
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        self.notify.bind(str(path))
        self.notify.settimeout(PATIENCE)
        command = [*self.inside, *wrapper, str(DAEMON), "--config", str(self.configuration),
                   "--state", str(self.state), "--socket", self.socket, "--name", self.name,
                   *self.arguments, *arguments]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**ENVIRONMENT, **self.environment, "NOTIFY_SOCKET": str(path)},
                preexec_fn=end_with_the_test)
        return self

    def await_ready(self):
        with self.notify:
            while b"READY=1" not in self.notify.recv(4096).split(b"\n"):
                pass
        self.up.set()
        return self

    def start(self, *arguments, wrapper=()):
        return self.launch(*arguments, wrapper=wrapper).await_ready()

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and the daemon is gone when this returns."""
        self.up.clear()
        self.process.kill()
        self.process.wait(PATIENCE)

    def terminate(self):
        """SIGTERM; returns the exit status."""
        self.up.clear()
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def pause(self):
        """SIGSTOP, and the process has stopped when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def set_clock(self, seconds):
        """The daemon's wall clock is that far ahead of (less than 0: behind) the machine's, from
        its next start on, and at once where this has been called before that."""
        path = self.directory / "clock"
        fresh = self.directory / "clock.new"
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.replace(path)
        self.environment = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ASAN_OPTIONS": f"{ENVIRONMENT['ASAN_OPTIONS']}:verify_asan_link_order=0"}

    def memory(self):
        """The daemon's memory in bytes: what it holds alone, and its share of the rest."""
        rollup = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return 1024 * int(re.search(r"^Pss: +([0-9]+) kB$", rollup, re.M)[1])

    def forget_history(self):
        """Everything but its key, of a host that has stopped."""
        for path in self.state.glob("history.db*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def abandon(self):
        """Nothing of this host runs afterwards, whatever state the test left it in."""
        self.end_tails()
        if self.runs():
            self.kill()
        if self.notify is not None:
            self.notify.close()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def findings(self):
        """What sanitizers said of this host's daemon, and all that follows it."""
        text = self.log_text()
        match = FINDINGS.search(text)
        return text[match.start():] if match else ""

    # ---- ringchatctl ----

    def control(self, *arguments, text=None, user=None, check=True, timeout=2 * PATIENCE):
        """Runs ringchatctl and returns the finished process, stdout and stderr as bytes."""
        command = [str(CONTROL), "--socket", self.socket, *arguments]
        if user is not None:
            group = str(os.stat(self.socket).st_gid)
            command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
        done = subprocess.run(command, input=text, capture_output=True, timeout=timeout,
                              env=ENVIRONMENT, preexec_fn=end_with_the_test, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{shlex.join(command)}\nended with {done.returncode}: "
                                 f"{done.stderr.decode(errors='replace')}")
        return done

    def json(self, *arguments):
        return json.loads(self.control("--json", *arguments).stdout)

    def history(self):
        """The bytes of the whole history."""
        return self.control("--json", "history").stdout

    def messages(self):
        return [json.loads(line) for line in self.history().splitlines()]

    def members(self):
        return self.json("members")

    def wait(self, *arguments):
        return self.control("wait", *arguments, "--timeout", str(PATIENCE))

    def send(self, text, **options):
        done = self.control("--json", "send", "-", text=text.encode(), **options)
        return json.loads(done.stdout)

    def tail(self, *arguments):
        tail = Tail(self, arguments)
        self.tails.append(tail)
        return tail

    def client(self, user=None):
        return Client(self.socket, user)

    def end_tails(self):
        for tail in self.tails:
            tail.close()


class Tail:
    """A running `ringchatctl tail -f --json`: `lines` grows as it prints."""

    def __init__(self, host, arguments):
        self.name = host.name
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [str(CONTROL), "--socket", host.socket, "--json", "tail", "-f", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=ENVIRONMENT,
            preexec_fn=end_with_the_test)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(json.loads(line))
                self.changed.notify_all()

    def wait_until(self, what, condition):
        """Returns condition(lines) once it is true."""
        with self.changed:
            self.changed.wait_for(lambda: condition(self.lines), PATIENCE)
            result = condition(self.lines)
            if not result:
                raise AssertionError(
                    f"{self.name}'s tail does not show {what}; it has {len(self.lines)} lines, "
                    f"the last are {self.lines[-3:]}")
            return result

    def wait_for_text(self, text):
        return self.wait_until(f"{text!r}", lambda lines: next(
            (line for line in lines if line.get("text") == text), None))

    def messages(self):
        with self.changed:
            return [line for line in self.lines if "event" not in line]

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
