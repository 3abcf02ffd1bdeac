"""The replies of the node to valid and malformed messages."""

import os

from bencode import bdecode
from case import InteropTest
from polling import eventually

# Does not fit 32 bits; cut to 16 bits, it is the valid port 80.
WRAPPED_PORT = 2**32 + 80
LARGEST_REPLY = 1024


class Replies(InteropTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.peer = self.start_peer()

    def query(self, method, **arguments):
        return self.peer.query(self.node.address, method, **arguments)

    def assertRefused(self, code, method, **arguments):
        reply = self.query(method, **arguments)
        self.assertEqual(
            reply.error_code, code, f"{method} {arguments}: {reply}"
        )

    def assertLives(self):
        self.assertEqual(self.query("ping").values[b"id"], self.node.id)

    def test_ping_is_answered_with_our_id(self):
        self.assertEqual(self.query("ping").values, {b"id": self.node.id})

    def test_unknown_methods_are_answered_204(self):
        target = os.urandom(20)
        self.assertRefused(204, "frobnicate")
        self.assertRefused(204, "frobnicate", target=target)
        self.assertRefused(204, "frobnicate", info_hash=target)

    def test_malformed_arguments_are_answered_203(self):
        for method, arguments in [
            ("ping", {"id": None}),
            ("ping", {"id": b"short"}),
            ("ping", {"id": 7}),
            ("ping", {"id": os.urandom(21)}),
            ("find_node", {}),
            ("find_node", {"target": b""}),
            ("find_node", {"target": [b"a"]}),
            ("get_peers", {}),
            ("get_peers", {"info_hash": os.urandom(19)}),
        ]:
            with self.subTest(method=method, arguments=arguments):
                self.assertRefused(203, method, **arguments)
        self.assertLives()

    def test_transaction_ids_come_back_as_they_were(self):
        for transaction in (b"a", b"\0\xff", b"pn\0\0", b"nine byte"):
            with self.subTest(transaction=transaction):
                reply = self.peer.send_query(
                    self.node.address,
                    "ping",
                    {"id": self.peer.id},
                    transaction,
                    3,
                )
                self.assertIsNotNone(reply)

    def test_keys_of_libtorrent_are_tolerated(self):
        target = os.urandom(20)
        reply = self.query(
            "get_peers", info_hash=target, bs=1, noseed=1, want=["n4", "n6"]
        )
        self.assertIsNone(reply.error_code, reply)
        self.assertIn(b"token", reply.values)

    def test_replies_hold_sorted_keys(self):
        reply = self.query("get_peers", info_hash=os.urandom(20))
        for dictionary in (reply.message, reply.values):
            self.assertEqual(list(dictionary), sorted(dictionary))
        self.assertEqual(bdecode(reply.data), reply.message)


class Announces(InteropTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.peer = self.start_peer()
        self.info_hash = os.urandom(20)
        self.token = self.look().values[b"token"]

    def look(self):
        return self.peer.query(
            self.node.address, "get_peers", info_hash=self.info_hash
        )

    def announce(self, peer=None, **arguments):
        arguments = {"port": 4000, "token": self.token, **arguments}
        return (peer or self.peer).query(
            self.node.address,
            "announce_peer",
            info_hash=self.info_hash,
            **arguments,
        )

    def assertRefused(self, **arguments):
        reply = self.announce(**arguments)
        self.assertEqual(reply.error_code, 203, f"{arguments}: {reply}")
        self.assertEqual(self.look().peers, [])

    def test_an_announced_peer_is_handed_out(self):
        self.assertIsNone(self.announce().error_code)
        self.assertEqual(self.look().peers, [(self.peer.address[0], 4000)])

    def test_the_implied_port_is_that_of_the_datagram(self):
        for port in (0, 4000, None):
            reply = self.announce(implied_port=1, port=port)
            self.assertIsNone(reply.error_code, reply)
        self.assertEqual(self.look().peers, [self.peer.address])

    def test_a_token_serves_every_port_of_its_address(self):
        neighbour = self.start_peer(self.peer.address[0])
        self.assertIsNone(self.announce(peer=neighbour).error_code)

    def test_a_token_does_not_serve_another_address(self):
        self.assertRefused(peer=self.start_peer("127.0.0.3"))

    def test_bad_tokens_are_answered_203(self):
        flipped = bytes([self.token[0] ^ 1]) + self.token[1:]
        for token in (
            *(
                12345,
                WRAPPED_PORT,
                2**63 - 1,
                -1,
                [self.token],
                {"a": self.token},
            ),
            *(
                b"",
                flipped,
                self.token[:-1],
                self.token + b"x",
                b"x" * 65,
                None,
            ),
        ):
            with self.subTest(token=token):
                self.assertRefused(token=token)

    def test_bad_ports_are_answered_203(self):
        for port in (
            *(0, -1, 65536, 65536 + 80, WRAPPED_PORT, 2**53 + 1, 2**63 - 1),
            *(b"80", [80], None),
        ):
            with self.subTest(port=port):
                self.assertRefused(port=port)

    def test_integers_past_64_bits_are_not_taken(self):
        arguments = {
            "id": self.peer.id,
            "info_hash": self.info_hash,
            "token": self.token,
        }
        for port in (2**64 + 80, 80 - 2**64, 10**30):
            with self.subTest(port=port):
                reply = self.peer.send_query(
                    self.node.address,
                    "announce_peer",
                    {**arguments, "port": port},
                    b"big",
                    timeout=0.3,
                )
                self.assertTrue(reply is None or reply.error_code == 203)
                self.assertEqual(self.look().peers, [])


class Sizes(InteropTest):
    """Replies of a node that knows more than fits into one reply."""

    CROWD = 60

    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.info_hash = os.urandom(20)
        self.crowd = [
            self.start_peer(f"127.0.{subnet}.{host}")
            for subnet in range(1, 7)
            for host in range(1, 1 + self.CROWD // 6)
        ]
        for peer in self.crowd:
            self.announce_some_ports(peer)
        eventually(
            lambda: len(self.node.contacts()) == 8, 5, "the table has contacts"
        )

    def announce_some_ports(self, peer):
        reply = peer.query(
            self.node.address, "get_peers", info_hash=self.info_hash
        )
        for port in (4001, 4002, 4003, 4004):
            reply_to_announce = peer.query(
                self.node.address,
                "announce_peer",
                info_hash=self.info_hash,
                port=port,
                token=reply.values[b"token"],
            )
            self.assertIsNone(reply_to_announce.error_code, reply_to_announce)

    def replies(self, method, **arguments):
        observer = self.start_peer(answers=False)
        for want in (None, ["n4"], ["n4", "n6"]):
            yield observer.query(
                self.node.address, method, want=want, **arguments
            )

    def test_get_peers_replies_fit_1024_bytes(self):
        for reply in self.replies("get_peers", info_hash=self.info_hash):
            self.assertLessEqual(reply.size, LARGEST_REPLY)
            self.assertGreater(len(reply.peers), 8)
            self.assertIn(b"token", reply.values)

    def test_find_node_replies_fit_1024_bytes(self):
        for reply in self.replies("find_node", target=self.node.id):
            self.assertLessEqual(reply.size, LARGEST_REPLY)

    def test_find_node_hands_out_eight_contacts_not_the_table(self):
        for reply in self.replies("find_node", target=self.node.id):
            self.assertEqual(len(reply.nodes), 8)
