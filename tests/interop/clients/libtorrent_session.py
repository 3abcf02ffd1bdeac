"""A session of libtorrent, which serves requests.

Requests are JSON documents, one a line, on the standard input; replies are on
the standard output. The requests are in tests/interop/README.md.
"""

import argparse
import hashlib
import json
import select
import sys
import tempfile
import time
from pathlib import Path

import libtorrent

# The flag `v1_only` of create_torrent, which the bindings do not have: aria2
# fetches nothing of a torrent that is of version 2, too.
V1_ONLY = 1 << 6

REPLY_END = b"1:y1:re"  # of a message of the DHT

INTERVAL_S = 0.05
PATIENCE_S = 30
QUIET_S = 1.0  # without further replies a lookup has ended
LOOKUP_S = 3.0  # a lookup that finds nothing


def settings(listen, known):
    """Returns the settings of a session that finds peers by the DHT only.

    `listen` and `known` are addresses, as text with commas between them.
    """
    return {
        "listen_interfaces": listen,
        "dht_bootstrap_nodes": known,
        "enable_dht": True,
        "enable_lsd": False,
        "enable_natpmp": False,
        "enable_upnp": False,
        # By default it keeps one node of a subnet; here all share one.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        # It blocks addresses that send over five queries a second.
        "dht_block_ratelimit": 1000,
        "dht_upload_rate_limit": 100_000,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": libtorrent.alert.category_t.all_categories,
    }


def make_torrent(path, content):
    """Writes a file. Returns its torrent and the info-hash."""
    path.write_bytes(content)
    files = libtorrent.file_storage()
    libtorrent.add_files(files, str(path))
    torrent = libtorrent.create_torrent(files, flags=V1_ONLY)
    libtorrent.set_piece_hashes(torrent, str(path.parent))
    info = libtorrent.torrent_info(torrent.generate())
    return info, info.info_hashes().v1.to_bytes()


def expand(seed):
    """Returns the Ed25519 secret of a seed as libtorrent wants it."""
    digest = bytearray(hashlib.sha512(seed).digest())
    digest[0] &= 248
    digest[31] = digest[31] & 63 | 64
    return bytes(digest)


class Refused(Exception):
    """A request that failed."""


class Pending:
    """A request that waits for alerts. `check` returns its result, or None."""

    def __init__(self, number, check):
        self.number = number
        self.begun = self.heard = time.monotonic()
        self._check = check

    def result(self, alerts):
        """Returns the result with these new alerts, or None."""
        now = time.monotonic()
        if now > self.begun + PATIENCE_S:
            raise Refused("no answer")
        return self._check(self, alerts, now)


def first(kind, is_right, result):
    """Returns a check that waits for an alert and makes the result of it."""

    def check(_pending, alerts, _now):
        for alert in alerts:
            if isinstance(alert, kind) and is_right(alert):
                return result(alert)
        return None

    return check


