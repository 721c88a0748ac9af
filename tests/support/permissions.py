"""Acting as a user who may not read everything, also where the tests run as root."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

_NOBODY = 65534


@contextlib.contextmanager
def folder_of_another_user() -> Iterator[pathlib.Path]:
    """Yields a folder that anybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Drops root's right to read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
