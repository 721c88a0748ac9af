"""What a listing holds: files as a store names them, and what is made of each."""

import dataclasses
from typing import NamedTuple

from transforms.records import InputFile


class Entry(NamedTuple):
    """A file as a store lists it.

    Attributes:
        uri: Where it is.
        size_bytes: Its size; None for a broken link.
        version: As an ImageRef's.
    """

    uri: str
    size_bytes: int | None
    version: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file in a listing; size and version are None for a broken link."""

    uri: str
    root: str
    size_bytes: int | None
    version: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Skipped:
    """A file or directory that a listing leaves out; reason is its extension, or says why."""

    uri: str
    reason: str


Listed = ImageFile | InputFile | Skipped
