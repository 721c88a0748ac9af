"""How many images TFRecord, Parquet, tar and zip files hold, without reading all of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from transforms.errors import ImageError
from transforms.inputs.columns import FileColumns
from transforms.inputs.file_kind import FileKind
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.look import Look
from transforms.records import InputFile

FILES_COUNTED = 16
"""Files, of each kind that does not tell its count, into which a look is taken."""

FOOTERS_AT_ONCE = 16


class FileCount(NamedTuple):
    """Images in a file.

    Attributes:
        images: Number of images; a file that cannot be read counts as one, which will fail.
        is_exact: Whether they were counted; else the number may be a fraction.
    """

    images: float
    is_exact: bool


def count_in_files(files: Sequence[InputFile], columns: FileColumns) -> dict[InputFile, FileCount]:
    """Counts the images of files.

    Files that tell their count are all asked. Of the others some are looked into, far apart, and
    the rest are taken to hold as many images a stored byte.

    Args:
        files: Files in any order.
        columns: Columns that say which field of a tar's samples is the image.

    Raises:
        OSError: If the storage fails.
    """
    counts: dict[InputFile, FileCount] = {}
    for kind, files_of in FILE_KINDS.items():
        own = [file for file in files if file.kind is kind]
        count = _count_all if files_of.tells_its_count else _count_by_some
        counts |= count(files_of, own, columns)
    return counts


def _count_all(
    kind: FileKind, files: Sequence[InputFile], columns: FileColumns
) -> dict[InputFile, FileCount]:
    with ThreadPoolExecutor(FOOTERS_AT_ONCE, thread_name_prefix="footers") as threads:
        looks = threads.map(lambda file: _look_at(kind, file, columns), files)
        return {f: FileCount(look.images, True) for f, look in zip(files, looks, strict=True)}


def _count_by_some(
    kind: FileKind, files: Sequence[InputFile], columns: FileColumns
) -> dict[InputFile, FileCount]:
    """Counts by density: where 64 images lay in 2 MB, a file of 100 MB holds about 3,200."""
    count = min(len(files), FILES_COUNTED)
    chosen = [files[place * len(files) // count] for place in range(count)]
    looks = {file: _look_at(kind, file, columns) for file in chosen}
    images = sum(look.images for look in looks.values())
    images_a_byte = images / max(sum(look.bytes_read for look in looks.values()), 1)
    counts = {}
    for file in files:
        look = looks.get(file)
        counts[file] = (
            FileCount(look.images, is_exact=True)
            if look is not None and look.is_whole
            else FileCount(file.size_bytes * images_a_byte, is_exact=False)
        )
    return counts


def _look_at(kind: FileKind, file: InputFile, columns: FileColumns) -> Look:
    try:
        return kind.look(file, columns)
    except ImageError:
        return Look(1, file.size_bytes, is_whole=True)
