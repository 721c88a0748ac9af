"""A directory of this machine that is to be written, and may hold nothing yet."""

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
    # What is half done lies beside it.
    existing = os.path.dirname(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise OutputError(f"cannot write {directory}: {existing} is no directory; choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {directory}: {existing} is closed to you; choose another")
    return path
