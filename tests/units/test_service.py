"""The service: how it starts, stops, restarts, and what it says of itself."""

import re
import time

import pytest
from machine import PATIENCE
from ringchat import SERVICE, configure, events_of, follow_events, install, start_ring


@pytest.fixture(scope="module")
def host(module_lab):
    """A host on which ringchat is installed and does not run."""
    [made] = module_lab.boot(1)
    install(made)
    configure(made)
    return made


@pytest.fixture
def running(host):
    host.systemctl("restart", SERVICE)
    yield host
    host.systemctl("stop", SERVICE)
    host.systemctl("reset-failed", SERVICE, check=False)


def await_status(host, pattern):
    end = time.monotonic() + PATIENCE
    while not re.search(pattern, text := host.show(SERVICE, "StatusText")):
        assert time.monotonic() < end, f"{host.name} shows {text!r}"


def test_systemctl_start_returns_when_requests_are_served(host):
    host.systemctl("start", SERVICE)
    assert host.control("send", "as soon as it runs").returncode == 0
    assert "as soon as it runs" in host.texts()
    host.systemctl("stop", SERVICE)


def test_the_status_line_says_at_a_glance_how_it_is(running):
    assert re.fullmatch(r"leader of 1 member, \d+ messages; not encrypted \(Key=none\)",
                        running.show(SERVICE, "StatusText"))


def test_no_call_fails_while_the_daemon_restarts(running):
    """The socket waits in systemd's file descriptor store: clients are served late, not refused."""
    calls = running.follow("sh", "-c", "i=0; while ringchatctl -q send restart-$((i += 1)); do"
                           " echo sent $i; done; echo failed")
    calls.wait_for(r"sent 3$")
    socket = running.output("stat", "-c", "%i", "/run/ringchat/control")
    for _ in range(3):
        before = len(calls.lines)
        running.systemctl("restart", SERVICE)
        assert running.show(SERVICE, "NFileDescriptorStore") == "1"
        assert running.output("stat", "-c", "%i", "/run/ringchat/control") == socket
        calls.wait_for("sent", before + 3)
    calls.close()
    assert "failed" not in calls.lines
    texts = [text for text in running.texts() if text.startswith("restart-")]
    sent = [f"restart-{line.split()[1]}" for line in calls.lines if line.startswith("sent")]
    assert texts[:len(sent)] == sent


def test_no_call_fails_while_a_killed_daemon_comes_back(running):
    pid = running.show(SERVICE, "MainPID")
    running.run("kill", "-KILL", pid)
    # Restart= comes after RestartSec=; whoever calls meanwhile waits in the socket's queue.
    assert running.control("send", "after the kill").returncode == 0
    assert running.show(SERVICE, "NRestarts") == "1"
    assert running.show(SERVICE, "MainPID") != pid
    assert running.texts()[-1] == "after the kill"


def test_systemd_keeps_the_control_socket_of_a_dead_daemon_and_not_its_ports(running):
    """A client waits, and a neighbour in the ring is refused at once."""
    running.write("/run/systemd/system/ringchatd.service.d/late.conf",
                  "[Service]\nRestartSec=1h\n")
    running.systemctl("daemon-reload")
    connect = ["bash", "-c", ": </dev/tcp/127.0.0.1/7263"]
    running.run(*connect)
    journal = running.follow("journalctl", "-f", "-n", "0", "-u", SERVICE, "-o", "cat")
    running.systemctl("kill", "-s", "KILL", SERVICE)
    journal.wait_for("Failed with result")
    assert running.show(SERVICE, "NFileDescriptorStore") == "1"
    assert "Connection refused" in running.run(*connect, check=False).stderr
    waiting = running.follow("ringchatctl", "--json", "send", "sent to a dead daemon")
    waiting.stays_without(".", seconds=1)
    running.run("rm", "/run/systemd/system/ringchatd.service.d/late.conf")
    running.systemctl("daemon-reload")
    running.systemctl("start", SERVICE)
    waiting.wait_for("members")
    assert running.texts()[-1] == "sent to a dead daemon"


def test_a_stop_stays_a_stop_while_clients_wait_for_the_daemon(running):
    tail = follow_events(running)
    # A chat wants a terminal.
    chat = running.follow("script", "-q", "-c", "stty -echo; ringchatctl chat", "/dev/null",
                          keep_input=True)
    running.control("send", "who is in the chat")
    chat.wait_for("who is in the chat")
    journal = running.follow("journalctl", "-f", "-n", "0", "-u", SERVICE, "-o", "cat")
    running.systemctl("stop", SERVICE)
    journal.wait_for("Stopped")
    journal.stays_without("Start", seconds=10)
    assert running.show(SERVICE, "ActiveState") == "inactive"
    assert running.show(SERVICE, "SubState") == "dead"
    assert tail.process.poll() is None and chat.process.poll() is None
    # And the tail goes on when somebody starts the daemon again.
    running.systemctl("start", SERVICE)
    running.control("send", "the tail goes on")
    tail.wait_for("the tail goes on")
    chat.wait_for("the tail goes on")


def test_a_stop_leaves_the_ring_and_the_others_are_told(lab):
    hosts = start_ring(lab, 3)
    tail = follow_events(hosts[0])
    hosts[2].systemctl("stop", SERVICE)
    hosts[0].control("send", "it has left")
    tail.wait_for("it has left")
    assert "left" in events_of(tail) and "failed" not in events_of(tail)
    assert hosts[2].show(SERVICE, "Result") == "success"
    # The status lines of those who stay follow, and with every few seconds the count.
    for host in hosts[:2]:
        await_status(host, r"(leader of 2 members|member of 2, leader host[12]), \d+ messages")
    hosts[0].control("leave")
    await_status(hosts[0], "left the ring")
    await_status(hosts[1], "leader of 1 member,")
    before = int(re.search(r"(\d+) message", hosts[1].show(SERVICE, "StatusText"))[1])
    hosts[1].control("send", "one more")
    await_status(hosts[1], f", {before + 1} messages")


def test_a_shutdown_of_the_host_leaves_the_ring(lab):
    hosts = start_ring(lab, 3)
    tail = follow_events(hosts[0])
    # Its end may take longer than its leaving.
    hosts[2].run("systemctl", "poweroff")
    tail.wait_for(r'"event": *"(left|failed)"')
    hosts[0].control("send", "it has left")
    tail.wait_for("it has left")
    assert "left" in events_of(tail) and "failed" not in events_of(tail)
