"""What --exclude says: globs of names at any depth, and of paths below an input's root.

    @eaDir              a file or directory of this name, wherever it is
    .thumbnails/        a directory of this name
    2019/raw            what has this path below the root
    **/*_small.jpg      such files, wherever they are

A directory that is excluded excludes all below it.
"""

import functools
import itertools
import re

from transforms.errors import InputError
from transforms.inputs.braces import expand_braces
from transforms.inputs.glob_pattern import glob_regex

NEVER = "(?!)"
"""Pattern that matches nothing."""


def check_exclusion(glob: str) -> None:
    """Checks that a glob can exclude anything.

    Raises:
        ValueError: If it is none, or can be no path below an input's root.
    """
    if {"", ".", ".."}.intersection(glob.removesuffix("/").split("/")):
        raise ValueError(
            f"got {glob!r}; wanted a name, such as @eaDir, or a path below the --input, such as "
            "2019/raw or **/*_small.jpg"
        )
    try:
        _patterns((glob,), is_directory=True)
    except InputError as error:
        raise ValueError(str(error).replace("--input ", "", 1)) from error


def excludes(globs: tuple[str, ...], path: str, *, is_directory: bool) -> bool:
    """Tells whether a path below an input's root is excluded by itself, not by one above it.

    Args:
        globs: The globs.
        path: The path, without a slash at either end.
        is_directory: Whether it is a directory's.
    """
    names, paths = _patterns(globs, is_directory=is_directory)
    return bool(names.match(path.rpartition("/")[2]) or paths.match(path))


def excluded_part(globs: tuple[str, ...], path: str) -> str | None:
    """Returns what excludes a file: the first directory down to it that is, or itself, or None.

    Of "a/@eaDir/x.jpg" and the glob "@eaDir" it is "a/@eaDir".
    """
    folder = path.rpartition("/")[0]
    if folder and (found := _excluded_folder(globs, folder)):
        return found
    return path if excludes(globs, path, is_directory=False) else None


@functools.lru_cache(maxsize=1024)
def _excluded_folder(globs: tuple[str, ...], folder: str) -> str | None:
    # A store gives the files of a folder one after the other.
    for upper in itertools.accumulate(folder.split("/"), "{}/{}".format):
        if excludes(globs, upper, is_directory=True):
            return upper
    return None


@functools.lru_cache(maxsize=64)
def _patterns(
    globs: tuple[str, ...], *, is_directory: bool
) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Returns the pattern of names and that of paths."""
    # As an --input, a name that itself holds braces is taken at its word.
    written = [each for glob in globs for each in dict.fromkeys((glob, *expand_braces(glob)))]
    of_kind = [each.rstrip("/") for each in written if is_directory or not each.endswith("/")]
    names = [glob_regex(each).pattern for each in of_kind if "/" not in each]
    paths = [glob_regex(each).pattern for each in of_kind if "/" in each]
    return _any_of(names), _any_of(paths)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or NEVER)
