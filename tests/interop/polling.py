"""Waiting for what other programs do: look again until it is so."""

import time

INTERVAL_S = 0.05


def eventually(probe, seconds, what, interval=INTERVAL_S):
    """Returns the first true value of `probe()`.

    It is asked every `interval` seconds.  Raises AssertionError with `what`,
    and with what the probe gave last, when none came within `seconds`.
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
    """Checks that `probe()` is true, again and again, for `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = probe()
        if not value:
            raise AssertionError(f"not so any more: {what}; got: {value!r}")
        time.sleep(INTERVAL_S)
