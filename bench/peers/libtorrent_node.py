#!/usr/bin/python3
"""A libtorrent DHT node on loopback without limits, for comparison.

Prints `libtorrent: listening on 127.0.0.1:PORT` and stops on SIGTERM. Requires
Debian's python3-libtorrent.
"""

import signal
import sys
import time

import libtorrent

START_SECONDS = 5.0

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "alert_mask": 0,
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # Loopback only: no node to join, and loopback addresses are accepted.
    "dht_bootstrap_nodes": "",
    "dht_ignore_dark_internet": False,
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_enforce_node_id": False,
    # Limits above the rates of the benchmark.
    "dht_upload_rate_limit": 1_000_000_000,
    "dht_block_ratelimit": 100_000_000,
    "dht_block_timeout": 1,
    "dht_max_torrents": 1_000_000,
    "dht_max_peers": 1_000_000,
    "dht_max_dht_items": 1_000_000,
}


def main():
    """Runs the node until SIGTERM or SIGINT."""
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    session = libtorrent.session(SETTINGS)
    deadline = time.monotonic() + START_SECONDS
    while not (session.is_dht_running() and session.listen_port()):
        if time.monotonic() > deadline:
            print("libtorrent: the DHT does not start", file=sys.stderr)
            return 1
        time.sleep(0.02)
    address = f"127.0.0.1:{session.listen_port()}"
    print(f"libtorrent: listening on {address}", flush=True)
    while not stopping:
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
