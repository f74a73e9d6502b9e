"""The network comes after the daemon, goes, changes, and comes back."""

from ringchat import SERVICE, await_members, await_ring, configure, install, start_ring


def addresses_of(host):
    return {member["name"]: member["address"] for member in host.members()["members"]}


def test_the_service_starts_at_boot_before_the_network_and_joins_when_it_appears(lab):
    hosts = start_ring(lab, 2)
    late = lab.make("unplugged").boot()
    install(late)
    configure(late)
    late.systemctl("enable", SERVICE)
    late.reboot()
    assert late.show(SERVICE, "ActiveState") == "active"
    late.control("send", "before there was a network")
    assert [member["name"] for member in late.members()["members"]] == [late.name]
    hosts[0].control("send", "meanwhile in the ring")

    late.bring_up()
    await_ring([*hosts, late])
    assert addresses_of(hosts[0])[late.name] == f"{late.address}:7263"
    late.control("send", "and now all hear it")
    for host in [*hosts, late]:
        host.control("-q", "wait", "--members", "3")
    texts = {"before there was a network", "meanwhile in the ring", "and now all hear it"}
    for host in [*hosts, late]:
        host.follow("ringchatctl", "tail", "-f", "-n", "100").wait_for("before there was")
        assert texts <= set(host.texts())
    assert late.show(SERVICE, "NRestarts") == "0"


def test_a_host_that_gets_another_address_stays_and_the_others_learn_it(lab):
    hosts = start_ring(lab, 3)
    moving = hosts[1]
    journal = moving.follow("journalctl", "-f", "-n", "0", "-o", "cat", "-u", SERVICE)
    moving.run("ip", "-batch", "-", text=(
        f"addr del {moving.address}/24 dev eth0\n"
        "addr add 10.78.0.77/24 brd + dev eth0\nroute replace default dev eth0\n"))
    journal.wait_for(r"reached at 10\.78\.0\.77:7263")
    for host in hosts:
        await_members(host, lambda host: addresses_of(host) == {
            "host1": "10.78.0.1:7263", "host2": "10.78.0.77:7263", "host3": "10.78.0.3:7263"})
    assert moving.show(SERVICE, "NRestarts") == "0"
    moving.control("send", "from the new address")


def test_a_host_whose_cable_is_pulled_comes_back_when_it_is_plugged_in(lab):
    hosts = start_ring(lab, 3)
    lonely, rest = hosts[2], hosts[:2]
    lonely.pull_cable()
    await_ring(rest)
    await_members(lonely, lambda host: len(addresses_of(host)) == 1)
    lonely.control("send", "nobody hears this yet")
    rest[0].control("send", "the others go on")
    lonely.plug_cable()
    await_ring(hosts)
    for host in hosts:
        assert not [one for one in addresses_of(host).values() if one.startswith("127.")]
        host.follow("ringchatctl", "tail", "-f", "-n", "100").wait_for("nobody hears this yet")


def test_a_host_waits_for_the_address_that_listen_asks_for(lab):
    hosts = start_ring(lab, 2)
    configure(hosts[1], "[Ring]\nListen=10.78.0.55\n", name="listen")
    hosts[1].systemctl("restart", SERVICE)
    lines = [entry["MESSAGE"] for entry in hosts[1].journal("-u", SERVICE)]
    assert any("no interface is usable" in line for line in lines)
    hosts[1].run("ip", "addr", "add", "10.78.0.55/24", "dev", "eth0")
    await_ring(hosts)
    assert addresses_of(hosts[0])["host2"] == "10.78.0.55:7263"
