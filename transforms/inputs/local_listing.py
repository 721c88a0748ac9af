"""Local files of an --input, directory by directory, and what of them cannot be taken or seen."""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from transforms.files.file_uris import uri_of_path
from transforms.inputs.entries import EXCLUDED, Entry, Skipped, Unlisted
from transforms.inputs.first_bytes import is_told_by_name
from transforms.inputs.glob_pattern import has_wildcards
from transforms.inputs.source import Source


def list_local(source: Source) -> Iterator[Entry | Skipped | Unlisted]:
    """Lists the files that a local input stands for, names in order within each directory.

    Links to directories come as Skipped, or are followed, but for those that lead to a directory
    that they are in. Pipes come as Skipped, and so does what is excluded: a directory once for all
    below it, which is not looked into. Directories that may not be read, or fail, come as Unlisted.
    A broken link is a file without a size: opening it says what is wrong; but where links to
    directories are followed, one without a known extension comes as Unlisted. A name that is not
    UTF-8 comes as a file: URI.
    """
    # Not FileSystems.match: it drops broken links, unreadable and linked directories unseen.
    # A name may hold wildcards; one without them is a file even if it went away since.
    is_file = not has_wildcards(source.pattern) or os.path.exists(source.pattern)
    if not source.is_directory and is_file:
        yield _entry(source.pattern, source)
        return
    errors: list[OSError] = []
    trail: list[_Step] = []
    for folder, subfolders, names in os.walk(
        source.root or "/", onerror=errors.append, followlinks=source.follows_links
    ):
        if source.follows_links and _leads_back(folder, trail):
            subfolders.clear()
            yield Skipped(uri_of_path(folder), "loop of links")
            continue
        subfolders.sort()
        if not source.is_directory and _is_deepest(source.pattern, folder):
            subfolders.clear()
        if error := _why_closed(folder, [*names[:1], *subfolders[:1]]):
            error.filename = folder
            errors.append(error)
            subfolders.clear()
            continue
        paths = (os.path.join(folder, name) for name in sorted(names))
        for path in paths:
            if source.follows_links and _was_directory(path, source):
                errors.append(OSError(0, "a link that leads nowhere", path))
            elif source.matches(path):
                yield _entry(path, source)
        below = {name: os.path.join(folder, name) for name in subfolders}
        excluded = {name: path for name, path in below.items() if source.excludes_directory(path)}
        subfolders[:] = [name for name in subfolders if name not in excluded]
        yield from (
            Skipped(uri_of_path(path), EXCLUDED)
            for path in excluded.values()
            if source.may_match_below(path)
        )
        if not source.follows_links:
            paths = (os.path.join(folder, name) for name in subfolders)
            links = (path for path in paths if os.path.islink(path))
            yield from (Skipped(uri_of_path(path), "linked directory") for path in links)
    for error in errors:
        folder = str(error.filename)
        if source.may_match_below(folder):
            yield Unlisted(uri_of_path(folder), (error.strerror or str(error)).lower())


class _Step(NamedTuple):
    """A directory on the way from / to the one that a walk is in."""

    depth: int
    device: int
    inode: int


def _leads_back(folder: str, trail: list[_Step]) -> bool:
    """Tells whether a directory is one of those on the way to it, by way of a link.

    Args:
        folder: The directory, the next of a walk.
        trail: Way to the last directory of the walk; it becomes the way to this one.
    """
    depth = folder.rstrip("/").count("/")
    while trail and trail[-1].depth >= depth:
        trail.pop()
    try:
        status = os.stat(folder)
    except OSError:  # It went away since it was read, and what is below it with it.
        return False
    place = status.st_dev, status.st_ino
    is_back = any(place == (step.device, step.inode) for step in trail)
    trail.append(_Step(depth, *place))
    return is_back


def _why_closed(folder: str, names: list[str]) -> OSError | None:
    """Returns why a directory that may be read may not be entered, or None.

    Its names are seen then, and nothing of what they name: no size, no time.
    """
    try:
        for name in names:
            os.lstat(os.path.join(folder, name))
    except PermissionError as error:
        return error
    except OSError:  # This one went away, or fails by itself.
        return None
    return None


def _was_directory(path: str, source: Source) -> bool:
    """Tells whether a link leads nowhere, and may have led to a directory with files of a source.

    Editors lock files with hidden links that lead nowhere.
    """
    if not os.path.islink(path) or os.path.exists(path) or os.path.basename(path).startswith("."):
        return False
    is_wanted = source.may_match_below(path) and source.excluded_part(path) is None
    return is_wanted and not is_told_by_name(path)


def _entry(path: str, source: Source) -> Entry | Skipped:
    uri = uri_of_path(path)
    if source.excluded_part(path):
        return Skipped(uri, EXCLUDED)
    try:
        status = os.stat(path)
    except OSError:  # A broken link, most often; opening it says what is wrong.
        return Entry(uri, None, None)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(uri, "not a regular file")
    return Entry(uri, status.st_size, str(status.st_mtime_ns))


def _is_deepest(glob: str, folder: str) -> bool:
    """Tells whether nothing below a folder can match: /a/*/x.jpg has all its matches in /a/b."""
    return "**" not in glob and folder.rstrip("/").count("/") >= glob.count("/") - 1
