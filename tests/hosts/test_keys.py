"""Who holds the key gets in, and nobody else."""

from keyring import give_keys, make_key
from ring import await_ring, start_together


def test_hosts_with_the_same_key_become_one_ring_and_chat(lab):
    key = make_key()
    hosts = [give_keys(host, key) for host in lab.make_hosts(3)]
    start_together(hosts)
    assert hosts[0].send("in a sealed envelope")["members"] == 3
