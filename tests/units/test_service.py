"""The service: how it starts, stops, restarts, and what it says of itself."""

import re

import pytest
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
    for _ in range(3):
        before = len(calls.lines)
        running.systemctl("restart", SERVICE)
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


def test_a_shutdown_of_the_host_leaves_the_ring(lab):
    hosts = start_ring(lab, 3)
    tail = follow_events(hosts[0])
    hosts[2].off()
    hosts[0].control("send", "it has left")
    tail.wait_for("it has left")
    assert "left" in events_of(tail) and "failed" not in events_of(tail)
