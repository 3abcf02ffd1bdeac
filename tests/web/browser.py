"""A browser without a window: Debian's Chromium, through its DevTools."""

import json
import tempfile
import time
import urllib.request
from pathlib import Path

import websocket
from polling import eventually
from process import Process

START_SECONDS = 20
CALL_SECONDS = 10
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it runs as root, and shows only our own page
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class Browser(Process):
    """A browser with one page.

    `requests` are the URLs that the page has requested, `problems` what its
    console has shown: exceptions, errors and warnings.
    """

    def __init__(self):
        self._profile = tempfile.TemporaryDirectory(prefix="web-browser-")
        super().__init__(
            "chromium",
            lambda folder: [
                "chromium",
                *FLAGS,
                f"--user-data-dir={self._profile.name}",
                "about:blank",
            ],
        )
        self.requests = []
        self.problems = []
        self._next = 0
        self._socket = websocket.create_connection(
            self._find_page(), timeout=CALL_SECONDS
        )
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _find_page(self):
        """Returns the address of the page's DevTools."""
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        port = eventually(
            lambda: port_file.exists() and port_file.read_text().split("\n")[0],
            START_SECONDS,
            "chromium listens",
        )

        def find():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as it:
                pages = [page for page in json.load(it) if page["type"] == "page"]
            return pages and pages[0]["webSocketDebuggerUrl"]

        return eventually(find, START_SECONDS, "chromium has a page")

    def stop(self):
        super().stop()
        self._profile.cleanup()

    def call(self, method, **parameters):
        """Calls a method of the DevTools, and returns its result."""
        self._next += 1
        number = self._next
        self._socket.send(
            json.dumps({"id": number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") != number:
                self._note(message)
            elif "error" in message:
                raise AssertionError(f"{method}: {message['error']}")
            else:
                return message["result"]

    def _note(self, event):
        """Keeps what a test may ask for of an event."""
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            if parameters["entry"]["level"] in ("warning", "error"):
                self.problems.append(parameters["entry"]["text"])
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.problems.append(str(parameters["args"]))
        elif event.get("method") == "Page.javascriptDialogOpening":
            self.problems.append(f"a dialog: {parameters['message']}")
            self._next += 1  # its answer is noted like an event
            self._socket.send(
                json.dumps(
                    {
                        "id": self._next,
                        "method": "Page.handleJavaScriptDialog",
                        "params": {"accept": False},
                    }
                )
            )

    def open(self, url):
        """Loads a page."""
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'", "the page is there")

    def show_as(self, width, height=900, scheme="light"):
        """Sets the size of the window, and the colours that its user likes."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def evaluate(self, expression):
        """Returns the value of an expression in the page."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression, what, seconds=15):
        """Returns the first true value of an expression in the page."""
        return eventually(lambda: self.evaluate(expression), seconds, what)

    def press(self, key, code=0):
        """Presses a key, such as "Tab", and lets it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
            )

    def settle(self):
        """Takes the events that are there."""
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            self.evaluate("0")
