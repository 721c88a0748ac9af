"""Acting as a user who may not read everything, also where the tests run as root."""

import contextlib
import ctypes
import os
import pathlib
import tempfile
from collections.abc import Iterator

_NOBODY = 65534

_CAPABILITIES_VERSION = 0x20080522
_POWER_OVER_PERMISSIONS = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of Linux."""


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


@contextlib.contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Drops root's power over permissions and nothing else: it still owns the tests' files.

    Threads that start meanwhile do not have it, either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    before = (ctypes.c_uint32 * 6)()  # Twice effective, permitted, inheritable.
    assert libc.capget(header, before) == 0, os.strerror(ctypes.get_errno())
    bound = (ctypes.c_uint32 * 6)(*before)
    bound[0] &= ~_POWER_OVER_PERMISSIONS
    assert libc.capset(header, bound) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        libc.capset(header, before)
