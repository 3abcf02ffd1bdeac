"""The kinds of clients that serve requests, and what each can do."""

import os
from dataclasses import dataclass
from pathlib import Path

from krpc import endpoint_text

HERE = Path(__file__).resolve().parent
CLIENTS = HERE / "clients"
ROOT = HERE.parents[1]
BUILT = ROOT / os.environ.get("BUILD", "build") / "interop"
LUA = os.environ.get("LUA", "lua5.4")

PEERS = "peers"  # announces, and looks up peers
ITEMS = "items"  # puts and gets items of BEP 44
TORRENTS = "torrents"  # shares files, and fetches them by a magnet link


@dataclass(frozen=True)
class Kind:
    """A kind of client.

    `program` begins its command line; `features` are those that the tests use;
    `any_host`: it listens on all addresses of the machine. `item_options`: of
    its command line in tests of items.
    """

    name: str
    program: tuple
    features: frozenset
    families: tuple = (4,)
    any_host: bool = False
    item_options: tuple = ()

    def command(self, address, known, state, options=()):
        """Returns the command line of one that knows these addresses."""
        words = [*self.program, *options]
        words += ["--listen", endpoint_text(*address)]
        if known:
            texts = (endpoint_text(*other) for other in known)
            words += ["--known", ",".join(texts)]
        return words + (["--state", state] if state else [])


KADENZA = Kind(
    "kadenza",
    (LUA, CLIENTS / "kadenza.lua"),
    frozenset({PEERS, ITEMS}),
    (4, 6),
)
LIBTORRENT = Kind(
    "libtorrent",
    ("/usr/bin/python3", "-B", CLIENTS / "libtorrent_session.py"),
    frozenset({PEERS, ITEMS, TORRENTS}),
    (4, 6),
)
BITTORRENT_DHT = Kind(
    "bittorrent-dht",
    ("node", BUILT / "npm" / "bittorrent_dht.mjs"),
    frozenset({PEERS, ITEMS}),
)
WEBTORRENT = Kind(
    "webtorrent",
    ("node", BUILT / "npm" / "webtorrent.mjs"),
    frozenset({TORRENTS}),
    any_host=True,
)
MAINLINE = Kind(
    "mainline",
    (BUILT / "cargo" / "debug" / "interop-mainline",),
    frozenset({PEERS, ITEMS}),
)
ANACROLIX = Kind(
    "anacrolix",
    (BUILT / "anacrolix",),
    frozenset({PEERS, ITEMS}),
    (4, 6),
    # It crashes if it is sent an immutable item without `seq`.
    item_options=("--passive",),
)
OTHERS = (LIBTORRENT, BITTORRENT_DHT, WEBTORRENT, MAINLINE, ANACROLIX)
ALL = (KADENZA, *OTHERS)


def with_feature(feature, kinds=ALL, family=4):
    """Returns the kinds that have a feature, in a family of addresses."""
    return [
        kind
        for kind in kinds
        if feature in kind.features and family in kind.families
    ]
