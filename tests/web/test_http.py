"""The HTTP server of a node on sockets: health, and clients that misbehave."""

import json
import resource
import socket
import threading
import time
import urllib.error
import urllib.request

import http_node
from case import InteropTest
from polling import eventually

IDLE_CONNECTIONS = 10000
SLOW_CONNECTIONS = 200
SPARE_FILES = 500
ISOLATION_SECONDS = 30
LONGEST_ANSWER_SECONDS = 5
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(url):
    """Returns the status and the document of a response."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Crowd(threading.Thread):
    """Clients that hold connections, send a byte at a time, or noise."""

    def __init__(self, url):
        super().__init__(daemon=True)
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        self.address = host, int(port)
        self.over = threading.Event()
        self.opened = 0

    def connect(self):
        """Opens a connection that does not block."""
        connection = socket.create_connection(self.address, 5)
        connection.setblocking(False)
        self.opened += 1
        return connection

    def send(self, connections, i, data):
        """Sends what fits; opens a connection again that has ended."""
        try:
            connections[i].send(data)
        except BlockingIOError:
            pass
        except OSError:
            connections[i].close()
            connections[i] = self.connect()

    def run(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = IDLE_CONNECTIONS + SLOW_CONNECTIONS + SPARE_FILES
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard)
        )
        idle = [self.connect() for _ in range(IDLE_CONNECTIONS)]
        slow = [self.connect() for _ in range(SLOW_CONNECTIONS)]
        at = 0
        while not self.over.wait(0.2):
            for i in range(len(slow)):
                self.send(slow, i, REQUEST[at % 40 : at % 40 + 1])
            for i in range(20):
                self.send(idle, i, b"\0\r\n\r\nGET /%zz" * 50)
            at += 1
        for connection in idle + slow:
            connection.close()


class HttpTest(InteropTest):
    """A node that serves HTTP, and one other."""

    def test_readiness_follows_the_overlay_while_clients_misbehave(self):
        node, url = http_node.start(self)
        ready = url + "/health/ready"
        other = self.start_node("--bootstrap", node.endpoint)
        eventually(lambda: get(ready)[0] == 200, 10, "the node is ready")

        crowd = Crowd(url)
        crowd.start()
        eventually(
            lambda: crowd.opened >= IDLE_CONNECTIONS, 20, "a crowd is there"
        )
        self.assertEqual(get(ready)[0], 200)
        other.stop()
        stopped = time.monotonic()
        slowest = 0
        while get(ready)[0] == 200:
            passed = time.monotonic() - stopped
            self.assertLess(passed, ISOLATION_SECONDS, "still ready")
            begun = time.monotonic()
            self.assertEqual(get(url + "/health/live")[0], 200)
            node.contacts()
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.5)
        status, report = get(ready)
        self.assertEqual(status, 503)
        self.assertEqual(report["error"]["code"], "not_ready")
        self.assertLess(slowest, LONGEST_ANSWER_SECONDS)
        crowd.over.set()
        crowd.join()

        self.start_node("--bootstrap", node.endpoint)
        eventually(lambda: get(ready)[0] == 200, 10, "the node is ready again")
