"""A raw KRPC peer: a UDP socket that speaks BEP 5.

The tests use it to see the node under test from outside. A test may send any
value as a message, also one that a proper node would not send.
"""

import itertools
import os
import socket
import struct
import threading
from collections import namedtuple

from bencode import BencodeError, bdecode, bencode

ID_LENGTH = 20
CONTACT_LENGTH = ID_LENGTH + 6
CONTACT6_LENGTH = ID_LENGTH + 18
LARGEST_DATAGRAM = 65535

Contact = namedtuple("Contact", "id host port")
Query = namedtuple("Query", "method arguments source")


class NoReply(AssertionError):
    """An address did not answer a query in time."""


def is_ipv6(host):
    """Returns whether a numeric address is IPv6."""
    return ":" in host


def endpoint_text(host, port):
    """Returns "192.0.2.1:6881" or "[2001:db8::1]:6881"."""
    return f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}"


def pack_endpoint(host, port):
    """Returns `host` and `port` in the 6 or 18 bytes of BEP 5 and BEP 32."""
    family = socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
    return socket.inet_pton(family, host) + struct.pack(">H", port)


def unpack_endpoint(data):
    """Returns the host and port of 6 or 18 compact bytes."""
    family = socket.AF_INET6 if len(data) == 18 else socket.AF_INET
    return (
        socket.inet_ntop(family, data[:-2]),
        struct.unpack(">H", data[-2:])[0],
    )


def pack_nodes(contacts):
    """Returns the compact `nodes` or `nodes6` string of some contacts."""
    return b"".join(c.id + pack_endpoint(c.host, c.port) for c in contacts)


def unpack_nodes(data, contact_length):
    """Returns the contacts in a compact `nodes` or `nodes6` string."""
    if len(data) % contact_length:
        raise BencodeError(f"nodes of {len(data)} bytes")
    contacts = [
        data[at : at + contact_length]
        for at in range(0, len(data), contact_length)
    ]
    return [
        Contact(c[:ID_LENGTH], *unpack_endpoint(c[ID_LENGTH:]))
        for c in contacts
    ]


def _decoded(data):
    """Returns the dictionary that a datagram encodes, or None."""
    try:
        message = bdecode(data)
    except BencodeError:
        return None
    return message if isinstance(message, dict) else None


class Reply:
    """A reply or error: the decoded message and its bytes."""

    def __init__(self, message, data):
        self.message = message
        self.data = data

    @property
    def size(self):
        """Its size on the wire, in bytes."""
        return len(self.data)

    @property
    def error_code(self):
        """The code of an error reply, or None for a response."""
        error = self.message.get(b"e")
        return error[0] if error else None

    @property
    def values(self):
        """The dictionary of return values; empty for an error."""
        return self.message.get(b"r", {})

    @property
    def nodes(self):
        """The contacts in the reply, IPv4 first."""
        nodes = self.values.get(b"nodes", b"")
        nodes6 = self.values.get(b"nodes6", b"")
        return unpack_nodes(nodes, CONTACT_LENGTH) + unpack_nodes(
            nodes6, CONTACT6_LENGTH
        )

    @property
    def peers(self):
        """The (host, port) of each peer in the reply."""
        return [
            unpack_endpoint(peer) for peer in self.values.get(b"values", [])
        ]

    def __repr__(self):
        return f"Reply({self.message!r})"


class Peer:
    """A KRPC peer on a UDP socket of its own, served by one thread.

    With `answers` false it does not answer queries, so that a node must not
    hand it out as a contact. `hands_out` are the contacts in its replies. Use
    it as a context manager, or close it.
    """

    def __init__(
        self, host="127.0.0.1", node_id=None, answers=True, hands_out=()
    ):
        self.id = node_id or os.urandom(ID_LENGTH)
        self.answers = answers
        self.hands_out = hands_out
        self.queries = []
        self.received = 0
        self._transactions = itertools.count(1)
        self._waiting = {}
        self._lock = threading.Condition()
        family = socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address = self._socket.getsockname()[:2]
        self.contact = Contact(self.id, *self.address)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Stops the thread and closes the socket, unless it is closed."""
        if self._closed:
            return
        self._closed = True
        self._socket.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def send(self, data, to):
        """Sends `data`, bytes or a value to bencode, as one datagram."""
        data = data if isinstance(data, bytes) else bencode(data)
        self._socket.sendto(data, to)

    def query(self, to, method, timeout=3.0, tries=3, **arguments):
        """Returns the Reply of `to`, or raises NoReply after the last try.

        The id is that of this peer, unless `arguments` has another; a value of
        None removes an argument.
        """
        arguments = {"id": self.id, **arguments}
        arguments = {k: v for k, v in arguments.items() if v is not None}
        for _ in range(tries):
            transaction = struct.pack(">I", next(self._transactions))
            reply = self.send_query(
                to, method, arguments, transaction, timeout / tries
            )
            if reply:
                return reply
        raise NoReply(f"no reply to {method} from {to} in {timeout} s")

    def send_query(self, to, method, arguments, transaction, timeout):
        """Sends one query. Returns the Reply, or None without a reply."""
        self.send(
            {"t": transaction, "y": "q", "q": method, "a": arguments}, to
        )
        return self._wait(transaction, timeout)

    def wait_for_query(self, timeout, method=None):
        """Waits until it has received a query, of `method` if given."""

        def was_queried():
            return any(
                method in (None, query.method) for query in self.queries
            )

        with self._lock:
            if not self._lock.wait_for(was_queried, timeout):
                raise AssertionError(
                    f"no query to {self.address} in {timeout} s"
                )

    def _wait(self, transaction, timeout):
        with self._lock:
            self._lock.wait_for(lambda: transaction in self._waiting, timeout)
            return self._waiting.pop(transaction, None)

    def _serve(self):
        while True:
            data, source = self._socket.recvfrom(LARGEST_DATAGRAM)
            if self._closed:
                return
            message = _decoded(data)
            if message:
                self._handle(message, data, source)

    def _handle(self, message, data, source):
        with self._lock:
            self.received += 1
            if message.get(b"y") == b"q":
                arguments = message.get(b"a", {})
                self.queries.append(Query(message[b"q"], arguments, source))
            else:
                self._waiting[message.get(b"t")] = Reply(message, data)
            self._lock.notify_all()
        if message.get(b"y") == b"q" and self.answers:
            self._answer(message, source)

    def _answer(self, message, source):
        values = {"id": self.id}
        if message[b"q"] != b"ping":
            values["nodes"] = pack_nodes(self.hands_out)
        self.send({"t": message[b"t"], "y": "r", "r": values}, source)
