"""How many cores this process may use. Imports no TensorFlow."""

import math
import os
import pathlib

_CGROUPS = pathlib.Path("/sys/fs/cgroup")


def usable_cores(cgroups: pathlib.Path = _CGROUPS) -> int:
    """Returns how many cores this process may use: less than the machine has, in a container.

    A pod whose limit is 2.5 CPUs may run on each of a node's 96, for a quarter of a second in every
    tenth, and counts as 3:

        cpu.max    250000 100000    microseconds of all cores together, of each so many

    Args:
        cgroups: Where the kernel shows the limits of this container.

    Source:
        Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cgroup
        v1). Rounded up as loky and Java do.
    """
    # Not everywhere, and os.process_cpu_count is of Python 3.13.
    is_bound = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if is_bound else os.cpu_count() or 1
    quota, period = _limit(cgroups)
    if not quota.isdecimal() or int(quota) == 0:
        return cores  # "max", or -1.
    return min(cores, math.ceil(int(quota) / int(period)))


def _limit(cgroups: pathlib.Path) -> tuple[str, str]:
    """Returns the limit and its period in microseconds, as the files have them."""
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
        return quota, period
    except OSError:
        pass
    try:
        quota, period = (
            (cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text().strip()
            for name in ("quota", "period")
        )
        return quota, period
    except OSError:
        return "max", "100000"
