"""Finds the batch size at which a model is fastest, on the first batches of a run."""

import statistics
import threading
from collections import defaultdict

SMALLEST = 16
"""Images a call: fewer never were the fastest of the models measured (docs/benchmarks.md)."""

MEASUREMENTS = 3
"""Batches that measure each size, after one that warms it up."""

_WORTHWHILE = 0.97
"""A larger batch takes more memory; it must take less time than this share to be chosen."""


class BatchSizeTuner:
    """Tries sizes in turn and remembers what they took; threads may share it."""

    def __init__(self, largest: int) -> None:
        """Chooses the sizes to try; for 64 they are 16, 32 and 64.

        Args:
            largest: Images of a full batch; tried are this, its half, and so on to SMALLEST.
        """
        sizes = [largest]
        while sizes[-1] // 2 >= SMALLEST:
            sizes.append(sizes[-1] // 2)
        self._sizes = sizes[::-1]
        self._tries: defaultdict[int, int] = defaultdict(int)
        self._seconds: defaultdict[int, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    @property
    def best(self) -> int | None:
        """The fastest size once every size has been measured; None before."""
        with self._lock:
            measured = {size: self._measured(size) for size in self._sizes}
        if any(len(seconds) < MEASUREMENTS for seconds in measured.values()):
            return None
        best = self._sizes[0]
        for size in self._sizes[1:]:
            if statistics.median(measured[size]) < _WORTHWHILE * statistics.median(measured[best]):
                best = size
        return best

    def next_size(self, count: int) -> int | None:
        """Returns the size to try on a batch of so many, or None if it is too small for any."""
        with self._lock:
            sizes = [size for size in self._sizes if size <= count]
            if not sizes:
                return None
            size = min(sizes, key=lambda size: self._tries[size])
            self._tries[size] += 1
            return size

    def record(self, size: int, seconds_per_image: float) -> None:
        """Takes down what a batch took in calls of a size."""
        with self._lock:
            self._seconds[size].append(seconds_per_image)

    def _measured(self, size: int) -> list[float]:
        # The first call at a size also plans for it.
        return self._seconds[size][1:]
