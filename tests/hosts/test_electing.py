"""`elect` makes the member that is named the leader, everywhere, and chat goes on."""

import re
import threading

import pytest
from flow import Flow
from ring import await_everything, await_ring, leader_of, start_together


@pytest.fixture(scope="module")
def hosts(module_lab):
    made = module_lab.make_hosts(3)
    start_together(made)
    return made


def assert_led_by(hosts, elected, answer):
    """`wait --leader` returns on every host, and a fresh list shows the leader that was told."""
    assert answer["leader_name"] == elected.name
    for host in hosts:
        host.wait("--members", str(len(hosts)), "--leader", elected.name)
    for host in hosts:
        members = host.json("members", "--refresh")
        assert members["leader"] == answer["leader"]
        assert members["epoch"] == answer["epoch"]


def test_each_host_can_make_itself_the_leader(hosts):
    for host in hosts:
        assert_led_by(hosts, host, host.json("elect"))


def test_a_member_can_be_made_the_leader_from_any_other_by_its_name(hosts):
    leader, [first, second] = leader_of(hosts)
    assert_led_by(hosts, second, first.json("elect", second.name))
    assert_led_by(hosts, leader, first.json("elect", leader.name))


def test_four_digits_of_an_id_name_a_member(hosts):
    leader, [first, second] = leader_of(hosts)
    ids = {member["name"]: member["id"] for member in first.members()["members"]}
    assert_led_by(hosts, second, leader.json("elect", ids[second.name][:8]))


def test_electing_the_leader_changes_nothing(hosts):
    leader, [first, _] = leader_of(hosts)
    view = leader.members()["view"]
    assert first.json("elect", leader.name)["leader_name"] == leader.name
    assert first.members()["view"] == view


@pytest.mark.parametrize("node", ["host9", "", "f00", "host1~1234"])
def test_a_node_that_is_no_member_is_refused(hosts, node):
    view = hosts[0].members()["view"]
    done = hosts[0].control("elect", "--", node, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"no member is called {node}".encode() in done.stderr
    assert hosts[0].members()["view"] == view


def test_who_is_no_administrator_is_refused(hosts):
    view = hosts[0].members()["view"]
    done = hosts[0].control("elect", user="nobody", check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"may not do this; run: sudo usermod" in done.stderr
    assert hosts[0].members()["view"] == view


def test_elections_at_the_same_time_all_get_their_answer_and_leave_one_leader(hosts):
    answers = {}
    threads = [threading.Thread(target=lambda host=host: answers.update({host.name: host.json(
        "elect")})) for host in hosts for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: answer["leader_name"] for name, answer in answers.items()} == \
        {host.name: host.name for host in hosts}
    await_ring(hosts)


def test_elections_under_load_lose_and_repeat_nothing(hosts):
    flow = Flow(hosts)
    for host in hosts * 3:
        flow.await_more(hosts, 5)
        host.control("elect")
    flow.await_more(hosts, 5)
    acknowledged = flow.stop()
    assert not flow.errors
    await_everything(hosts)
    assert len({host.history() for host in hosts}) == 1
    texts = [message["text"] for message in hosts[0].messages() if message["kind"] == "chat"]
    assert len(texts) == len(set(texts))
    assert set(acknowledged) <= set(texts)


def test_a_host_that_has_left_elects_nobody(hosts):
    _, [first, _] = leader_of(hosts)
    first.control("leave")
    done = first.control("elect", check=False)
    assert done.returncode == 1
    assert b"ringchatctl join" in done.stderr
    first.control("join")
    await_ring(hosts)


def test_a_name_of_two_members_is_refused_with_their_ids(lab):
    hosts = lab.make_hosts(3)
    for host in hosts[1:]:
        host.name = "twin"
    for host in hosts:
        host.start()
    for host in hosts:
        host.wait("--members", "3")
    members = hosts[0].members()["members"]
    ids = {member["id"] for member in members if member["name"].startswith("twin~")}
    done = hosts[0].control("elect", "twin", check=False)
    assert done.returncode == 1
    assert ids == set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}", done.stderr.decode()))
    for member in members:
        assert hosts[0].json("elect", member["name"])["leader"] == member["id"]
