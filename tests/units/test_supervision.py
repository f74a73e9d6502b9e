"""What systemd does with the service beyond starting and stopping it: on demand, watched, reloaded,
several at once."""

import contextlib
import os
import pty
import re
import socket
import sqlite3
import subprocess

import pytest
from base import BUILD, TREE
from machine import PATIENCE
from ringchat import SERVICE, configure, install
from stall import Stall

SOCKET = "ringchatd.socket"


@pytest.fixture
def host(lab):
    [made] = lab.boot(1)
    install(made)
    configure(made)
    return made


def test_the_socket_unit_starts_the_daemon_when_it_is_called(host):
    host.systemctl("start", SOCKET)
    assert host.show(SERVICE, "ActiveState") == "inactive"
    host.control("send", "who wakes it")
    assert host.show(SERVICE, "ActiveState") == "active"
    # And again after a stop; the socket is the unit's and not the daemon's.
    host.systemctl("stop", SERVICE)
    assert host.show(SERVICE, "ActiveState") == "inactive"
    host.control("send", "who wakes it again")
    assert host.texts() == ["who wakes it", "who wakes it again"]
    assert host.output("stat", "-c", "%U %G %a", "/run/ringchat/control") == "root ringchat 660"
    host.systemctl("restart", SERVICE)
    host.control("send", "after a restart")
    host.systemctl("stop", SOCKET, SERVICE)
    assert host.control("status", check=False).returncode == 3


def test_the_socket_unit_serves_from_the_boot_on(host):
    host.systemctl("enable", SOCKET)
    host.reboot()
    assert host.show(SERVICE, "ActiveState") == "inactive"
    host.control("send", "the first since the boot")
    assert host.show(SERVICE, "ActiveState") == "active"


def test_a_daemon_whose_loop_hangs_is_killed_by_the_watchdog_and_comes_back(host):
    """The loop's thread alone is stopped: the others go on, and must not feed the watchdog."""
    host.write("/run/systemd/system/ringchatd.service.d/fast.conf", "[Service]\nWatchdogSec=2\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", SERVICE)
    host.control("send", "before it hangs")
    journal = host.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    with Stall(host.outside_pid(host.show(SERVICE, "MainPID"))):
        journal.wait_for(r"Watchdog timeout")
    journal.wait_for("Failed with result 'watchdog'")
    journal.wait_for("^Started")
    assert host.show(SERVICE, "NRestarts") == "1"
    host.control("send", "after it was killed")
    assert host.texts() == ["before it hangs", "after it was killed"]


def test_a_daemon_that_works_keeps_the_watchdog_fed(host):
    """The other side of it: the watchdog above needs a reason."""
    host.write("/run/systemd/system/ringchatd.service.d/fast.conf", "[Service]\nWatchdogSec=1\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", SERVICE)
    journal = host.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    journal.stays_without("Watchdog", seconds=4)
    assert host.show(SERVICE, "NRestarts") == "0"


def test_reload_takes_new_settings_and_the_daemon_stays(host):
    host.systemctl("start", SERVICE)
    pid = host.show(SERVICE, "MainPID")
    host.control("send", "long enough to be refused later")
    configure(host, "[History]\nMaxMessageBytes=8\n[Log]\nTopics=heartbeat\n", name="later")
    journal = host.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    host.systemctl("reload", SERVICE)
    journal.wait_for("configuration reloaded")
    assert host.control("send", "long enough to be refused", check=False).returncode == 1
    assert host.control("log").stdout.strip() == "heartbeat"
    assert host.show(SERVICE, "MainPID") == pid
    assert host.show(SERVICE, "ActiveState") == "active"


def test_a_reload_with_a_mistake_warns_with_file_and_line_and_keeps_the_daemon(host):
    host.systemctl("start", SERVICE)
    configure(host, "[History]\nMaxMessageBytes=large\n", name="mistake")
    journal = host.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    host.systemctl("reload", SERVICE)
    journal.wait_for(r"/etc/ringchat/ringchatd.conf.d/mistake.conf:2: ")
    assert host.control("send", "goes on").returncode == 0


