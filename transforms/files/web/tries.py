"""Tries: the web is asked for a file a few times. Of many servers some are always down."""

import time
from collections.abc import Callable
from typing import TypeVar

from transforms.errors import UnavailableError
from transforms.files.object_store import TransientError

WAITS_SECONDS = (1.0, 3.0)
"""Waits before a file is asked for again: another try after each."""

PATIENCE_SECONDS = 30.0
"""Longest wait that a server may ask for; one that wants longer is left to a later run."""

PAUSES_SECONDS = 120.0
"""Longest time, in all, that a file waits while its server, asked for others, is left alone."""

_T = TypeVar("_T")


def try_again(ask: Callable[[], _T]) -> _T:
    """Asks until there is an answer, and gives up soon: a server that is down ends no run.

    While a server is left alone, as it asked, nothing is sent: that is no try.

    Raises:
        UnavailableError: If it does not work, though asked again.
        ImageError: What ask raises and another try cannot help.
    """
    waits = iter(WAITS_SECONDS)
    paused_seconds = 0.0
    while True:
        try:
            return ask()
        except TransientError as error:
            asked = error.retry_after_seconds or 0.0
            if error.is_sent:
                wait = next(waits, None)
            else:
                wait = asked if paused_seconds < PAUSES_SECONDS else None
                paused_seconds += asked
            if wait is None or asked > PATIENCE_SECONDS:
                hint = (
                    f"; it is to be asked after {asked:.0f} s" if asked > PATIENCE_SECONDS else ""
                )
                raise UnavailableError(f"{error}{hint}") from error
            time.sleep(max(wait, asked))
