"""Python's garbage collector, kept from looking through what never becomes garbage.

TensorFlow and Beam are a million objects that stay until the process ends. Looking through them
takes a second while they are imported, and another one as the process ends.
"""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import NoReturn


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Looks for no garbage meanwhile: for work that makes many objects which stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Lets large libraries be imported: what is there afterwards counts as lasting."""
    before = len(sys.modules)
    with no_collection():
        try:
            yield
        finally:
            if len(sys.modules) > before:
                gc.freeze()


def exit_at_once(code: int) -> NoReturn:
    """Ends the process; the interpreter would look for garbage several times before."""
    gc.freeze()
    sys.exit(code)
