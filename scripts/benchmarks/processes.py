"""Processor time and memory of everything that a command starts, measured from outside. Linux."""

import contextlib
import os
import signal
import threading
import uuid
from types import TracebackType

INTERVAL_SECONDS = 0.25
"""Between two looks at memory."""

_GROWTH = 1.01
"""Of resident memory, before the proportional set size is taken again: the kernel walks all pages
for it, 25 to 50 ms for each GB. At every look, that slowed processes by 3 to 24 %, not all alike.
"""

_MARKER = "BENCHMARK_PROCESS_TREE"
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessTree:
    """The processes whose environment holds a marker: a command, its children, its daemons.

    Children inherit the environment, also those that leave their parent and session, as Ray's and
    Spark's do. Start the command with `environment` before the block is entered; what is left of
    the tree when the block is left is killed.

    Attributes:
        environment: The marker, to be added to the command's environment.
        peak_bytes: Largest sum of the processes' proportional set sizes: what several of them
            share, such as Ray's object store, counts once. To 1 %.
    """

    def __init__(self) -> None:
        token = uuid.uuid4().hex
        self.environment = {_MARKER: token}
        self.peak_bytes = 0
        self._mark = f"{_MARKER}={token}".encode()
        self._known: set[str] = set()
        self._alive: set[str] = set()
        self._ticks: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessTree":
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watcher.join()
        self._find()
        for process in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)

    def cpu_seconds(self) -> float:
        """Returns the processor time of all processes so far, also of those that have ended.

        What a process used after the last look at it, before it ended, is missing.
        """
        with self._lock:
            self._find()
            for process in list(self._alive):
                # The name, in brackets, may hold spaces.
                fields = _read(process, "stat").rpartition(b") ")[2].split()
                if fields:
                    self._ticks[process] = int(fields[11]) + int(fields[12])
                else:
                    self._alive.discard(process)
            return sum(self._ticks.values()) / _TICKS_A_SECOND

    def _find(self) -> None:
        for process in os.listdir("/proc"):
            if process.isdigit() and process not in self._known:
                self._known.add(process)
                if self._mark in _read(process, "environ").split(b"\0"):
                    self._alive.add(process)

    def _watch(self) -> None:
        most = 0
        while not self._ended.wait(INTERVAL_SECONDS):
            self.cpu_seconds()
            with self._lock:
                alive = list(self._alive)
            resident = sum(map(_resident_bytes, alive))
            if resident > most * _GROWTH:
                most = resident
                self.peak_bytes = max(self.peak_bytes, sum(map(_proportional_bytes, alive)))


def _resident_bytes(process: str) -> int:
    """Returns what the kernel counts anyway, pages that are shared included."""
    fields = _read(process, "statm").split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0


def _proportional_bytes(process: str) -> int:
    for line in _read(process, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(process: str, name: str) -> bytes:
    """Reads a file of a process; returns nothing if it has ended or is another user's."""
    try:
        with open(f"/proc/{process}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""
