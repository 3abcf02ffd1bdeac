"""Real BitTorrent clients; each knows one node of the DHT.

Their other ways to find peers (trackers, local discovery, port mapping) are
off, so that they find peers through the DHT only.
"""

import json
import socket
import tempfile
from pathlib import Path

import libtorrent

from clients.libtorrent_session import make_torrent, settings
from krpc import endpoint_text, is_ipv6
from polling import eventually
from process import Process

# Seconds between two lookups of a client. Clients block addresses that send
# too many queries, and limit their own rate.
LOOKUP_INTERVAL_S = 0.5


def free_port(host):
    """Returns a port that no socket of `host` has, in UDP and TCP."""
    family = socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
    while True:
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0))
            port = udp.getsockname()[1]
            with socket.socket(family, socket.SOCK_STREAM) as tcp:
                try:
                    tcp.bind((host, port))
                    return port
                except OSError:
                    continue


def endpoints_text(addresses):
    """Returns (host, port) pairs in the form of libtorrent's settings."""
    return ",".join(endpoint_text(*address) for address in addresses)


class Aria2(Process):
    """aria2c, which searches the peers of a torrent by its info-hash."""

    def __init__(self, entry_point, info_hash, host):
        self.address = (host, free_port(host))
        self.peer_port = free_port(host)
        super().__init__(
            "aria2",
            lambda folder: [
                *("aria2c", "--no-conf", "--console-log-level=info"),
                *("--enable-dht=true", "--enable-dht6=false"),
                f"--dht-entry-point={entry_point}",
                f"--dht-file-path={folder / 'dht.dat'}",
                f"--dht-listen-port={self.address[1]}",
                f"--listen-port={self.peer_port}",
                f"--interface={host}",
                *("--bt-enable-lpd=false", "--enable-peer-exchange=false"),
                *(f"--dir={folder}", "--summary-interval=0"),
                f"magnet:?xt=urn:btih:{info_hash.hex()}",
            ],
        )


class Transmission(Process):
    """transmission-daemon without a torrent; its DHT node runs nevertheless.

    It treats 127.0.0.0/8 as martian and never answers it: it and the node that
    it knows need private addresses.
    """

    def __init__(self, entry_point, host):
        self.address = (host, free_port(host))
        self._entry_point = entry_point
        super().__init__("transmission", self._configure)

    def _configure(self, folder):
        settings = {
            "bind-address-ipv4": self.address[0],
            "dht-enabled": True,
            "download-dir": str(folder),
            "lpd-enabled": False,
            "peer-port": self.address[1],
            "pex-enabled": False,
            "port-forwarding-enabled": False,
            "rpc-enabled": False,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "dht.bootstrap").write_text("%s %d\n" % self._entry_point)
        return [
            *("transmission-daemon", "--foreground", "--log-debug"),
            *("--config-dir", folder),
        ]


class Libtorrent:
    """A libtorrent session in this process.

    It listens on one port of each host, for peers and for the DHT; `address`
    is the first (host, port), `addresses` are all.
    """

    name = "libtorrent"

    def __init__(self, entry_points, hosts):
        port = free_port(hosts[0])
        self.addresses = [(host, port) for host in hosts]
        self.address = self.addresses[0]
        self._folder = tempfile.TemporaryDirectory(
            prefix="interop-libtorrent-"
        )
        self.folder = Path(self._folder.name)
        listen, known = map(endpoints_text, (self.addresses, entry_points))
        self._session = libtorrent.session(settings(listen, known))
        self._found = {}

    def stop(self):
        """Ends the session and removes its folder."""
        self._session = None
        self._folder.cleanup()

    def wait_for_peer(self, info_hash, peer, seconds):
        """Repeats a lookup of `info_hash` until it finds `peer`."""

        def found():
            self._session.dht_get_peers(libtorrent.sha1_hash(info_hash))
            return peer in self._found_peers(info_hash)

        what = "libtorrent finds %s:%d" % peer
        eventually(found, seconds, what, interval=LOOKUP_INTERVAL_S)

    def _found_peers(self, info_hash):
        for alert in self._session.pop_alerts():
            if isinstance(alert, libtorrent.dht_get_peers_reply_alert):
                key = alert.info_hash.to_bytes()
                self._found.setdefault(key, set()).update(alert.peers())
        return self._found.get(info_hash, set())

    def seed(self, name, content):
        """Shares a file and returns the info-hash of its torrent."""
        info, info_hash = make_torrent(self.folder / name, content)
        self._session.add_torrent({"ti": info, "save_path": str(self.folder)})
        return info_hash

    def download(self, info_hash):
        """Starts to download a torrent by its info-hash.

        The client announces itself as a peer of it, at `address`.
        """
        parameters = libtorrent.parse_magnet_uri(
            f"magnet:?xt=urn:btih:{info_hash.hex()}"
        )
        parameters.save_path = str(self.folder)
        return self._session.add_torrent(parameters)