def test_a_credential_is_passed_by_its_bare_name_and_a_missing_one_is_no_failure(host):
    for unit in [SERVICE, "ringchatd@lab.service"]:
        host.systemctl("start", unit)
        assert host.show(unit, "ActiveState") == "active"
        host.systemctl("stop", unit)
        [line] = re.findall(r"^LoadCredential=.*", host.output("systemctl", "cat", unit), re.M)
        source = line.split(":")[-1].split("=")[-1].replace("%i", "lab")
        host.write(f"/etc/credstore/{source}", f"the secret of {unit}\n")
        host.run("chmod", "600", f"/etc/credstore/{source}")
        probe = host.run("systemd-run", "--quiet", "--pipe", "--wait", "-p",
                         line.replace("%i", "lab"), "-p", "User=ringchat", "sh", "-c",
                         "cat $CREDENTIALS_DIRECTORY/ringchat.key")
        assert probe.stdout == f"the secret of {unit}\n"


def test_further_rings_run_beside_by_name(host):
    host.write("/etc/ringchat/lab.conf", "[Ring]\nKey=none\n[Node]\nDisplayName=in-the-lab\n")
    host.systemctl("start", SERVICE, "ringchatd@lab.service", "ringchatd@office.service")
    host.control("--instance", "lab", "send", "for the lab")
    host.control("--instance", "office", "send", "for the office")
    host.control("send", "for the ring of the host")
    assert host.texts() == ["for the ring of the host"]
    for instance, text in [("lab", "for the lab"), ("office", "for the office")]:
        shown = host.control("--instance", instance, "tail").stdout
        assert text in shown and len(shown.splitlines()) <= 2
        assert host.output("stat", "-c", "%U %a", f"/var/lib/ringchat@{instance}") == (
            "ringchat 700")
    assert "in-the-lab" in host.control("--instance", "lab", "members").stdout
    assert "ring lab" in host.show("ringchatd@lab.service", "Description")


def test_a_further_ring_starts_on_demand_too(host):
    host.systemctl("start", "ringchatd@lab.socket")
    host.control("--instance", "lab", "send", "for the lab")
    assert host.show("ringchatd@lab.service", "ActiveState") == "active"


def old_database(path, messages):
    """A history of the first version, as the unit tests have it, with more messages."""
    text = (TREE / "tests/unit/test-store-damage.c").read_text()
    lines = text[text.index("first_version[] ="):].split(";\n", 1)[0]
    script = "".join(re.findall(r'^ *"(.*)"', lines, re.M))
    database = sqlite3.connect(path)
    database.executescript(script)
    database.execute(
        "WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO message SELECT 10 * i, 1, i, 0, 0, randomblob(16), i, 0, 'u', 'n', 'main',"
        " 'one of many' FROM n", [messages + 4])
    database.execute("UPDATE held SET last = ? WHERE first = 4", [messages + 4])
    database.commit()
    database.close()


