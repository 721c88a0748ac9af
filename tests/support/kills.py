"""Programs killed at work, as by a lack of memory or a machine that is taken away."""

import subprocess
import sys
import time
from collections.abc import Callable

SECONDS = 90.0
"""Time that a program gets to come so far."""


def kill_once(is_far: Callable[[], bool], program: str, *argv: str) -> None:
    """Runs pipelines.program in a process of its own, and kills it (SIGKILL) once it is so far."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{program}", *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not is_far():
            assert time.monotonic() < deadline, "the run does not get so far"
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
