"""A node with an HTTP server, and requests to it."""

import json
import re
import urllib.error
import urllib.request

SERVING = re.compile(r"^kadenza: serving (http://\S+)/$", re.MULTILINE)
TOKEN = "0123456789abcdef0123456789abcdef"
SECONDS = 20


def start(test, *options, token=TOKEN):
    """Starts a node with HTTP for a test; returns it and its URL."""
    file = test.make_folder() / "token"
    file.write_text(token)
    file.chmod(0o600)
    node = test.start_node(
        *("--http", "127.0.0.1:0", "--http-token-file", str(file), *options)
    )
    return node, SERVING.search(node.output).group(1)


class Response:
    """A response, whose `document` is its JSON."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def document(self):
        return json.loads(self.body)


def send(method, url, body=None, headers=None, token=TOKEN):
    """Sends a request; returns the response, whatever its status."""
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    elif body is not None:
        headers.setdefault("Content-Type", "application/octet-stream")
    request = urllib.request.Request(
        url, data=body, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return Response(response)
    except urllib.error.HTTPError as error:
        with error:
            return Response(error)
