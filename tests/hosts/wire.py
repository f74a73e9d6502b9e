"""Strangers on a network of hosts: sockets inside a host's network that are no daemon's."""

import contextlib
import ctypes
import socket
import threading

from client import PATIENCE

PORT = 7263
_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace):
    """This thread makes its sockets in the network namespace of that name."""
    with open("/proc/thread-self/ns/net", "rb") as home, \
            open(f"/run/netns/{namespace}", "rb") as there:
        assert _libc.setns(there.fileno(), _CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _libc.setns(home.fileno(), _CLONE_NEWNET) == 0


def socket_in(namespace, *arguments):
    with inside(namespace):
        made = socket.socket(*arguments)
    made.settimeout(PATIENCE)
    return made


class Capture:
    """Everything that passes a host's interface, from now until it is stopped."""

    def __init__(self, namespace):
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                        socket.htons(_ETH_P_ALL))
            self.socket.bind(("eth0", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.socket.settimeout(0.1)
        self.packets = []
        self.stopping = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                self.packets.append(self.socket.recv(65536))
            except TimeoutError:
                if self.stopping:
                    return

    def stop(self):
        """The packets, as they came."""
        self.stopping = True
        self.thread.join(PATIENCE)
        self.socket.close()
        return self.packets


def datagrams(packets):
    """(source, destination, bytes) of every UDP datagram over IPv4 among captured packets."""
    for packet in packets:
        if packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_UDP:
            continue
        header = (packet[14] & 15) * 4
        udp = 14 + header
        size = int.from_bytes(packet[udp + 4:udp + 6], "big")
        yield (socket.inet_ntoa(packet[26:30]), socket.inet_ntoa(packet[30:34]),
               packet[udp + 8:udp + size])


class Impostor:
    """Accepts at a port of a host. `treat` is called for each connection,
    in a thread of its own; what it returns is kept in `seen`."""

    def __init__(self, namespace, port, treat):
        self.listener = socket_in(namespace, socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", port))
        self.listener.listen(64)
        self.treat = treat
        self.seen = []
        self.changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, address = self.listener.accept()
                peer.settimeout(PATIENCE)
                threading.Thread(target=self._treat, args=(peer, address[0]), daemon=True).start()

    def _treat(self, peer, address):
        result = b""
        with peer, contextlib.suppress(OSError):
            result = self.treat(peer, address)
        with self.changed:
            self.seen.append(result)
            self.changed.notify_all()

    def await_one(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.seen, PATIENCE), "nobody came"
            return self.seen[0]

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def splice(one, other):
    """Carries bytes both ways until one side closes."""
    def carry(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join(PATIENCE)
