"""Items of BEP 44 that one client puts and another gets from our nodes.

The clients that put have ended before those that get are started: what these
get is what our nodes hold.
"""

import hashlib
import os
from dataclasses import dataclass
from itertools import product

import findings
from case import InteropTest
from driver import Refused, ask_all
from kinds import ITEMS, KADENZA, LIBTORRENT, MAINLINE, with_feature

NODES = 8
TELL_OF_CAS = (KADENZA, MAINLINE)  # the others keep error 301 to themselves

# RFC 8032, section 7.1: the seeds and public keys of its first tests.
KEYS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    ),
)


@dataclass
class Item:
    """An item, and the client that puts it.

    `features` are what a client that gets it, and this one, have shown then.
    Without a key it is immutable.
    """

    client: object
    features: tuple
    value: bytes
    key: tuple = None
    salt: bytes = b""
    seq: int = None
    cas: int = None

    @property
    def target(self):
        """The target of an immutable item, of which it is the hash."""
        encoded = b"%d:%s" % (len(self.value), self.value)
        return hashlib.sha1(encoded).hexdigest()

    @property
    def putting(self):
        """The request that puts it."""
        value = {"value": self.value.hex()}
        if not self.key:
            return "put_immutable", value
        seed = {"seed": self.key[0], "seq": self.seq}
        if self.cas is not None:
            seed["cas"] = self.cas
        return "put_mutable", {**self.getting[1], **seed, **value}

    @property
    def getting(self):
        """The request that gets it."""
        if not self.key:
            return "get_immutable", {"target": self.target}
        place = {"public": self.key[1], "salt": self.salt.hex()}
        return "get_mutable", place


def make_immutable(clients):
    """Returns an item of each client, each of another size."""
    return [
        Item(client, findings.IMMUTABLE, os.urandom(40 + 100 * i))
        for i, client in enumerate(clients)
    ]


def make_mutable(clients, features, salt, seq, cas=None):
    """Returns an item of each client under a key of its own."""
    return [
        Item(client, features, os.urandom(100), key, salt, seq, cas)
        for client, key in zip(clients, KEYS)
    ]


class Items(InteropTest):
    def setUp(self):
        super().setUp()
        self.kinds = with_feature(ITEMS)
        first = self.start_node()
        self.nodes = [first] + [
            self.start_node("--bootstrap", first.endpoint)
            for _ in range(NODES - 1)
        ]

    def start_all(self):
        """Starts a client of each kind, which knows one of our nodes."""
        clients = [
            self.start_client(
                kind, [node.address], options=kind.item_options
            )
            for kind, node in zip(self.kinds, self.nodes)
        ]
        ask_all((client, "join", {}) for client in clients)
        return clients

    @staticmethod
    def stop_all(clients):
        for client in clients:
            client.stop()

    def put_all(self, items):
        """Puts items, all at once: some clients wait for silent contacts."""
        results = ask_all((item.client, *item.putting) for item in items)
        failures = [str(r) for r in results if isinstance(r, Refused)]
        self.assertEqual([], failures)

    @staticmethod
    def get_all(asked):
        """Has getters get items. Returns [((getter, item), result)].

        Repeats what finds nothing: on a busy machine replies come late.
        """
        found = []
        for is_last in (False, False, True):
            results = zip(
                asked,
                ask_all((getter, *item.getting) for getter, item in asked),
            )
            asked = []
            for pair, result in results:
                is_refused = isinstance(result, Refused)
                if not is_last and (is_refused or not result.get("value")):
                    asked.append(pair)
                else:
                    found.append((pair, result))
        return found

    def check_all_get(self, getters, items):
        results = self.get_all(list(product(getters, items)))
        for (getter, item), result in results:
            with self.subTest(
                item.features[0], puts=item.client.name, gets=getter.name
            ):
                self.assertNotIsInstance(result, Refused)
                self.assertEqual(item.value.hex(), result.get("value"))
                if item.key:
                    self.assertEqual(item.seq, result["seq"])
                findings.note(getter.kind, item.features[0])
                findings.note(item.client.kind, item.features[1])

    def test_each_client_gets_and_updates_what_each_has_put(self):
        putters = self.start_all()
        items = [
            *make_immutable(putters),
            *make_mutable(putters, findings.MUTABLE, b"", 1),
            *make_mutable(putters, findings.SALTED, b"salt", 1),
        ]
        old = make_mutable(putters, findings.SALTED, b"old", 1)
        self.put_all(items + old)
        self.stop_all(putters)

        getters = self.start_all()
        self.check_all_get(getters, items + old)
        # Each key is another client's now.
        updaters = [*getters[1:], getters[0]]
        updates = make_mutable(updaters, findings.UPDATED, b"old", 2)
        self.put_all(updates)
        self.stop_all(getters)

        self.check_all_get(self.start_all(), updates)

    def test_a_put_replaces_only_the_version_that_it_names(self):
        """BEP 44, "CAS": our nodes refuse others, with error 301."""
        # libtorrent puts no `cas`, and chooses `seq` itself.
        self.kinds = [kind for kind in self.kinds if kind is not LIBTORRENT]
        putters = self.start_all()
        items = make_mutable(putters, findings.MUTABLE, b"cas", 2)
        self.put_all(items)
        stale = make_mutable(putters, findings.MUTABLE, b"cas", 4, cas=1)
        results = ask_all((item.client, *item.putting) for item in stale)
        for item, result in zip(stale, results):
            if item.client.kind in TELL_OF_CAS:
                with self.subTest("is told", puts=item.client.name):
                    self.assertIsInstance(result, Refused)
        self.stop_all(putters)

        getters = self.start_all()
        self.check_all_get(getters, items)
        updates = make_mutable(getters, findings.MUTABLE, b"cas", 3, cas=2)
        self.put_all(updates)
        self.stop_all(getters)

        self.check_all_get(self.start_all(), updates)
