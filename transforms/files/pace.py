"""Pace: how long reads take, and which one takes so much longer that it is asked for again."""

import collections
import math

SLOW_TIMES = 3.0
SLOW_SECONDS = 0.25
"""A read is slow that takes three times what 95 % take, and this at least."""

HEDGED_SHARE = 0.05
"""Reads that are asked for again, of all: more would be a burden on a store that is slow anyway."""

_SLOW_UNKNOWN_SECONDS = 2.0
"""What is slow before the first reads have come."""

_FORGOTTEN = 1.002
"""By how much the best median rises with each new one, as a store may become slower for good."""

_KEPT = 256
_NOTED_BETWEEN = 32


class Pace:
    """The last reads' times. Not to be called by several threads at once.

    Attributes:
        crowding: The median over the best that it was: 1 where reads wait for the store alone, more
            where they wait for one another, in the network or in this process.

    Source:
        Hedged requests after the 95th percentile: Dean and Barroso, The Tail at Scale, CACM 2013.
    """

    def __init__(self, *, may_hedge: bool = True) -> None:
        """Knows of no read yet.

        Args:
            may_hedge: Whether any read may be asked for again while it is on its way.
        """
        self.crowding = 1.0
        self._may_hedge = may_hedge
        self._best = math.inf
        self._seconds: collections.deque[float] = collections.deque(maxlen=_KEPT)
        self._noted = 0
        self._slow_seconds = _SLOW_UNKNOWN_SECONDS
        self._allowance = HEDGED_SHARE * _KEPT / 2

    def note(self, seconds: float) -> None:
        """Takes the time of a read that succeeded."""
        self._seconds.append(seconds)
        self._noted += 1
        self._allowance = min(self._allowance + HEDGED_SHARE, HEDGED_SHARE * _KEPT)
        if self._noted % _NOTED_BETWEEN == 0:
            ordered = sorted(self._seconds)
            usual, median = ordered[len(ordered) * 95 // 100], ordered[len(ordered) // 2]
            self._slow_seconds = max(SLOW_TIMES * usual, SLOW_SECONDS)
            self._best = min(self._best * _FORGOTTEN, max(median, 1e-6))
            self.crowding = median / self._best

    def is_slow(self, seconds: float) -> bool:
        """Whether a read that has taken so long is one to ask for again, if one may be."""
        return self._may_hedge and seconds > self._slow_seconds and self._allowance >= 1

    def hedge(self) -> None:
        """Takes note that a read is asked for again."""
        self._allowance -= 1
