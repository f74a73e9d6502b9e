"""Makes the hosts that a test asks for, and ends them whatever happens."""

import contextlib
import os
import shutil
import tempfile

import network
import pytest
from client import PATIENCE
from host import CONTROL, DAEMON, Host


@pytest.fixture(scope="session", autouse=True)
def ready_machine():
    """Skips everything where no network can be made; removes what a killed run left."""
    reason = network.why_impossible()
    if reason:
        pytest.skip(reason)
    for program in (DAEMON, CONTROL):
        assert program.exists(), f"{program} is not built; RINGCHAT_BUILD names the build directory"
    network.remove_leftovers()


class Lab:
    """Makes networks and hosts, none of them started."""

    def __init__(self, directory):
        self.directory = directory
        self.hosts, self.networks = [], []

    def make_network(self, size):
        self.networks.append(network.Network(size))
        return self.networks[-1]

    def make_hosts(self, size, arguments=()):
        """Hosts host1, host2, … on one network."""
        net = self.make_network(size)
        directory = os.path.join(self.directory, f"network{len(self.networks)}")
        os.mkdir(directory, 0o755)
        made = [Host(directory, f"host{number}", net.inside(number), arguments,
                     net.address(number)) for number in net.hosts]
        self.hosts.extend(made)
        return made

    def make_instances(self, count, with_network=False):
        """The same within one host, that has nothing but its loopback interface."""
        net = self.make_network(1)
        if not with_network:
            net.run(1, "ip", "link", "del", "eth0")
        made = [Host(self.directory, f"instance{number}", net.inside(1))
                for number in range(1, count + 1)]
        self.hosts.extend(made)
        return made

    def close_networks(self):
        for net in self.networks:
            net.close()


@contextlib.contextmanager
def open_lab(node):
    """A lab. At the end every daemon that still runs is asked to leave, and must do so in good
    order and without a finding of a sanitizer."""
    # A socket's path has 108 bytes at most, and users other than root must get to it.
    path = tempfile.mkdtemp(prefix="ringhosts-")
    os.chmod(path, 0o755)
    node.lab = made = Lab(path)
    try:
        yield made
        end_all(made.hosts)
    finally:
        for host in made.hosts:
            host.abandon()
        made.close_networks()
        shutil.rmtree(path)


@pytest.fixture
def lab(request):
    """A lab of the test's own."""
    with open_lab(request.node) as made:
        yield made


@pytest.fixture(scope="module")
def module_lab(request):
    """A lab for all tests of a file."""
    with open_lab(request.node) as made:
        yield made


def end_all(hosts):
    for host in hosts:
        host.end_tails()
    running = [host for host in hosts if host.runs()]
    for host in running:
        host.process.terminate()
    statuses = {host.name: host.process.wait(PATIENCE) for host in running}
    findings = [f"{host.name}: {host.findings()}" for host in hosts if host.findings()]
    assert not findings, "\n".join(findings)
    assert all(status == 0 for status in statuses.values()), statuses


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every host's log."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        found = getattr(item, "lab", None) or getattr(item.getparent(pytest.Module), "lab", None)
        for host in found.hosts if found else []:
            lines = host.log_text().splitlines()
            report.sections.append((f"log of {host.name}", "\n".join(lines[-60:])))
