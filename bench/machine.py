"""The processor time of other processes during a run."""

import os
import time

# Fields of /proc/stat's first line: user, nice, system, irq and softirq.
BUSY_FIELDS = (1, 2, 3, 6, 7)


def busy_seconds():
    """Returns the processor time of all processes since the boot."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    ticks = sum(int(fields[i]) for i in BUSY_FIELDS)
    return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """Returns the processor time of this process and its ended children."""
    times = os.times()
    return sum(times[:4])


class Watch:
    """Measures from its creation. Read it when all children have ended."""

    def __init__(self):
        self.started = time.monotonic()
        self.busy = busy_seconds()
        self.own = own_seconds()

    def others(self):
        """Returns the share of one core that other processes used."""
        passed = time.monotonic() - self.started
        used = busy_seconds() - self.busy - (own_seconds() - self.own)
        return max(0.0, used / passed) if passed > 0 else 0.0
