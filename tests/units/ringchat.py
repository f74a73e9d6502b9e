"""ringchat on a host of a lab: installed, configured, in a ring."""

import json
import time

from machine import PATIENCE

SERVICE = "ringchatd.service"


def install(machine):
    """What a package's scripts do once the files are there."""
    machine.run("sh", "-ec", "systemd-sysusers; systemd-tmpfiles --create ringchat.conf;"
                " journalctl --update-catalog; systemctl daemon-reload")


def configure(machine, text="[Ring]\nKey=none\nGreeting=no\n", name="test"):
    machine.write(f"/etc/ringchat/ringchatd.conf.d/{name}.conf", text)


def start_ring(lab, count):
    """Booted hosts whose daemons are one ring."""
    machines = lab.boot(count)
    for machine in machines:
        install(machine)
        configure(machine)
        machine.systemctl("start", "--no-block", SERVICE)
    await_ring(machines)
    return machines


def await_ring(machines):
    """Waits until each of the hosts has a ring of all of them."""
    for machine in machines:
        machine.systemctl("start", SERVICE)
    names = {machine.name for machine in machines}
    for machine in machines:
        await_members(machine, lambda machine: names == {
            member["name"] for member in machine.members()["members"]})


def await_members(machine, condition):
    """Waits until condition(machine) holds; the ring's events say when to look again, and so does a
    second without any: the first one may come before the tail is there."""
    tail = machine.follow("ringchatctl", "--json", "tail", "-f", "--events", "-n", "0")
    end = time.monotonic() + PATIENCE
    while not condition(machine):
        assert time.monotonic() < end, f"{machine.name} stays at {machine.members()}"
        with tail.changed:
            tail.changed.wait(1)
    tail.close()


def follow_events(machine):
    """A tail with events that has begun: what is sent from now on is in it."""
    tail = machine.follow("ringchatctl", "--json", "tail", "-f", "--events", "-n", "1")
    machine.control("send", f"{machine.name} listens")
    tail.wait_for(f"{machine.name} listens")
    return tail


def events_of(tail):
    return [json.loads(line)["event"] for line in list(tail.lines) if '"event"' in line]
