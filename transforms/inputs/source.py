"""One --input: a directory, a glob or a file, and which names it stands for."""

import dataclasses

from transforms.inputs.exclusion import excluded_part, excludes
from transforms.inputs.glob_pattern import glob_regex
from transforms.records import ShardKind


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
        excluded: Globs of names, and of paths below the root, that are passed over.
        follows_links: Whether what links to local directories lead to is of it.
    """

    kind: ShardKind
    pattern: str
    root: str
    is_directory: bool
    format: ShardKind | None = None
    excluded: tuple[str, ...] = ()
    follows_links: bool = False

    def matches(self, uri: str) -> bool:
        """Tells whether a file is one of a directory's, or one that the glob matches."""
        if self.is_directory:
            return uri.startswith(self.root + "/")
        return glob_regex(self.pattern).match(uri) is not None

    def excludes_directory(self, uri: str) -> bool:
        """Tells whether all that is below a directory is to be passed over."""
        below = uri.rstrip("/")[len(self.root) + 1 :]
        return bool(self.excluded) and excludes(self.excluded, below, is_directory=True)

    def excluded_part(self, uri: str) -> str | None:
        """Returns the excluded one of a file and the directories above it; None if none is."""
        start = len(self.root) + 1
        part = excluded_part(self.excluded, uri[start:]) if self.excluded else None
        return None if part is None else uri[:start] + part

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
            if not glob_regex(part).match(name):
                return False
        return len(names) < len(parts)
