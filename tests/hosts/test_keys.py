"""Keys: made on one host, taken over by the others, changed on a live ring."""

import os

import pytest
from keyring import give_keys, key_id, make_key, take_keys
from flow import Flow
from ring import await_ring, start_together


def without_keys(hosts):
    return [take_keys(host) for host in hosts]


def listed(host):
    """The ids of the host's keys, the one in use first."""
    keys = host.json("key", "list")["keys"]
    return [key["id"] for key in sorted(keys, key=lambda key: not key["used"])]


def await_key(host, used):
    """Waits until the host uses that key: it is told with the first change of the ring."""
    with host.client() as events, host.client() as client:
        events.request("Tail", more=True, follow=True, events=True, lines=0)
        while next(key["id"] for key in client.call("KeyList")["keys"] if key["used"]) != used:
            client.call("Send", text="is the key there?")
            events.reply()


def test_fresh_hosts_become_one_ring_when_the_key_of_the_first_is_pasted_on_the_others(lab):
    hosts = without_keys(lab.make_hosts(3))
    for host in hosts:
        host.start()
        assert host.json("status")["members"] == 1
    hosts[0].control("key", "generate")
    line = hosts[0].control("key", "show").stdout
    for host in hosts[1:]:
        host.control("key", "add", text=line)
    await_ring(hosts)
    assert hosts[0].send("in a sealed envelope")["members"] == 3
    assert {tuple(listed(host)) for host in hosts} == {(key_id(line.decode()),)}


def test_keys_are_readable_by_their_owner_only(lab):
    [host] = without_keys(lab.make_hosts(1))
    host.start()
    host.control("key", "generate")
    assert os.stat(host.state / "keyring").st_mode & 0o777 == 0o600
    assert host.terminate() == 0
    os.chmod(host.state / "keyring", 0o640)
    host.launch()
    assert host.process.wait(30) == 1
    assert "chmod 0600" in host.log_text()


def test_a_host_without_a_key_says_so_and_what_to_do_where_one_looks(lab):
    [host] = without_keys(lab.make_hosts(1))
    host.start()
    for verb in ("status", "members"):
        assert "ringchatctl key generate" in host.control(verb).stdout.decode()
    assert "no ring key" in host.json("send", "to nobody")["warning"]
    host.control("key", "generate")
    for verb in ("status", "members"):
        assert "key" not in host.control(verb).stdout.decode()
    assert "warning" not in host.json("send", "to the ring")


def test_a_host_that_talks_in_the_clear_says_so(lab):
    [host] = lab.make_hosts(1, ["--key", "none"])
    host.start()
    for verb in ("status", "members"):
        assert "in the clear" in host.control(verb).stdout.decode()
    assert host.control("key", "generate", check=False).returncode == 1


@pytest.mark.parametrize("mistake", ["cut", "mistyped", "other"])
def test_a_key_that_is_none_is_refused_with_what_to_do(lab, mistake):
    [host] = without_keys(lab.make_hosts(1))
    host.start()
    key = make_key()
    digit = "1" if key[20] == "0" else "0"
    line = {"cut": key[:-3], "mistyped": key[:20] + digit + key[21:], "other": "hello"}[mistake]
    done = host.control("key", "add", text=line.encode(), check=False)
    assert done.returncode == 1
    assert b"copy its line whole" in done.stderr or b"ringchatctl key show" in done.stderr
    assert host.json("key", "list")["keys"] == []


def test_a_key_is_never_an_argument(lab):
    [host] = without_keys(lab.make_hosts(1))
    host.start()
    assert host.control("key", "add", make_key(), check=False).returncode == 2
    assert host.json("key", "list")["keys"] == []


def test_the_key_of_a_live_ring_is_changed_while_everybody_chats(lab):
    old = make_key()
    hosts = [give_keys(host, old) for host in lab.make_hosts(3)]
    before = start_together(hosts)
    flow = Flow(hosts)
    flow.await_more(hosts, 10)
    new = hosts[0].json("key", "generate")["id"]
    assert {tuple(listed(host)) for host in hosts} == {(key_id(old), new)}
    hosts[0].control("key", "use", new)
    assert {tuple(listed(host)) for host in hosts} == {(new, key_id(old))}
    assert hosts[0].members()["view"] == before["view"]
    hosts[0].control("key", "remove", key_id(old))
    assert {tuple(listed(host)) for host in hosts} == {(new,)}
    flow.await_more(hosts, 10)
    assert not flow.errors
    flow.stop()
    await_ring(hosts)


def test_who_was_away_comes_back_by_the_old_key_and_later_is_told_what_to_do(lab):
    old = make_key()
    hosts = [give_keys(host, old) for host in lab.make_hosts(3)]
    start_together(hosts)
    away = hosts[2]
    assert away.terminate() == 0
    new = hosts[0].json("key", "generate")["id"]
    hosts[0].control("key", "use", new)
    away.start()
    await_ring(hosts)
    await_key(away, new)

    assert away.terminate() == 0
    last = hosts[0].json("key", "generate")["id"]
    hosts[0].control("key", "use", last)
    for key in (new, key_id(old)):
        hosts[0].control("key", "remove", key)
    away.start()
    with away.client() as client:
        while not (cures := [warning for warning in client.call("Status")["status"]["warnings"]
                             if last in warning]):
            away.control("wait", "--members", "2", "--timeout", "1", check=False)
    assert "ringchatctl key add" in cures[0]
    away.control("key", "add", text=hosts[0].control("key", "show").stdout)
    await_ring(hosts)
