"""Locks of directories on disks."""

import errno
import fcntl
import os
import pathlib
from typing import NoReturn

import pytest

from transforms.errors import OutputError
from transforms.lifecycle.lock import run_lock
from transforms.lifecycle.owner import this_process


def test_of_a_file_system_without_locks_the_cure_is_said(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def flock(handle: int, operation: int) -> NoReturn:
        tried.append(handle)
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)  # As Lustre has it, mounted without -o flock.
    where = tmp_path / "staging"
    refused = pytest.raises(
        OutputError, match=r"lock\.json cannot be locked: Function not implemented; mount its file"
    )
    with refused, run_lock(str(where), this_process("1", "embed")):
        pass
    (handle,) = tried
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
