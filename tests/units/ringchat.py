"""ringchat on a host of a lab: installed, configured, in a ring."""

import json

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
    for machine in machines:
        machine.control("-q", "wait", "--members", str(len(machines)), "--timeout", "60")
    names = sorted(machine.name for machine in machines)
    for machine in machines:
        assert sorted(member["name"] for member in machine.members()["members"]) == names


def follow_events(machine):
    """A tail with events that has begun: what is sent from now on is in it."""
    tail = machine.follow("ringchatctl", "--json", "tail", "-f", "--events", "-n", "0")
    machine.control("send", f"{machine.name} listens")
    tail.wait_for(f"{machine.name} listens")
    return tail


def events_of(tail):
    return [json.loads(line)["event"] for line in list(tail.lines) if '"event"' in line]
