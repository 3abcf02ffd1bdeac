"""The table of docs/interop.md: what each client was seen to do in a run."""

import json
import re
import subprocess

import kinds

DOCUMENT = kinds.ROOT / "docs" / "interop.md"

JOINS = {4: "joins", 6: "joins, IPv6"}
ANNOUNCES = {4: "announces", 6: "announces, IPv6"}
FINDS = {4: "finds peers", 6: "finds peers, IPv6"}
MIXED = "is one of a mixed overlay"
SEEDS = "seeds a magnet link"
FETCHES = "fetches a magnet link"
# What the one that gets does, and what the one that has put does.
IMMUTABLE = ("gets immutable items", "puts immutable items")
MUTABLE = ("gets mutable items", "puts mutable items")
SALTED = ("gets items with a salt", "puts items with a salt")
UPDATED = ("gets updated items", "updates an item of another")
FEATURES = (
    *(JOINS[4], JOINS[6], ANNOUNCES[4], ANNOUNCES[6], FINDS[4], FINDS[6]),
    *(MIXED, SEEDS, FETCHES),
    *(*IMMUTABLE, *MUTABLE, *SALTED, *UPDATED),
)

_seen = set()


def note(client, feature):
    """Notes that a client, a kind or a name, was seen to do something."""
    _seen.add((getattr(client, "name", client), feature))


def _output(*command):
    return subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout


def _locked(name):
    lock = json.loads((kinds.CLIENTS / "package-lock.json").read_text())
    return lock["packages"][f"node_modules/{name}"]["version"]


def _match(pattern, path):
    return re.search(pattern, path.read_text(), re.MULTILINE).group(1)


def _debian(package):
    return _output("dpkg-query", "--show", "--showformat=${Version}", package)


def versions():
    """Returns the name, version and origin of each client, in order."""
    cargo = kinds.CLIENTS / "mainline" / "Cargo.lock"
    go = kinds.CLIENTS / "anacrolix" / "go.mod"
    mainline = _match(r'^name = "mainline"\nversion = "(.*)"', cargo)
    anacrolix = _match(r"anacrolix/dht/v2 v(\S+)$", go)
    return (
        ("libtorrent", _debian("python3-libtorrent"), "Debian"),
        ("transmission", _debian("transmission-daemon"), "Debian"),
        ("aria2", _debian("aria2"), "Debian"),
        ("bittorrent-dht", _locked("bittorrent-dht"), "npm"),
        ("webtorrent", _locked("webtorrent"), "npm"),
        ("mainline", mainline, "crates.io"),
        ("anacrolix", anacrolix, "Go modules"),
        ("kadenza", "this tree", ""),
    )


HEAD = """\
# Interoperability

What other implementations of BitTorrent's DHT do with nodes of kadenza. Each
client is as its authors publish it, and knows nodes of kadenza only. `make
interop` installs the clients, runs the tests of `tests/interop` and compares
this page with what it has seen; `make interop ARGS=--table` writes it.

*yes* is what the tests have seen. Where a cell is empty, the client does not
have it, or no test tries it.

| client | version | from |
|---|---|---|
"""


def _row(cells):
    return f"| {' | '.join(cells)} |\n"


def _cell(client, feature):
    return "yes" if (client, feature) in _seen else ""


def text():
    """Returns the document, with what was noted until now."""
    clients = versions()
    names = [name for name, _, _ in clients]
    lines = [HEAD]
    lines += [_row(client) for client in clients]
    lines += ["\n", _row(["it …", *names])]
    lines.append("|---" * (len(names) + 1) + "|\n")
    lines += [
        _row([feature, *(_cell(name, feature) for name in names)])
        for feature in FEATURES
        if feature in {seen for _, seen in _seen}
    ]
    lines.append(
        "\nA mixed overlay has ten nodes of kadenza, five of libtorrent and "
        "five of\nbittorrent-dht; each finds what each other announced, also "
        "after all nodes of\nkadenza were started again with the state that "
        "they had saved.\n"
    )
    return "".join(lines)


def _without_versions(document):
    """A system may have other versions: they make no difference."""
    version = re.compile(r"^(\| \S+ \| )[^|]+(\| Debian \|)$", re.MULTILINE)
    return version.sub(r"\1\2", document)


def problem():
    """Returns what is wrong with the document after a whole run, or None."""
    written = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    if _without_versions(written) == _without_versions(text()):
        return None
    return (
        "docs/interop.md differs from what was seen; `make interop "
        f"ARGS=--table` writes:\n{text()}"
    )


def write():
    """Writes the document."""
    DOCUMENT.write_text(text())
