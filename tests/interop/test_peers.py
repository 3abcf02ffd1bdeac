"""Clients announce peers and find them, in every direction, through our nodes.

Every client knows one of our nodes and nothing else.
"""

import itertools
import os
import time

import findings
from case import InteropTest
from driver import Refused, ask_all
from kinds import (
    BITTORRENT_DHT,
    KADENZA,
    LIBTORRENT,
    OTHERS,
    PEERS,
    with_feature,
)
from krpc import endpoint_text

JOIN_S = 25
FIND_S = 40
NODES = 3


class Clients(InteropTest):
    """What the tests of this file share."""

    def start_nodes(self, count, family=4):
        """Starts our nodes, each of which knows the first."""
        loopback = "127.0.0.1" if family == 4 else "::1"
        first = self.start_node(hosts=[loopback])
        others = [
            self.start_node("--bootstrap", first.endpoint, hosts=[loopback])
            for _ in range(count - 1)
        ]
        return [first, *others]

    def announce_all(self, clients):
        """Has each client announce a peer. Returns {info-hash: client}."""
        announced = {os.urandom(20): client for client in clients}
        results = ask_all(
            (client, "announce", self.announcement(info_hash, client))
            for info_hash, client in announced.items()
        )
        for client, result in zip(clients, results):
            if isinstance(result, Refused):
                self.fail(f"announce: {result}")
        return announced

    @staticmethod
    def announcement(info_hash, client):
        return {"info_hash": info_hash.hex(), "port": client.address[1]}

    def check_all_find(self, clients, announced):
        """Checks that each client finds what each has announced.

        Repeats the lookups that found nothing until FIND_S have passed: a
        client may look up before another has announced.
        """
        deadline = time.monotonic() + FIND_S
        left = list(itertools.product(clients, announced))
        while left:
            results = ask_all(
                (client, "get_peers", {"info_hash": info_hash.hex()})
                for client, info_hash in left
            )
            pairs = zip(left, results)
            left = [
                (client, info_hash)
                for (client, info_hash), result in pairs
                if not self.is_found(announced[info_hash], result)
            ]
            if time.monotonic() > deadline:
                break
        self.assertEqual(
            [],
            [
                f"{client.name} at {endpoint_text(*client.address)} does not "
                f"find {announced[key].name}"
                for client, key in left
            ],
        )

    @staticmethod
    def is_found(announcer, result):
        if isinstance(result, Refused):
            return False
        return endpoint_text(*announcer.address) in result["peers"]


class Join(Clients):
    """Clients join through one node of ours."""

    def check_joins(self, family):
        node = self.start_nodes(1, family)[0]
        kinds = [kind for kind in OTHERS if family in kind.families]
        clients = [
            self.start_client(kind, [node.address], family) for kind in kinds
        ]
        results = ask_all((client, "join", {}) for client in clients)
        for client, result in zip(clients, results):
            with self.subTest(client=client.name):
                self.assertNotIsInstance(result, Refused)
                node.wait_for_contact(client.address, JOIN_S)
                findings.note(client.kind, findings.JOINS[family])

    def test_each_client_joins(self):
        self.check_joins(4)

    def test_each_client_joins_over_ipv6(self):
        self.check_joins(6)


class Directions(Clients):
    """Each client finds what each other, and itself, has announced."""

    def check_directions(self, family):
        nodes = self.start_nodes(NODES, family)
        known = itertools.cycle(node.address for node in nodes)
        clients = [
            self.start_client(kind, [next(known)], family)
            for kind in with_feature(PEERS, family=family)
        ]
        ask_all((client, "join", {}) for client in clients)
        self.check_all_find(clients, self.announce_all(clients))
        for client in clients:
            findings.note(client.kind, findings.ANNOUNCES[family])
            findings.note(client.kind, findings.FINDS[family])

    def test_in_every_direction(self):
        self.check_directions(4)

    def test_in_every_direction_over_ipv6(self):
        self.check_directions(6)


class Mixed(Clients):
    """An overlay of several implementations that knows only our nodes."""

    KADENZAS = 10
    OTHERS = (LIBTORRENT, BITTORRENT_DHT)
    EACH = 5

    def start_kadenza(self, i, known=()):
        """Starts node `i`, with the state that an earlier one has left."""
        return self.start_client(
            KADENZA,
            known,
            address=self.addresses[i],
            state=self.folder / str(i),
        )

    def start_kadenzas(self):
        clients = []
        for i in range(self.KADENZAS):
            known = [clients[i // 2].address] if i else []
            clients.append(self.start_kadenza(i, known))
            clients[i].ask("join")
        return clients

    def setUp(self):
        super().setUp()
        self.folder = self.make_folder()
        self.addresses = [
            self.free_address(KADENZA) for _ in range(self.KADENZAS)
        ]
        self.kadenzas = self.start_kadenzas()
        known = itertools.cycle(self.addresses)
        self.others = [
            self.start_client(kind, [next(known)])
            for kind in self.OTHERS
            for _ in range(self.EACH)
        ]
        ask_all((client, "join", {}) for client in self.others)

    def restart_kadenzas(self):
        """Ends our nodes, then starts them with what they have saved."""
        for client in self.kadenzas:
            client.stop()
        self.kadenzas = [self.start_kadenza(i) for i in range(self.KADENZAS)]
        results = ask_all((client, "join", {}) for client in self.kadenzas)
        for result in results:
            self.assertNotIsInstance(result, Refused)
            self.assertGreater(result["nodes"], 0)

    def check_every_pair(self):
        clients = self.kadenzas + self.others
        self.check_all_find(clients, self.announce_all(clients))

    def test_every_pair_before_and_after_a_restart_of_all_our_nodes(self):
        self.check_every_pair()
        self.restart_kadenzas()
        self.check_every_pair()
        for kind in (KADENZA, *self.OTHERS):
            findings.note(kind, findings.MIXED)
