"""Makes the hosts that a test asks for, and ends them whatever happens."""

import contextlib

import base
import lab as labs
import pytest


@pytest.fixture(scope="session")
def lowers(tmp_path_factory):
    """The directories that a host's root is laid over: what is installed, and the base."""
    reason = labs.why_impossible()
    if reason:
        pytest.skip(reason)
    labs.remove_leftovers()
    try:
        root = base.make_base()
    except base.Impossible as error:
        pytest.skip(str(error))
    return [base.install(tmp_path_factory.mktemp("installed")), root]


@contextlib.contextmanager
def open_lab(lowers, node):
    try:
        made = labs.Lab(lowers)
    except base.Impossible as error:
        pytest.skip(str(error))
    node.lab = made
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lab(lowers, request):
    """A lab of the test's own."""
    with open_lab(lowers, request.node) as made:
        yield made


@pytest.fixture(scope="module")
def module_lab(lowers, request):
    """A lab for all tests of a file."""
    with open_lab(lowers, request.node) as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every host's journal."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    found = getattr(item, "lab", None) or getattr(item.getparent(pytest.Module), "lab", None)
    for machine in found.machines.values() if found else []:
        with contextlib.suppress(Exception):
            text = machine.run("journalctl", "-q", "-n", "60", "-o", "short-precise",
                               "-u", "ringchatd*", "-u", "init.scope", check=False).stdout
            report.sections.append((f"journal of {machine.name}", text))
