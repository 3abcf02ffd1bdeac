"""The node answers other addresses while one sends noise."""

import random

from bencode import bencode
from case import InteropTest

GARBAGE_DATAGRAMS = 10_000
NOISY_QUERIES = 10_000
BURST = 50


class Noise(InteropTest):
    """After each burst of noise, the node must answer another address.

    A burst fits into the socket's buffer, so that the kernel drops nothing and
    the test measures the node.
    """

    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.noisy = self.start_peer("127.0.1.1", answers=False)
        self.quiet = self.start_peer("127.0.2.1")

    def make_noise(self, datagrams):
        for count, datagram in enumerate(datagrams, 1):
            self.noisy.send(datagram, self.node.address)
            if count % BURST == 0:
                self.quiet.query(self.node.address, "ping")

    def test_garbage_does_not_stop_it(self):
        self.make_noise(garbage(GARBAGE_DATAGRAMS, seed=1))
        reply = self.quiet.query(
            self.node.address, "find_node", target=self.node.id
        )
        self.assertIsNone(reply.error_code)
        self.assertLess(
            len(self.node.log), 1_000_000, "the log is not flooded"
        )

    def test_one_address_does_not_silence_it_for_others(self):
        self.make_noise(
            {"t": "n", "y": "q", "q": "ping", "a": {"id": self.noisy.id}}
            for _ in range(NOISY_QUERIES)
        )
        reply = self.quiet.query(
            self.node.address, "find_node", target=self.node.id
        )
        self.assertIsNone(reply.error_code)
        self.assertLess(
            self.noisy.received, NOISY_QUERIES, "the noisy address is limited"
        )


def garbage(count, seed):
    """Yields `count` malformed datagrams."""
    rng = random.Random(seed)
    query = bencode(
        {
            "t": "aa",
            "y": "q",
            "q": "find_node",
            "a": {"id": rng.randbytes(20), "target": rng.randbytes(20)},
        }
    )
    makers = [
        lambda: rng.randbytes(rng.randrange(1, 1400)),
        lambda: query[: rng.randrange(1, len(query))],
        lambda: mutated(query, rng),
        lambda: rng.choice([b"l", b"d", b"d1:a"])
        * rng.randrange(1, 700),
        lambda: b"d1:t99999999999999999999:aa1:y1:qe",
        lambda: b"i%de" % rng.getrandbits(rng.randrange(1, 200)),
        lambda: query + rng.randbytes(8),
    ]
    for _ in range(count):
        yield rng.choice(makers)()


def mutated(data, rng):
    """Returns `data` with a few bytes changed."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)
