"""The cases of the benchmark: one for each row of the table."""

import dataclasses

FEW = 16
MANY = 10_000
MOST = 100_000
HOOK_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of query under one condition."""

    name: str
    kind: str
    keys: int = 1024
    stores: bool = False  # stores each key first
    fill: bool = False  # needs a full routing table
    policy: str = "none"
    group: str = "plain"  # cases of a group share a server for each policy
    rounds: int = 1  # parts of a measurement, alternating within the group


# In this order on one server process: its number of records grows.
CASES = (
    Case("ping", "ping"),
    Case("find_node", "find_node", fill=True),
    Case("announce_peer few", "announce_peer", FEW, stores=True),
    Case("get_peers few", "get_peers", FEW),
    Case("store few", "store", FEW, stores=True),
    Case("find_value few", "find_value", FEW),
    Case("announce_peer 10k", "announce_peer", MANY, stores=True),
    Case("get_peers 10k", "get_peers", MANY),
    Case("store 10k", "store", MANY, stores=True),
    Case("find_value 10k", "find_value", MANY),
    Case("scrape", "scrape", FEW),
    Case("sample", "sample"),
    Case("put few", "put", FEW, stores=True, group="items"),
    Case("get few", "get", FEW, group="items"),
    Case("put_mutable few", "put_mutable", FEW, stores=True, group="items"),
    Case("get_mutable few", "get_mutable", FEW, group="items"),
    Case("update few", "update", FEW, stores=True, group="items"),
    Case("put 100k", "put", MOST, stores=True, group="items"),
    Case("get 100k", "get", MOST, group="items"),
    Case("put_mutable 100k", "put_mutable", MOST, stores=True, group="items"),
    Case("get_mutable 100k", "get_mutable", MOST, group="items"),
    *(Case(f"store {policy}", "store", stores=True, policy=policy,
           group="hooks", rounds=HOOK_ROUNDS)
      for policy in ("none", "validate", "yielding")),
)

# Ratios and differences of two rows: title, row, row to compare with.
GROWTH = tuple(
    (f"{kind} with 10,000 keys over few", f"{kind} 10k", f"{kind} few")
    for kind in ("announce_peer", "get_peers", "store", "find_value")) + tuple(
    (f"{kind} with 100,000 items over few", f"{kind} 100k", f"{kind} few")
    for kind in ("put", "get", "put_mutable", "get_mutable"))
ADDED = (
    ("a validate hook adds", "store validate", "store none"),
    ("a yielding hook adds", "store yielding", "store none"),
)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Records whose memory is measured."""

    name: str
    kind: str
    keys: int
    spread: bool  # one record for each key, not for each key and source


MEMORY_SOURCES = 50
MEMORY = (
    Memory("stored peer, 50 a key", "announce_peer", 2_000, False),
    Memory("stored peer, 1 a key", "announce_peer", 100_000, True),
    Memory("100-byte value, 50 a key", "store", 2_000, False),
    Memory("100-byte value, 1 a key", "store", 100_000, True),
    Memory("immutable item of 100 bytes", "put", 100_000, True),
    Memory("mutable item of 100 bytes", "put_mutable", 100_000, True),
)
