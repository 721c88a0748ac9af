"""Acting as a user who may not read everything, also where the tests run as root."""

import contextlib
import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

_NOBODY = 65534
_PR_CAPBSET_DROP, _CAPABILITIES = 24, 64
"""prctl(2), capabilities(7): what is dropped of the bounding set, exec does not give back."""


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


def run_without_rights(program: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own that may read no more than its files' modes allow.

    Unlike `unprivileged` it leaves this process alone, whose threads may be many by then.
    """
    command = [sys.executable, "-m", f"pipelines.{program}", *argv]
    return subprocess.run(
        command, preexec_fn=_drop_capabilities, capture_output=True, text=True, check=False
    )


def _drop_capabilities() -> None:
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl
        for capability in range(_CAPABILITIES):
            prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
