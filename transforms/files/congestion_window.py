"""CongestionWindow: how many reads may be in flight, by what the storage gives."""

import time

FIRST_READS = 32
"""Reads in flight at first."""

REFUSED_SHARE = 0.15
"""Refusals, of the requests of late, that say that there are too many: some come for no reason."""

CROWDED, TOO_CROWDED = 2.0, 3.0
"""Time of reads, over the least that it was, above which the window does not grow, and shrinks."""

_GROWTH = 16.0
_CAREFUL_GROWTH = 2.0
"""Reads by which the window grows while it arrives once, before it was first halved and after."""

_OF_LATE = 1 / 64
_CALM_SECONDS = 10.0


class CongestionWindow:
    """Grows by a few reads each time that as many as it allows have arrived; refusals halve it.

    It neither grows nor stays where reads take much longer than they did in a smaller one: they
    wait for one another then.

    Attributes:
        max_reads: Largest size.

    Source:
        Additive increase, multiplicative decrease, as in TCP: RFC 5681, section 3.1. Time as a sign
        of too many: Brakmo and Peterson, TCP Vegas, IEEE JSAC 13(8), 1995.
    """

    def __init__(self, max_reads: int) -> None:
        self.max_reads = max_reads
        self._reads = float(FIRST_READS)
        self._growth = _GROWTH
        self._refused = 0.0
        self._halved_at = -_CALM_SECONDS

    @property
    def reads(self) -> int:
        """Number of reads that may be in flight."""
        return min(int(self._reads), self.max_reads)

    @property
    def is_calm(self) -> bool:
        """Whether it has not been halved lately."""
        return time.monotonic() - self._halved_at > _CALM_SECONDS

    def arrived(self, *, is_short: bool, crowding: float) -> None:
        """Takes note of a read that arrived.

        Args:
            is_short: Whether as many were in flight as may be, and that was not enough.
            crowding: Time that reads take now, over the least that they took.
        """
        self._refused -= self._refused * _OF_LATE
        step = self._growth / self._reads
        if crowding > TOO_CROWDED:
            self._reads = max(self._reads - step, min(self._reads, float(FIRST_READS)))
        elif is_short and crowding < CROWDED:
            self._reads = min(self._reads + step, float(self.max_reads))

    def refused(self, began: float) -> None:
        """Takes note of a read that was refused, by when it began."""
        if began <= self._halved_at:  # It was in flight with those for which it was halved.
            return
        self._refused += (1 - self._refused) * _OF_LATE
        if self._refused > REFUSED_SHARE:
            self._reads = max(1.0, self._reads / 2)
            self._growth = _CAREFUL_GROWTH
            self._refused = 0.0
            self._halved_at = time.monotonic()
