"""Processes in sessions of their own: started, killed or waited for, and what they leave behind."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Sequence

from scripts.torture.scenarios import Moment
from scripts.torture.site import Site

PATIENCE_SECONDS = 300.0
STRAGGLERS_SECONDS = 20.0


def start_and_kill(
    argv: Sequence[str], code: pathlib.Path, log: pathlib.Path, site: Site, moment: Moment
) -> int:
    """Starts a process in a session of its own, and kills it, only it, when the moment comes.

    Returns:
        The session.
    """
    process = _start(argv, code, log)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not site.happened(moment.trigger) and time.monotonic() < deadline:
            if process.poll() is not None:  # It was over before anybody noticed.
                break
        time.sleep(moment.delay)
    finally:
        process.kill()
        process.wait()
    return process.pid


def finish(argv: Sequence[str], code: pathlib.Path, log: pathlib.Path) -> tuple[int, int]:
    """Runs a command to its end; returns its exit code and its session."""
    process = _start(argv, code, log)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait(), process.pid


def _start(argv: Sequence[str], code: pathlib.Path, log: pathlib.Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(argv, cwd=code, stdout=file, stderr=file, start_new_session=True)


def processes_of(session: int) -> list[int]:
    """Lists the living processes of a session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # Ended meanwhile.
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def outlive(session: int) -> int:
    """Waits for the processes of a session, then kills them; returns how many lived at first."""
    first = len(processes_of(session))
    deadline = time.monotonic() + STRAGGLERS_SECONDS
    while processes_of(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in processes_of(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return first
