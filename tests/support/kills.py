"""Programs killed at work, as by a lack of memory or a machine that is taken away."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

SECONDS = 300.0
"""Time that a program gets to come so far."""

TRIES = 3
"""A busy machine may let a program end before anybody looks how far it is."""


def kill_once(
    is_far: Callable[[], bool], delete: Callable[[], object], program: str, *argv: str
) -> None:
    """Runs pipelines.program in a process of its own, and kills it (SIGKILL) once it is so far.

    Args:
        is_far: Whether it is so far.
        delete: Deletes what it wrote, for it to begin anew: it ended before it was killed.
        program: Name of the program.
        argv: Its arguments.
    """
    for _ in range(TRIES):
        if _is_killed(is_far, program, argv):
            return
        delete()
    raise AssertionError(f"the run ended by itself {TRIES} times")


def _is_killed(is_far: Callable[[], bool], program: str, argv: Sequence[str]) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{program}", *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not is_far():
            assert time.monotonic() < deadline, "the run does not get so far"
            if process.poll() is not None:
                break
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, -signal.SIGKILL), "the run failed"
    return process.returncode != 0
