"""The files below a local directory."""

import os
from collections.abc import Iterator

LOST_AND_FOUND = "lost+found"
"""Directory at the top of a file system, for what a repair of it finds; root alone may read it."""


def files_below(directory: str) -> Iterator[str]:
    """Yields the path of every file, and link to one; nothing if there is no such directory.

    The lost+found of a mount point is passed over: it is the file system's own.

    Raises:
        OSError: If a part of it cannot be listed.
    """

    def fail(error: OSError) -> None:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        if not (absent and error.filename == directory):
            raise error

    for folder, folders, names in os.walk(directory, onerror=fail):
        if folder == directory and LOST_AND_FOUND in folders and os.path.ismount(folder):
            folders.remove(LOST_AND_FOUND)
        yield from (os.path.join(folder, name) for name in names)
