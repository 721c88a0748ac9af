"""Live counts of this process, for a progress line; no part of any result."""

import dataclasses
import threading


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is at one moment.

    Attributes:
        total: Images planned so far; TFRecord, Parquet and tar files add theirs as they are read.
        written: Rows handed to the sinks.
        failed: Images that failed.
    """

    total: int = 0
    written: int = 0
    failed: int = 0


class Tally:
    """Adds up counts from the runner's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def add(self, *, total: int = 0, written: int = 0, failed: int = 0) -> None:
        """Adds images that were planned, written or failed since the last call."""
        with self._lock:
            counts = self._counts
            self._counts = Counts(
                counts.total + total, counts.written + written, counts.failed + failed
            )

    def counts(self) -> Counts:
        """Returns what has been added up since the last reset."""
        return self._counts

    def reset(self) -> None:
        """Starts again from zero, before a run."""
        with self._lock:
            self._counts = Counts()


TALLY = Tally()
"""The process's one tally: DoFns are pickled, so they cannot carry it."""
