"""The signals that ask a process to end: Ctrl-C's, and that of schedulers."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ENDINGS = {
    signal.SIGINT: ("interrupted", 128 + signal.SIGINT),
    signal.SIGTERM: ("terminated", 128 + signal.SIGTERM),
}
"""What a process that is asked to end says, and the exit code that shells have for it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised as Python raises Ctrl-C."""


def ending_of(interrupt: KeyboardInterrupt) -> tuple[str, int]:
    """Returns what to say of an interrupt, and the exit code."""
    return ENDINGS[signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT]


@contextlib.contextmanager
def on_signals(
    handle: Callable[[int, FrameType | None], object], *numbers: signal.Signals
) -> Iterator[None]:
    """Handles signals in a way of its own while the block runs; not in a thread, by Python's rule.

    Args:
        handle: Handler.
        numbers: Signals; by default all of ENDINGS.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, handle) for number in numbers or ENDINGS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Raises Terminated on SIGTERM: a container's first process would not end at all by default."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    with on_signals(end, signal.SIGTERM):
        yield
