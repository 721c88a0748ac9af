"""How many boxes the images in files have, told by the first of some: each is a row.

Of files whose first 32 images have 224 boxes, one of 10,000 images has about 70,000.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from transforms.inputs.boxes_of_files import split_boxes
from transforms.inputs.columns import FileColumns
from transforms.inputs.counts import FILES_COUNTED, FileCount
from transforms.inputs.kinds import FILE_KINDS
from transforms.records import InputFile

IMAGES_READ = 512
"""Images, with all of their bytes, of which the boxes are counted."""


class _Read(NamedTuple):
    images: int
    rows: int
    is_whole: bool


def count_rows(
    images: Mapping[InputFile, FileCount], columns: FileColumns, max_image_bytes: int
) -> dict[InputFile, FileCount]:
    """Counts the rows that files make: their boxes, and what fails before it has any.

    Files that were read to their end are counted, the others are taken to have as many rows an
    image. Some are read, far apart.

    Args:
        images: Number of images in each file.
        columns: Columns of the run, with those of the boxes.
        max_image_bytes: Largest encoded image that is read, in bytes.

    Raises:
        OSError: If the storage fails.
    """
    files = list(images)
    count = min(len(files), FILES_COUNTED)
    chosen = [files[place * len(files) // count] for place in range(count)]
    read = {
        file: _read(file, columns, -(-IMAGES_READ // count), max_image_bytes) for file in chosen
    }
    rows_an_image = _rows_an_image(list(read.values()))
    return {
        file: FileCount(read[file].rows, is_exact=True)
        if file in read and read[file].is_whole
        else FileCount(images[file].images * rows_an_image, is_exact=False)
        for file in files
    }


def _rows_an_image(read: Sequence[_Read]) -> float:
    return sum(one.rows for one in read) / max(sum(one.images for one in read), 1)


def _read(file: InputFile, columns: FileColumns, most: int, max_image_bytes: int) -> _Read:
    """Counts the boxes of a file's first images; of `most` of them, or of some more."""
    images = rows = 0
    for part in FILE_KINDS[file.kind].read(file, columns.by_image, most, max_image_bytes):
        if images >= most:
            return _Read(images, rows, is_whole=False)
        images += part.matched
        rows += sum(boxes.matched for boxes in split_boxes(part, columns))
    return _Read(images, rows, is_whole=True)
