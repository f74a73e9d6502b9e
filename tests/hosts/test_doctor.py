"""What ring, doctor and status say on a real network with real faults."""

import json
import socket
import subprocess
import time

import pytest
from client import PATIENCE
from host import SANITIZED
from keyring import give_keys, make_key
from ring import await_ring, leader_of, start_together
from wire import PORT, Capture, datagrams, socket_in


@pytest.fixture
def hosts(lab):
    made = lab.make_hosts(3)
    start_together(made)
    return made


def checks(host):
    done = host.control("--json", "doctor", check=False)
    found = json.loads(done.stdout)["checks"]
    assert done.returncode == (1 if any(check["result"] == "failed" for check in found) else 0)
    return found


def wrong(host):
    """(check, interface) of all that is wrong, but for the key: these tests have none."""
    return {(check["check"], check.get("interface")) for check in checks(host)
            if check["result"] != "ok" and check["check"] != "key"}


def await_wrong(host, expected):
    """Leaders announce themselves every 2 s, so what is heard of them takes a moment; a doctor
    takes half a second."""
    for _ in range(2 * PATIENCE):
        if wrong(host) == expected:
            return
    raise AssertionError(checks(host))


def test_doctor_finds_nothing_wrong_in_a_ring_that_works(hosts):
    for host in hosts:
        await_wrong(host, set())


def test_a_firewall_of_this_host_is_found(lab):
    host, other = lab.make_hosts(2)
    lab.networks[0].run(1, "nft", "-f", "-", text=(
        "table inet filter {\nchain input {\ntype filter hook input priority 0;\n"
        "udp dport 7263 drop\ntcp dport 7263 drop\n}\n}\n"))
    for made in (host, other):
        made.start()
    await_wrong(host, {("ring", None), ("firewall", "eth0"), ("multicast_in", "eth0")})
    [check] = [check for check in checks(host) if check["check"] == "firewall"]
    assert check["result"] == "failed" and "7263" in check["cure"]


@pytest.mark.parametrize("arguments, text", [([], "sealed with the key of this ring"),
                                             (["--key", "none"], "of another name: others")])
def test_a_host_of_another_ring_name_is_noticed(lab, arguments, text):
    host, other = lab.make_hosts(2, arguments)
    other.arguments += ["--ring", "others"]
    for made in (host, other):
        made.start()
    await_wrong(host, {("ring", None), ("ring_name", None)})
    [check] = [check for check in checks(host) if check["check"] == "ring_name"]
    assert text in check["text"]


def test_a_host_that_is_cut_off_sees_that_nobody_is_heard(lab, hosts):
    lab.networks[0].cut(1)
    await_ring(hosts[1:])
    await_ring(hosts[:1])
    # Whom it heard just before is remembered for a while.
    assert ("ring", None) in wrong(hosts[0])
    lab.networks[0].heal(1)
    await_ring(hosts)


def test_who_failed_stays_in_the_ring_s_picture_and_is_warned_of_when_it_comes_and_goes(hosts):
    flapping, *others = hosts
    for _ in range(3):
        flapping.kill()
        await_ring(others)
        flapping.start()
        await_ring(hosts)
    gone = others[0].members()["gone"]
    assert [(node["event"], node["name"]) for node in gone] == 3 * [("failed", flapping.name)]
    assert "and is back" in others[0].control("ring").stdout.decode()
    warnings = others[0].json("status")["warnings"]
    assert any(f"{flapping.name} has failed 3 times" in warning for warning in warnings), warnings


def test_a_host_with_another_key_is_named(lab):
    host, other = lab.make_hosts(2)
    for made in (host, other):
        give_keys(made, make_key())
        made.start()
    for _ in range(2 * PATIENCE):
        keys = [check for check in checks(host) if check["check"] == "key"]
        if keys[0]["result"] == "failed":
            break
    assert " uses key " in keys[0]["text"] and "key add" in keys[0]["cure"]


def test_a_disk_that_is_nearly_full_is_warned_of(lab):
    [host] = lab.make_hosts(1)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", host.state], check=True)
    try:
        host.start()
        warnings = host.json("status")["warnings"]
        assert any("the disk is nearly full" in warning and str(host.state) in warning
                   for warning in warnings), warnings
        host.terminate()
    finally:
        host.abandon()
        subprocess.run(["umount", host.state], check=True)


@pytest.mark.skipif(SANITIZED, reason="half a minute shows nothing here that it does not elsewhere")
def test_a_member_whose_leader_is_not_heard_by_multicast_is_warned_of_silence(lab):
    hosts = lab.make_hosts(2)
    for number in lab.networks[0].hosts:
        lab.networks[0].block_multicast(number)
    hosts[1].arguments += ["--peer", hosts[0].address]
    start_together(hosts)
    leader, [follower] = leader_of(hosts)
    deadline = time.monotonic() + 30 + PATIENCE
    with follower.client() as client:
        while not any(warning.startswith("multicast is silent: ") and "doctor" in warning
                      for warning in client.call("Status")["status"]["warnings"]):
            assert time.monotonic() < deadline
            hosts[0].control("wait", "--members", "3", "--timeout", "1", check=False)
    assert "multicast is silent" not in str(leader.json("status")["warnings"])
    assert ("multicast_in", "eth0") in wrong(follower)


def other_versions(datagram, node):
    """What a host said, as another host would say it that knows no version of this one's: the
    versions stand behind a header of 16 bytes (ringchat-protocol(7))."""
    said = bytes.fromhex(node.replace("-", ""))
    assert datagram[16:18] == b"\1\1" and said in datagram
    forged = bytearray(datagram.replace(said, bytes(reversed(said))))
    forged[16:18] = b"\x07\x09"
    return forged


def test_a_host_that_speaks_other_versions_of_the_protocol_is_found(lab):
    host, other = lab.make_hosts(2, ["--key", "none"])
    capture = Capture(lab.networks[0].hosts[1])
    host.start()
    await_wrong(host, {("ring", None), ("multicast_in", "eth0")})
    said = next(data for source, to, data in datagrams(capture.stop())
                if source == host.address and to.startswith("239."))
    with socket_in(lab.networks[0].hosts[2], socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("", PORT))
        sender.sendto(other_versions(said, host.json("status")["id"]), (host.address, PORT))
        await_wrong(host, {("ring", None), ("version", None), ("multicast_in", "eth0")})
    [check] = [check for check in checks(host) if check["check"] == "version"]
    assert check["result"] == "failed"
    assert check["text"] == (f"{other.address}:7263 speaks version 7 of the protocol, this host "
                             "another")
    assert "upgrade the older" in check["cure"]
    assert "speaks version 7 of the protocol, this node 1" in host.log_text()
