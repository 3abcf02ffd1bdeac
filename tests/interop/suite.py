"""Runs the tests of a suite in Python, which `run` of its folder starts.

Runs in a network namespace of its own, where it brings up the loopback
interface. Programs there can bind to each address of 127.0.0.0/8, and of a
private network, because transmission does not answer loopback addresses.
"""

import signal
import subprocess
import sys
import unittest

PRIVATE_NETWORK = "10.0.0.1/24"


class Result(unittest.TextTestResult):
    """Results as text, with the logs of the programs of failed tests."""

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

    def startTest(self, test):
        super().startTest(test)
        self.stream.flush()


class Runner(unittest.TextTestRunner):
    """Keeps its result for the summary of an interrupted run."""

    result = None

    def _makeResult(self):
        self.result = super()._makeResult()
        return self.result


def raise_network():
    """Brings up the loopback interface, with PRIVATE_NETWORK on it."""
    for command in ("link set lo up", f"address add {PRIVATE_NETWORK} dev lo"):
        subprocess.run(["ip", *command.split()], check=True)


def interrupt(*_):
    """Ends the run as Ctrl-C does, so that its programs end, too."""
    raise KeyboardInterrupt


def load(folder, names):
    """Returns the tests in `folder` with these names, or all."""
    loader = unittest.TestLoader()
    if names:
        return loader.loadTestsFromNames(names)
    return loader.discover(str(folder))


def run(suite, folder, names, seconds, check=lambda: 0):
    """Runs the tests of a suite, which has so many seconds.

    `check` is called if all tests have passed, and returns a number of further
    failures. Prints the summary, which begins with the name of the suite, and
    returns the exit status.
    """
    sys.path.insert(0, str(folder))
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    raise_network()
    runner = Runner(stream=sys.stdout, verbosity=2, resultclass=Result)
    finished = False
    try:
        runner.run(load(folder, names))
        finished = True
    except KeyboardInterrupt:
        print(f"\n{suite}: interrupted, or out of time")
    total, failed = runner.result.testsRun, len(runner.result.failed)
    failed += 0 if finished else 1
    if not names and not failed:
        failed += check()
    print(f"{suite}: {max(total - failed, 0)} passed, {failed} failed")
    return 0 if total and not failed else 1
