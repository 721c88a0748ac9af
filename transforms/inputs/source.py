"""One --input: a directory, a glob or a file, and which names it stands for."""

import dataclasses
import functools
import re
import warnings

from transforms.files.file_systems import FileSystem
from transforms.records import ShardKind

_WILDCARD = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One --input, classified.

    Attributes:
        kind: Kind of every file of it. IMAGES for image files, and for a directory or a glob that
            may hold any: there each file's own name decides.
        pattern: Directory, glob or file; a local one is absolute.
        root: Directory, or the fixed part before the wildcards, without a closing slash.
        is_directory: Whether it is a directory, taken whole.
        format: Kind that the user says its files are of, or the first bytes of the one file did;
            None if names and first bytes are to tell.
    """

    kind: ShardKind
    pattern: str
    root: str
    is_directory: bool
    format: ShardKind | None = None

    def matches(self, uri: str) -> bool:
        """Tells whether a file is one of a directory's, or one that the glob matches."""
        if self.is_directory:
            return uri.startswith(self.root + "/")
        return _glob_regex(self.pattern).match(uri) is not None

    def may_match_below(self, folder: str) -> bool:
        """Tells whether a directory of a local input may hold a file of it, at any depth.

        /a/*/cats/*.jpg may have some below /a/b and /a/b/cats, and none below /a/b/dogs.
        """
        if self.is_directory:
            return True
        parts = self.pattern.split("/")
        names = folder.rstrip("/").split("/")
        for part, name in zip(parts, names, strict=False):
            if "**" in part or ("[" in part and "]" not in part):  # A [/] is of two parts.
                return True
            if not _glob_regex(part).match(name):
                return False
        return len(names) < len(parts)


def has_wildcards(uri: str) -> bool:
    """Tells whether a uri may be a glob; a file's name may hold the same characters."""
    return _WILDCARD.search(uri) is not None


def fixed_part(glob: str) -> str:
    """Returns what comes before the first wildcard: of gs://b/a/x-*.jpg it is gs://b/a/x-."""
    return _WILDCARD.split(glob, maxsplit=1)[0]


def with_any_character(uri: str) -> str:
    """Puts ? in place of each wildcard: /a/x[1].jpg becomes /a/x?1].jpg.

    Beam's globs have no way to quote. This one matches the file of that name, and a few others.
    """
    return _WILDCARD.sub("?", uri)


@functools.lru_cache(maxsize=64)
def _glob_regex(glob: str) -> re.Pattern[str]:
    # Beam's ** needs a directory in between; here, as in a shell, **/ also stands for none:
    # of a/**/*.jpg it makes a/.*/[^/]*\.jpg, which misses a/x.jpg; a/(?:.*/)?[^/]*\.jpg does not.
    with warnings.catch_warnings():
        # Of [[], which is how a glob says [.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(FileSystem.translate_pattern(glob).replace(".*/", "(?:.*/)?"))
