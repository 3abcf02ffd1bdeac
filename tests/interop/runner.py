"""Runs the tests named on the command line, or all; `run` starts it.

It is meant for a network namespace of its own, whose loopback interface it
raises.  Programs can bind to each address of 127.0.0.0/8 there, and of a
private network besides: transmission answers no loopback address.
"""

import signal
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent

PRIVATE_NETWORK = "10.0.0.1/24"
TIME_LIMIT_S = 420


class Result(unittest.TextTestResult):
    """Results as text, with the logs of what a failed test started."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.failed = set()

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._note(test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._note(test)

    def _note(self, test):
        if test.id() in self.failed:
            return
        self.failed.add(test.id())
        if hasattr(test, "report"):
            self.stream.writeln(test.report())


def raise_network():
    """Brings up the loopback interface, with PRIVATE_NETWORK on it."""
    for command in ("link set lo up", f"address add {PRIVATE_NETWORK} dev lo"):
        subprocess.run(["ip", *command.split()], check=True)


def stop_when_told(*_):
    """Ends the run, so that what it started is ended too."""
    raise KeyboardInterrupt


def main(names):
    """Runs the tests and returns the exit status."""
    sys.path.insert(0, str(HERE))
    signal.signal(signal.SIGTERM, stop_when_told)
    signal.signal(signal.SIGALRM, stop_when_told)
    signal.alarm(TIME_LIMIT_S)
    raise_network()
    loader = unittest.TestLoader()
    suite = (
        loader.loadTestsFromNames(names)
        if names
        else loader.discover(str(HERE))
    )
    runner = unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=Result
    )
    result = runner.run(suite)
    failed = len(result.failed)
    print(
        f"interop: {max(result.testsRun - failed, 0)} passed, {failed} failed"
    )
    return 0 if result.testsRun and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