def told_at_start(directory, stderr=subprocess.DEVNULL, until=r"^READY=1$"):
    """What the daemon, with its state in `directory`/state, tells systemd until it says that, is
    told to end, and has ended well."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(directory / "notify"))
        notify.settimeout(PATIENCE)
        daemon = subprocess.Popen(
            [str(BUILD / "daemon/ringchatd"), "--config", "/dev/null", "--state",
             str(directory / "state"), "--socket", str(directory / "control")],
            stderr=stderr, env={"NOTIFY_SOCKET": str(directory / "notify")})
        told = [""]
        while not re.search(until, told[-1], re.M):
            told.append(notify.recv(4096).decode())
        daemon.terminate()
        assert daemon.wait(PATIENCE) == 0
        notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                told.append(notify.recv(4096).decode())
    (directory / "notify").unlink()
    return told


def asks_to_wait(told, what):
    waits = [one for one in told if re.search(r"^EXTEND_TIMEOUT_USEC=\d+$", one, re.M)]
    return bool(waits) and f"STATUS={what} the history" in waits[0]


def test_a_start_asks_systemd_to_wait_for_a_long_upgrade_or_check_of_the_history(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    old_database(tmp_path / "state/history.db", 200000)
    assert asks_to_wait(told_at_start(tmp_path), "upgrading")
    # It is of this version now, and was closed: there is nothing to wait for.
    assert not any("EXTEND_TIMEOUT_USEC" in one for one in told_at_start(tmp_path))
    with sqlite3.connect(tmp_path / "state/history.db") as database:
        database.execute("UPDATE session SET clean = 0")
    assert asks_to_wait(told_at_start(tmp_path), "checking")


def test_a_start_that_takes_long_ends_at_once_when_it_is_stopped_and_begins_anew(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    path = tmp_path / "state/history.db"

    def number(statement):
        with contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute(statement).fetchone()[0]

    def stopped(what):
        with open(tmp_path / "log", "w+", encoding="utf-8") as log:
            told = told_at_start(tmp_path, log, rf"^STATUS={what} the history")
            assert not any("READY=1" in one for one in told) and "STOPPING=1" in told[-1]
            log.seek(0)
            return "stopped before that was done" in log.read()

    old_database(path, 200000)
    assert stopped("upgrading") and number("PRAGMA user_version") == 1
    told_at_start(tmp_path)
    upgraded = number("PRAGMA user_version")
    assert upgraded > 1
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE session SET clean = 0")
    assert stopped("checking") and number("SELECT clean FROM session") == 0
    told_at_start(tmp_path)
    assert number("SELECT clean FROM session") == 1
    assert number("SELECT count(*) FROM message") == 200003
    assert not list(tmp_path.glob("state/*damaged*"))


def rises(percents):
    return percents == sorted(percents) and len(set(percents)) > 1 and percents[-1] <= 100


def test_systemd_and_a_terminal_are_told_how_far_an_upgrade_of_the_history_is(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    old_database(tmp_path / "state/history.db", 1000000)
    terminal, end = pty.openpty()
    told = "\n".join(told_at_start(tmp_path, stderr=end))
    percents = [int(one) for one in re.findall(
        r"^STATUS=upgrading the history: (\d+) % done, for \d+ s so far$", told, re.M)]
    assert percents[0] < 10 and rises(percents)
    shown = os.read(terminal, 65536).decode()
    bars = re.findall(r"\[(#*)(\.*)\] upgrading the history: (\d+) % done\r", shown)
    assert rises([int(percent) for _, _, percent in bars])
    assert all(len(full) == int(percent) * 30 // 100 and len(full + rest) == 30
               for full, rest, percent in bars)
    # The bar is off the screen at the end, and stands for lines.
    assert shown.rfind("\033[K") > shown.rfind("% done\r")
    assert shown.count("store: upgrading the history") == 1
    for one in (terminal, end):
        os.close(one)


def test_who_asks_a_daemon_that_upgrades_its_history_is_told_so(tmp_path):
    state, control = tmp_path / "state", tmp_path / "control"
    state.mkdir(mode=0o700)
    old_database(state / "history.db", 1000000)

    def status():
        return subprocess.run([str(BUILD / "ctl/ringchatctl"), "--socket", str(control), "status"],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)

    with open(tmp_path / "log", "wb") as log:
        daemon = subprocess.Popen(
            [str(BUILD / "daemon/ringchatd"), "--config", "/dev/null", "--state", str(state),
             "--socket", str(control)], stderr=log)
    percents = []
    while len(set(percents)) < 2:
        assert daemon.poll() is None and not control.exists(), "the upgrade was too quick"
        told = status()
        far = re.search(r"upgrades its history, (\d+) % done", told.stderr)
        if "is starting" in told.stderr and far:
            assert told.returncode == 3
            percents.append(int(far.group(1)))
    assert percents == sorted(percents) and percents[-1] < 100
    follower = subprocess.Popen(
        [str(BUILD / "ctl/ringchatctl"), "--socket", str(control), "tail", "-f"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    waits = follower.stderr.readline()
    follower.terminate()
    follower.communicate()
    far = re.fullmatch("ringchatctl: ringchatd is starting: it upgrades its history, "
                       r"(\d+) % done; waiting for it\n", waits)
    assert percents[-1] <= int(far.group(1)) <= 100
    assert re.search(r"upgrading the history: \d+ % done; nobody is served until that is done",
                     (tmp_path / "log").read_text())
    # One that is killed is said to be gone, whatever it leaves behind; the next one begins anew.
    daemon.kill()
    daemon.wait(PATIENCE)
    assert (tmp_path / "control.starting").exists()
    assert "is not running" in status().stderr
    database = sqlite3.connect(state / "history.db")
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()
