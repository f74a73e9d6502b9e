"""Keys on real hosts: setup on the first, one line pasted on the next; credentials; rotation where
the daemon may write."""

import pathlib
import re

import pytest
from ringchat import SERVICE, await_ring, install

TREE = pathlib.Path(__file__).parents[2]
SETUP = "/srv/ringchat/systemd/setup"

# The hosts have no compiler and no network to get one from: what setup would build and install is
# there already, so its tools have nothing to do.
DONE_BEFORE = {"/usr/local/bin/dpkg-query": "echo ii", "/usr/bin/meson": "exit 0",
               "/usr/bin/ninja": "exit 0", "/usr/local/bin/apt-get": "exit 0"}


def with_setup(machine):
    machine.write(SETUP, (TREE / "systemd/setup").read_text())
    for path, words in DONE_BEFORE.items():
        machine.write(path, f"#!/bin/sh\n{words}\n")
    machine.write("/srv/ringchat/build-release/meson-logs/install-log.txt",
                  "/usr/local/sbin/ringchatd\n")
    machine.run("chmod", "+x", SETUP, *DONE_BEFORE)


def key_in(text):
    [line] = re.findall(r"^ *(rck1_\w+)$", text, re.M)
    return line


def test_setup_on_two_fresh_hosts_with_the_line_pasted_makes_one_ring(lab):
    machines = lab.boot(2)
    for machine in machines:
        with_setup(machine)
    said = machines[0].run(SETUP).stdout
    assert "systemd/setup --key -" in said
    machines[1].run(SETUP, "--key", "-", text=key_in(said) + "\n")
    await_ring(machines)
    machines[0].control("send", "from the first")
    assert "from the first" in machines[1].texts()
    # Running it again changes nothing, and shows the same line.
    assert key_in(machines[0].run(SETUP).stdout) == key_in(said)
    await_ring(machines)


def test_setup_refuses_a_key_as_an_argument_and_what_is_no_key(lab):
    [machine] = lab.boot(1)
    with_setup(machine)
    done = machine.run(SETUP, "--key", "rck1_00000000", check=False)
    assert done.returncode == 1 and "never an argument" in done.stderr
    done = machine.run(SETUP, "--key", "-", text="hello\n", check=False)
    assert done.returncode == 1 and "rck1_" in done.stderr
    assert machine.run("systemctl", "is-active", SERVICE, check=False).returncode != 0


@pytest.fixture
def keyed(lab):
    """Two hosts of one ring whose key came as a credential."""
    machines = lab.boot(2)
    machines[0].run("ringchatctl", "key", "generate", "--file", "/root/keyring")
    line = machines[0].output("ringchatctl", "key", "show", "--file", "/root/keyring")
    for machine in machines:
        install(machine)
        machine.write("/etc/credstore/ringchat.key", line + "\n")
        machine.run("chmod", "0600", "/etc/credstore/ringchat.key")
        machine.systemctl("start", "--no-block", SERVICE)
    await_ring(machines)
    return machines


def test_a_credential_seeds_the_keyring_once_and_the_state_wins_from_then_on(keyed):
    first, second = keyed
    old = first.output("ringchatctl", "--no-legend", "key", "list").split()[0]
    new = re.search(r"key (\w{8})", first.output("ringchatctl", "key", "generate"))[1]
    first.run("ringchatctl", "key", "use", new)
    first.run("ringchatctl", "key", "remove", old)
    for machine in keyed:
        machine.systemctl("restart", SERVICE)
    await_ring(keyed)
    for machine in keyed:
        assert machine.output("ringchatctl", "--no-legend", "key", "list").split() == [
            new, "in", "use"]
        assert machine.output("stat", "-c", "%a %U", "/var/lib/ringchat/keyring") == "600 ringchat"
    assert machine.output("systemctl", "show", "-P", "StatusText", SERVICE).endswith("messages")
