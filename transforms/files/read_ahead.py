"""ReadAhead: reads in an order, begun before what they give is used."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import NamedTuple

from transforms.errors import ImageError
from transforms.files.pace import Pace

RETRIES: ContextVar[Counter[str]] = ContextVar("RETRIES")
"""Where requests that are made again are counted, by reason, for reads that a thread begins."""


class Read(NamedTuple):
    """A read that is wanted.

    Attributes:
        call: Function that reads, in a single attempt.
        size_bytes: Bytes that it will give; None if that is not known.
    """

    call: Callable[[], bytes]
    size_bytes: int | None


class Slot:
    """A read that was begun and has not been used.

    Attributes:
        size_bytes: Bytes that a request for it may bring.
        held_bytes: Memory that it counts for, without that of further requests.
        future: Its content, or why there is none.
        began: Time of the last request; None between two.
        requests: Requests that are on their way.
        is_settled: Whether one of them has been answered.
    """

    def __init__(self, ahead: "ReadAhead", call: Callable[[], bytes], size_bytes: int) -> None:
        """Begins nothing."""
        self.ahead = ahead
        self.call = call
        self.size_bytes = self.held_bytes = size_bytes
        self.future: Future[bytes | ImageError] = Future()
        self.began: float | None = None
        self.requests = 0
        self.is_settled = False


class ReadAhead(Iterator[bytes | ImageError]):
    """Reads that are begun in order, before they are used, and handed on in the same order.

    What a read gives is its content, or why there is none. Close it: what was read ahead takes
    memory that others wait for.

    Attributes:
        pace: Times of these reads' neighbours.
        most_ahead: Reads that are begun and not yet used, at most; None if the flight says.
        retries: Requests that were made again, by reason.
        gone: Set once nobody uses them any more.
    """

    def __init__(
        self,
        reads: Iterable[Read],
        pace: Pace,
        most_ahead: int | None,
        take: Callable[["ReadAhead"], bytes | ImageError],
        leave: Callable[["ReadAhead"], None],
    ) -> None:
        """See Flight.read_ahead; take and leave are its own."""
        self.pace = pace
        self.most_ahead = most_ahead
        self.retries = RETRIES.get(Counter())
        self.gone = threading.Event()
        self.slots: deque[Slot] = deque()  # Begun, in order, and not yet used.
        self._take = take
        self._leave = leave
        self._reads = iter(reads)
        self._upcoming: Read | None = None

    def __next__(self) -> bytes | ImageError:
        """Waits for the next content, in order."""
        return self._take(self)

    def close(self) -> None:
        """Forgets what was read and not used."""
        self._leave(self)

    def upcoming(self) -> Read | None:
        """Returns the read to begin next, if there is one."""
        if self._upcoming is None:
            self._upcoming = next(self._reads, None)
        return self._upcoming

    def begin(self, size_bytes: int) -> Slot:
        """Takes the read to begin next."""
        assert self._upcoming is not None, "the caller has looked"
        slot = Slot(self, self._upcoming.call, size_bytes)
        self._upcoming = None
        self.slots.append(slot)
        return slot
