"""Modules that imports do not find for a while: what libraries load where it is installed.

A library that asks for more than a program here calls, and passes over what is not there, is
imported sooner so. What is hidden can be imported as ever afterwards.
"""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Has imports raise ModuleNotFoundError for these modules meanwhile; loaded ones stay."""
    # None: not found, to imports.
    modules = dict[str, object](sys.modules)
    hidden = [name for name in names if name not in modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
