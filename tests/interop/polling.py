"""Waits for conditions of other programs by polling."""

import time

INTERVAL_S = 0.05


def eventually(probe, seconds, what, interval=INTERVAL_S):
    """Returns the first true value of `probe()`.

    Calls it every `interval` seconds. Raises AssertionError with `what` and
    the last value if none is true within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not within {seconds} s: {what}; last: {value!r}"
            )
        time.sleep(interval)


def throughout(probe, seconds, what):
    """Checks that `probe()` stays true for `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = probe()
        if not value:
            raise AssertionError(f"not any more: {what}; got: {value!r}")
        time.sleep(INTERVAL_S)
