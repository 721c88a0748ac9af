"""What this process has taken so far, as Linux counts it."""

import os
import pathlib
import resource
import time

_STATUS = pathlib.Path("/proc/self/stat")
_START_TIME = 21  # Field 22 in proc_pid_stat(5): in clock ticks since the machine was started.


def seconds_since_start() -> float:
    """Returns the age of this process: Python's own start and every import are in it."""
    # The second field, the name, may hold spaces and brackets.
    fields = _STATUS.read_text().rpartition(")")[2].split()
    started = int(fields[_START_TIME - 2]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def peak_memory_bytes() -> int:
    """Returns the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
