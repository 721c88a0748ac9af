"""Directories of this machine that are to be written, or made."""

import os

from transforms.errors import OutputError, brief
from transforms.files.file_uris import without_file_scheme
from transforms.files.schemes import scheme_of


def check_new_directory(directory: str) -> str:
    """Returns the absolute path of a local directory that is absent or empty, and may be written.

    Raises:
        OutputError: If it is anything else.
    """
    path = without_file_scheme(directory)
    if scheme_of(path) is not None:
        raise OutputError(f"{directory} is not on this machine; write a local one and copy it")
    path = os.path.realpath(path)
    try:
        is_free = not os.path.lexists(path) or (os.path.isdir(path) and not os.listdir(path))
    except OSError as error:
        raise OutputError(f"cannot write {directory}: {brief(error)}") from error
    if not is_free:
        raise OutputError(f"{directory} is there already; choose an empty or new directory")
    parent = os.path.dirname(path)  # What is half done lies there.
    if not may_write(parent):
        existing = _nearest(parent)
        why = "is closed to you" if os.path.isdir(existing) else "is no directory"
        raise OutputError(f"cannot write {directory}: {existing} {why}; choose another")
    return path


def may_write(directory: str) -> bool:
    """Tells whether a directory, or the nearest one above it that is there, may be written."""
    existing = _nearest(directory)
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


def _nearest(path: str) -> str:
    """Returns a path, or the nearest one above it that is there."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path
