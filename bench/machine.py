"""How busy others kept the machine during a run."""

import os
import time

# Of /proc/stat's first line: user, nice, system, irq and softirq.
BUSY_FIELDS = (1, 2, 3, 6, 7)


def busy_seconds():
    """Returns the processor time that everyone has used since the boot."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    ticks = sum(int(fields[i]) for i in BUSY_FIELDS)
    return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds():
    """Returns what this process and its ended children have used of it."""
    times = os.times()
    return sum(times[:4])


class Watch:
    """Measures from its making on. Read it when all children have ended."""

    def __init__(self):
        self.started = time.monotonic()
        self.busy = busy_seconds()
        self.own = own_seconds()

    def others(self):
        """Returns the part of one core that others used meanwhile."""
        passed = time.monotonic() - self.started
        used = busy_seconds() - self.busy - (own_seconds() - self.own)
        return max(0.0, used / passed) if passed > 0 else 0.0
