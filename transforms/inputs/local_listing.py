"""Local files of an --input, directory by directory, and what of them cannot be taken."""

import os
import stat
from collections.abc import Iterator

from transforms.inputs.entries import Entry, Skipped
from transforms.inputs.source import Source, has_wildcards


def list_local(source: Source) -> Iterator[Entry | Skipped]:
    """Lists the files that a local input stands for, names in order within each directory.

    Links to directories, pipes, names that are not UTF-8 and directories that may not be read come
    as Skipped. A broken link is a file without a size: opening it says what is wrong.
    """
    # Not FileSystems.match: it drops broken links, unreadable and linked directories unseen.
    # A name may hold wildcards; one without them is a file even if it went away since.
    is_file = not has_wildcards(source.pattern) or os.path.exists(source.pattern)
    if not source.is_directory and is_file:
        yield _entry(source.pattern)
        return
    unreadable: list[OSError] = []
    for folder, subfolders, names in os.walk(source.root or "/", onerror=unreadable.append):
        subfolders.sort()
        if not source.is_directory and _is_deepest(source.pattern, folder):
            subfolders.clear()
        paths = (os.path.join(folder, name) for name in sorted(names))
        yield from (_entry(path) for path in paths if source.matches(path))
        links = (os.path.join(folder, name) for name in subfolders)
        yield from (Skipped(path, "linked directory") for path in links if os.path.islink(path))
    yield from (Skipped(str(error.filename), "unreadable directory") for error in unreadable)


def _entry(path: str) -> Entry | Skipped:
    try:
        path.encode()
    except UnicodeEncodeError:  # os.walk gives the byte 0xff as "\udcff", half a surrogate pair.
        return Skipped(os.fsencode(path).decode(errors="replace"), "name is not UTF-8")
    try:
        status = os.stat(path)
    except OSError:  # A broken link, most often; opening it says what is wrong.
        return Entry(path, None, None)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, "not a regular file")
    return Entry(path, status.st_size, str(status.st_mtime_ns))


def _is_deepest(glob: str, folder: str) -> bool:
    """Tells whether nothing below a folder can match: /a/*/x.jpg has all its matches in /a/b."""
    return "**" not in glob and folder.rstrip("/").count("/") >= glob.count("/") - 1
