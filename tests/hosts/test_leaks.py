"""valgrind finds no leak and no error in a daemon that has done a bit of everything."""

import shutil

import pytest
from ring import await_everything, await_ring, await_same_history

# What is still reachable at the end is the loader's, for the modules that look up users' names.
KINDS = "definite,indirect,possible"
VALGRIND = ["valgrind", "--quiet", "--leak-check=full", f"--errors-for-leak-kinds={KINDS}",
            f"--show-leak-kinds={KINDS}", "--error-exitcode=99"]


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="there is no valgrind")
def test_no_leak_after_sigterm(lab):
    hosts = lab.make_hosts(3)
    for host in hosts:
        host.launch(wrapper=VALGRIND)
    for host in hosts:
        host.await_ready()
    await_ring(hosts)
    for host in hosts:
        host.send(f"hello from {host.name}")
    hosts[2].kill()
    await_ring(hosts[:2])
    hosts[2].start(wrapper=VALGRIND)
    await_ring(hosts)
    await_everything(hosts)
    await_same_history(hosts[1:], hosts[0])
    for host in hosts:
        host.end_tails()
    for host in hosts:
        assert host.terminate() == 0, host.log_text()
