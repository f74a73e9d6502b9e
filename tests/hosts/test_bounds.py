"""Who hangs or floods costs the others bounded memory, and nobody his turn."""

import collections
import contextlib
import json
import select
import socket
import threading

from client import PATIENCE, CallFailed
from flow import Flow, assert_chat, await_one_history
from host import SANITIZED
from ring import await_ring, leader_of, start_together

MIB = 1 << 20

# Nobody is taken for dead in this time.
PATIENT = "[Ring]\nHeartbeatIntervalSec=10\nHeartbeatTimeoutSec=30\nLinkTimeoutSec=30\n"

# What a daemon may hold beside what it held before: its own window and those of two others, what
# waits for a window, and the calls of the clients. A sanitizer keeps up to 256 MiB of what is
# freed, and surrounds what is not.
GROWTH = (512 if SANITIZED else 64) * MIB


class Flooder:
    """A client that sends and never reads. `taken` are the bytes that the daemon took until it
    would take no more."""

    def __init__(self, host, text):
        self.client = host.client()
        self.client.socket.settimeout(2)
        call = {"method": "org.ringchat.Send", "parameters": {"text": text, "timeout_usec": 0}}
        self.call = json.dumps(call).encode() + b"\0"
        self.taken = 0

    def flood(self, limit):
        """Until nothing is taken for 2 s, or the limit is reached."""
        try:
            while self.taken < limit:
                self.taken += self.client.socket.send(self.call)
        except TimeoutError:
            pass
        return self

    def close(self):
        self.client.socket.close()


def start_patient(lab, count):
    """One ring in which a hung member is waited for."""
    hosts = lab.make_hosts(count)
    for host in hosts:
        host.configure(PATIENT)
    start_together(hosts)
    return hosts


def test_a_client_that_floods_and_does_not_read_is_stopped_and_holds_up_nobody(lab):
    hosts = lab.make_hosts(2)
    start_together(hosts)
    before = hosts[0].memory()
    flooders = [Flooder(hosts[0], "x" * 200).flood(64 * MIB) for _ in range(3)]
    assert max(flooder.taken for flooder in flooders) < 8 * MIB
    assert hosts[0].memory() - before < GROWTH
    assert hosts[0].send("a message among the floods")["members"] == 2
    for flooder in flooders:
        flooder.close()
    await_one_history(hosts)


def test_a_client_that_asks_for_more_than_it_reads_costs_bounded_memory(lab):
    [host] = lab.make_hosts(1)
    host.start()
    lines = "".join(f"{number} {'x' * 1000}\n" for number in range(2000))
    host.control("send", "--each-line", text=lines.encode())
    before = host.memory()
    readers = [host.client() for _ in range(8)]
    for reader in readers:
        for _ in range(32):
            reader.request("History", more=True)
    assert host.send("while they do not read")["members"] == 1
    assert host.memory() - before < GROWTH
    for reader in readers:
        reader.socket.close()


def test_a_hung_successor_costs_bounded_memory_and_loses_nothing(lab):
    """The whole ring waits for the hung member, and takes no more than fits its windows."""
    hosts = start_patient(lab, 3)
    hung = leader_of(hosts)[1][1]
    rest = [host for host in hosts if host is not hung]
    view = rest[0].members()["view"]
    before = {host.name: host.memory() for host in rest}
    hung.pause()
    flooders = [Flooder(host, "x" * 16000) for host in rest for _ in range(3)]
    threads = [threading.Thread(target=flooder.flood, args=(200 * MIB,)) for flooder in flooders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for host in rest:
        assert host.memory() - before[host.name] < GROWTH
    assert rest[0].members()["view"] == view
    assert max(flooder.taken for flooder in flooders) < 32 * MIB
    for flooder in flooders:
        flooder.client.socket.shutdown(socket.SHUT_WR)
    hung.resume()
    for flooder in flooders:
        flooder.client.socket.settimeout(PATIENCE)
        while flooder.client.socket.recv(MIB):
            pass
        flooder.close()
    assert rest[0].members()["view"] == view
    history = await_one_history(hosts)
    sent = sum(flooder.taken // len(flooder.call) for flooder in flooders)
    assert history.count(b'"text":"xxxx') == sent


def answers_of(script):
    """How many of the 64 sends of a script were done; the others were too many."""
    done = 0
    for _ in range(64):
        try:
            assert script.reply()["members"] == 2
            done += 1
        except CallFailed as failure:
            assert failure.name == "org.ringchat.QuotaExceeded"
            assert failure.parameters == {"what": "unanswered sends", "limit": 1024}
    return done


def test_one_user_has_no_more_unanswered_sends_than_its_share(lab):
    """Who has many under way is held to fewer: about 24 scripts find room, and no 30."""
    hosts = start_patient(lab, 2)
    host, hung = leader_of(hosts)[0], leader_of(hosts)[1][0]
    hung.pause()
    with contextlib.ExitStack() as stack:
        scripts = [stack.enter_context(host.client(user="nobody")) for _ in range(30)]
        for script in scripts:
            for number in range(64):
                script.request("Send", text=f"line {number}", timeout_usec=0)
        # While the ring does not move nothing but a refusal is answered.
        refused, _, _ = select.select([script.socket for script in scripts], [], [], PATIENCE)
        refused = [script for script in scripts if script.socket in refused]
        assert [answers_of(script) for script in refused] == [0] * len(refused) != []
        other = stack.enter_context(host.client(user="daemon"))
        other.request("Send", text="others are not bothered", timeout_usec=0)
        hung.resume()
        assert other.reply()["members"] == 2
        done = [answers_of(script) for script in scripts if script not in refused]
        assert done.count(64) >= 1024 // 64
        # What is answered is given back.
        assert refused[0].call("Send", text="once more")["members"] == 2
    history = await_one_history(hosts)
    assert history.count(b'"text":"line ') == sum(done)


def test_while_all_flood_nobody_gets_less_than_half_of_his_share(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    lines = 4000
    texts = {host.name: "".join(f"{host.name} {number}\n" for number in range(lines)).encode()
             for host in hosts}
    threads = [threading.Thread(target=host.control, args=("send", "--each-line"),
                                kwargs={"text": texts[host.name]}) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = await_one_history(hosts)
    assert_chat(history, [line for text in texts.values() for line in text.decode().splitlines()])
    names = [message["node"] for message in map(json.loads, history.splitlines())
             if message["text"].startswith(f"{message['node']} ")]
    # From where all are at it to where the first one is done.
    first = max(names.index(host.name) for host in hosts)
    last = min(len(names) - 1 - names[::-1].index(host.name) for host in hosts)
    shares = collections.Counter(names[first:last + 1])
    assert sum(shares.values()) > lines
    assert min(shares.values()) > sum(shares.values()) / len(hosts) / 2, shares


def test_one_who_floods_does_not_starve_the_others(lab):
    hosts = lab.make_hosts(3)
    start_together(hosts)
    others = hosts[1:]
    stopping = threading.Event()

    def flood():
        while not stopping.is_set():
            hosts[0].control("send", "--each-line", text=b"flood\n" * 2000)

    flooding = threading.Thread(target=flood)
    flooding.start()
    flow = Flow(others)
    flow.await_more(others, 50)
    stopping.set()
    flooding.join()
    assert not flow.errors
    await_ring(hosts)
    flow.stop()
    for host in hosts:
        assert "failed" not in host.log_text()