class Client:
    """The session and its requests, each a method of this name."""

    def __init__(self, listen, known):
        self.folder = tempfile.TemporaryDirectory(prefix="interop-")
        self.session = libtorrent.session(settings(listen, known))
        self.torrents = []
        self.has_joined = False

    def take_alerts(self):
        """Returns the new alerts."""
        alerts = self.session.pop_alerts()
        self.has_joined = self.has_joined or any(
            isinstance(alert, libtorrent.dht_pkt_alert)
            and bytes(alert.pkt_buf).endswith(REPLY_END)
            for alert in alerts
        )
        return alerts

    def join(self, _):
        return lambda *_: {} if self.has_joined else None

    def announce(self, request):
        """Announces the session's own port: that of a torrent that it wants.

        The bindings have no function that announces any port.
        """
        self.add_magnet(request["info_hash"])
        return lambda *_: {}

    def add_magnet(self, info_hash):
        """Starts to download a torrent by its info-hash in hexadecimal."""
        link = f"magnet:?xt=urn:btih:{info_hash}"
        parameters = libtorrent.parse_magnet_uri(link)
        parameters.save_path = self.folder.name
        torrent = self.session.add_torrent(parameters)
        self.torrents.append(torrent)
        return torrent

    def get_peers(self, request):
        info_hash = libtorrent.sha1_hash(bytes.fromhex(request["info_hash"]))
        self.session.dht_get_peers(info_hash)
        peers = set()

        def check(pending, alerts, now):
            for alert in alerts:
                if (
                    isinstance(alert, libtorrent.dht_get_peers_reply_alert)
                    and alert.info_hash == info_hash
                ):
                    pending.heard = now
                    peers.update(alert.peers())
            if now > pending.heard + (QUIET_S if peers else LOOKUP_S):
                return {"peers": [text_of(peer) for peer in peers]}
            return None

        return check

    def put_immutable(self, request):
        value = bytes.fromhex(request["value"])
        target = self.session.dht_put_immutable_item(value)
        return first(
            libtorrent.dht_put_alert,
            lambda alert: alert.target == target,
            lambda alert: {"target": target.to_bytes().hex()},
        )

    def get_immutable(self, request):
        target = libtorrent.sha1_hash(bytes.fromhex(request["target"]))
        self.session.dht_get_immutable_item(target)
        return first(
            libtorrent.dht_immutable_item_alert,
            lambda alert: alert.target == target,
            lambda alert: {"value": value_of(alert)},
        )

    def put_mutable(self, request):
        public = bytes.fromhex(request["public"])
        salt = bytes.fromhex(request["salt"])
        self.session.dht_put_mutable_item(
            expand(bytes.fromhex(request["seed"])),
            public,
            bytes.fromhex(request["value"]),
            salt,
        )
        target = hashlib.sha1(public + salt).hexdigest()
        return first(
            libtorrent.dht_put_alert,
            lambda alert: as_bytes(alert.public_key) == public
            and as_bytes(alert.salt) == salt,
            lambda alert: {"target": target, "seq": alert.seq},
        )

    def get_mutable(self, request):
        public = bytes.fromhex(request["public"])
        salt = bytes.fromhex(request["salt"])
        self.session.dht_get_mutable_item(public, salt)

        found = []

        # Of the versions that arrive soon after the first, the newest. The
        # lookup itself ends later, when contacts that are gone time out.
        def check(pending, alerts, now):
            for alert in alerts:
                if (
                    isinstance(alert, libtorrent.dht_mutable_item_alert)
                    and as_bytes(alert.key) == public
                    and as_bytes(alert.salt) == salt
                ):
                    pending.heard = now
                    found.append((alert.seq, value_of(alert)))
            if not found or now < pending.heard + QUIET_S:
                return None
            seq, value = max(found)
            return {"value": value, "seq": seq}

        return check

    def seed(self, request):
        path = Path(self.folder.name) / request["name"]
        content = bytes.fromhex(request["content"])
        info, info_hash = make_torrent(path, content)
        options = {"ti": info, "save_path": self.folder.name}
        self.torrents.append(self.session.add_torrent(options))
        return lambda *_: {"info_hash": info_hash.hex()}

    def download(self, request):
        torrent = self.add_magnet(request["info_hash"])

        def check(*_):
            status = torrent.status()
            if not status.is_seeding:
                return None
            path = Path(self.folder.name) / status.name
            return {"name": status.name, "content": path.read_bytes().hex()}

        return check


def as_bytes(text):
    """libtorrent returns some bytes as a text of the same code points."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


def value_of(alert):
    """Returns the bytes of an item, in hexadecimal; None without one."""
    try:
        return alert.item["value"].hex()
    except RuntimeError:  # the bindings do not know an empty entry
        return None


def text_of(peer):
    """Returns (host, port) as text."""
    host, port = peer
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def write(document):
    print(json.dumps(document), flush=True)


def serve(client):
    """Serves requests until the standard input ends."""
    pending = []
    rest = ""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], INTERVAL_S)
        if readable:
            data = sys.stdin.buffer.raw.read(1 << 20)
            if not data:
                return
            *lines, rest = (rest + data.decode()).split("\n")
            for line in lines:
                request = json.loads(line)
                check = getattr(client, request["do"])(request)
                pending.append(Pending(request["id"], check))
        alerts = client.take_alerts()
        pending = [one for one in pending if not answer(one, alerts)]


def answer(pending, alerts):
    """Writes the reply of a request that has ended. Returns whether it has."""
    try:
        result = pending.result(alerts)
    except Refused as error:
        write({"id": pending.number, "error": str(error)})
        return True
    if result is not None:
        write({"id": pending.number, "result": result})
    return result is not None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--known", required=True)
    arguments = parser.parse_args()
    client = Client(arguments.listen, arguments.known)
    write({"ready": True})
    serve(client)


if __name__ == "__main__":
    main()
