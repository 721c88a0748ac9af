"""What a listing holds: files as a store names them, and what is made of each."""

import dataclasses
from typing import NamedTuple

from transforms.records import InputFile


class Entry(NamedTuple):
    """A file as a store lists it.

    Attributes:
        uri: Place of the file.
        size_bytes: Size of it; None for a broken link.
        version: Version of it, as an ImageRef's; None where the store tells none.
    """

    uri: str
    size_bytes: int | None
    version: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file in a listing.

    Attributes:
        uri: Place of the file.
        root: Fixed part of the input that it was found by, for ids relative to it.
        size_bytes: Size of it; None for a broken link.
        version: Version of it, as an ImageRef's; None where the store tells none.
    """

    uri: str
    root: str
    size_bytes: int | None
    version: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """A file or directory that a listing leaves out.

    Attributes:
        uri: Place of it.
        reason: Extension of its name, as ".txt", or why it is left out, as "hidden": to count by,
            in passed_over.
    """

    uri: str
    reason: str


EXCLUDED = "excluded"
"""Reason of what --exclude names; a directory stands for all below it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unlisted:
    """A directory in a listing whose own files are not seen, or a file that may hold anything.

    Attributes:
        uri: Place of it.
        reason: Words of the operating system, as "permission denied", or of the store.
    """

    uri: str
    reason: str


Listed = ImageFile | InputFile | Skipped | Unlisted
