"""What must be known of a kind of file that holds images, for it to be an input."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from transforms.inputs.columns import FileColumns
from transforms.inputs.look import Look
from transforms.inputs.part import ReadPart
from transforms.inputs.place import Place
from transforms.records import InputFile

Read = Callable[[InputFile, FileColumns, int, int], Iterator[ReadPart]]
"""Reads a file in order: the file, its columns, rows at a time, the largest encoded image."""

Peek = Callable[[str, str | None, str | None, Sequence[str]], pa.Schema | None]
"""Finds the types of carried columns: uri, image_key, image_id_from, names; None if unreadable."""

Places = Callable[[InputFile], Iterator[Place]]
"""Finds where a file may be cut, in order; ends where it is damaged. None, if it cannot be cut."""

FirstIds = Callable[[InputFile, FileColumns, int], list[tuple[str, str]]]
"""Reads image_id and uri of a file's first images: the file, its columns, how many at most."""


def _taken(name: str) -> str | None:
    """Finds no reason to skip a file."""
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileKind:
    """A kind of file that holds images.

    Attributes:
        word: Name of the kind for people, as in "3 TFRecord files".
        name: Pattern found in the names of such files.
        glob: Pattern found in the last part of a glob that matches such files and no others.
        read: The reader.
        peek: The look at launch, for what the flags name.
        look: The count of a file's images, whole or of its beginning; raises ImageError if the file
            cannot be read.
        places: The first pass over a large file; raises ImageError if it cannot be opened.
        first_ids: The look at the first ids, where the images need not be read for it; None if
            `read` passes over those that are too large.
        tells_its_count: Whether a file says how many images it holds, so that every file is asked.
            Of the others only some are looked into.
        reason_to_skip: The reason, by its name, why a file is left out of a directory that is taken
            whole; None if it is not.
    """

    word: str
    name: re.Pattern[str]
    glob: re.Pattern[str]
    read: Read
    peek: Peek
    look: Callable[[InputFile, FileColumns], Look]
    places: Places
    first_ids: FirstIds | None = None
    tells_its_count: bool = False
    reason_to_skip: Callable[[str], str | None] = _taken
