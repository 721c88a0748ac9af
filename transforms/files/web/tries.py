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

_T = TypeVar("_T")


def try_again(ask: Callable[[], _T]) -> _T:
    """Asks until there is an answer, and gives up soon: a server that is down ends no run.

    Raises:
        UnavailableError: If it does not work, though asked again.
        ImageError: What ask raises and another try cannot help.
    """
    waits = iter(WAITS_SECONDS)
    while True:
        try:
            return ask()
        except TransientError as error:
            wait, asked = next(waits, None), error.retry_after_seconds or 0.0
            if wait is None or asked > PATIENCE_SECONDS:
                hint = (
                    f"; it is to be asked after {asked:.0f} s" if asked > PATIENCE_SECONDS else ""
                )
                raise UnavailableError(f"{error}{hint}") from error
            time.sleep(max(wait, asked))
