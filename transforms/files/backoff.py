"""Backoff: what may pass is tried again, later each time, for a bounded time."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from transforms.errors import UnavailableError
from transforms.files.object_store import READ_UNTIL, TransientError

FIRST_WAIT_SECONDS = 0.1
THROTTLED_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 16.0
"""Longest waits before the first retry, the first after 429 or 503, and any."""

_T = TypeVar("_T")


class Backoff:
    """Tries again, for all reads of a process. Waits are drawn evenly from 0 to twice the last.

    Each read is given up after timeout_seconds. Where reads have failed for that long and none has
    succeeded, the store is down: then a second try is the last, or each of millions of images would
    wait so long.

    Attributes:
        timeout_seconds: Time for which a read is tried.

    Source:
        "Full jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._failing_since: float | None = None

    def call(
        self,
        attempt: Callable[[], _T],
        note: Callable[[TransientError], None] = lambda error: None,
        gone: threading.Event | None = None,
    ) -> _T:
        """Calls until it succeeds.

        Args:
            attempt: The call; any OSError of it may pass, a TransientError says more.
            note: Callback, which is told of each attempt that failed.
            gone: Set once nobody wants the result any more.

        Raises:
            UnavailableError: If it did not succeed in time.
        """
        began = time.monotonic()
        tries = 0
        while True:
            tries += 1
            try:
                result = _call_until(began + self.timeout_seconds, attempt)
            except OSError as error:
                fault = error if isinstance(error, TransientError) else TransientError(_said(error))
            else:
                self._failing_since = None
                return result
            note(fault)
            self._failing_since = self._failing_since or time.monotonic()
            wait = _wait_seconds(tries, fault)
            if self._is_over(began, tries, wait) or (gone is not None and gone.is_set()):
                seconds = time.monotonic() - began
                raise UnavailableError(
                    f"{fault}; not read in {tries} tries, {seconds:.0f} s"
                ) from fault
            if gone is None:
                time.sleep(wait)
            else:
                gone.wait(wait)

    def call_once(self, attempt: Callable[[], _T]) -> _T:
        """Calls once, for as long as a read is tried."""
        return _call_until(time.monotonic() + self.timeout_seconds, attempt)

    def _is_over(self, began: float, tries: int, wait: float) -> bool:
        now = time.monotonic()
        failing_since = self._failing_since or now
        is_down = tries > 1 and now - failing_since > self.timeout_seconds
        return is_down or now + wait - began > self.timeout_seconds


def _call_until(deadline: float, attempt: Callable[[], _T]) -> _T:
    token = READ_UNTIL.set(deadline)
    try:
        return attempt()
    finally:
        READ_UNTIL.reset(token)


def _wait_seconds(tries: int, fault: TransientError) -> float:
    first = THROTTLED_WAIT_SECONDS if fault.is_throttled else FIRST_WAIT_SECONDS
    drawn = random.uniform(0, min(LONGEST_WAIT_SECONDS, first * 2 ** min(tries - 1, 10)))
    return max(drawn, fault.retry_after_seconds or 0)


def _said(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
