"""A large file of images, divided into spans: one output file, and one piece of work, each.

A file is gone through once, by its lengths alone. It is cut before each image that finds the span
before it full. Of a TFRecord of five images of 40 MB each, where a span shall have 64 MB and two
images:

    image 0     image 1     image 2     image 3     image 4
    byte 0      40,000,016  80,000,032  ...
    Span(0, 2, 0, 80000032), Span(2, 2, 80000032, 160000064), Span(4, None, 160000064, None)

The last span has no end, so that what is wrong with the end of the file is its failure. Where the
spans start depends on the file, on --rows_per_file and on the size of all files, and never on the
machine.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable

from transforms.errors import ImageError
from transforms.inputs.columns import FileColumns
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.place import Place
from transforms.records import InputFile
from transforms.span import Span

FEW_SHARDS = 32
"""Files of few bytes in all are divided into about as many, so that every core has some."""

LEAST_BYTES = 32 << 20
LEAST_IMAGES = 32
"""But not into spans smaller than this: each costs an open file and three small ones."""


@dataclasses.dataclass(frozen=True)
class SpanLimits:
    """When a span is full.

    Attributes:
        images: Images that it shall have.
        size_bytes: Stored bytes that it shall have, if these are LEAST_IMAGES or more.
    """

    images: int
    size_bytes: int

    @classmethod
    def of_run(cls, rows_per_file: int, total_bytes: int) -> "SpanLimits":
        """Returns the limits of a run.

        Args:
            rows_per_file: Rows that an output file shall have.
            total_bytes: Size of all files together.
        """
        return cls(rows_per_file, max(total_bytes // FEW_SHARDS, LEAST_BYTES))

    def is_full(self, images: int, size_bytes: int) -> bool:
        """Tells whether a span of so many images and bytes takes no more."""
        return images >= self.images or (size_bytes >= self.size_bytes and images >= LEAST_IMAGES)


def is_large(file: InputFile, columns: FileColumns, limits: SpanLimits) -> bool:
    """Tells whether a file is worth being divided: whether it fills two spans, by its beginning.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    if file.size_bytes < 2 * LEAST_BYTES:
        return False
    if file.size_bytes >= 2 * limits.size_bytes:
        return True
    look = FILE_KINDS[file.kind].look(file, columns)
    return look.images * file.size_bytes >= 2 * limits.images * look.bytes_read


def divide(file: InputFile, limits: SpanLimits) -> list[InputFile]:
    """Divides a file into its spans; one that cannot be divided is returned as it is.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails; trying again may help.
    """
    firsts = _firsts(FILE_KINDS[file.kind].places(file), limits)
    if len(firsts) < 2:
        return [file]
    spans = [
        Span(place.image, after.image - place.image, place.start, after.start)
        for place, after in itertools.pairwise(firsts)
    ]
    spans.append(Span(firsts[-1].image, None, firsts[-1].start, None))
    return [dataclasses.replace(file, span=span) for span in spans]


def expected_shards(file: InputFile, images: float, limits: SpanLimits) -> int:
    """Estimates how many shards a file makes; reads no more than its beginning, or footer.

    Args:
        file: The file.
        images: Number of images in it, about.
        limits: Limits of the run.

    Raises:
        OSError: If the storage fails.
    """
    fills_two = file.size_bytes >= 2 * limits.size_bytes or images >= 2 * limits.images
    if file.size_bytes < 2 * LEAST_BYTES or not fills_two:
        return 1
    try:
        places = list(itertools.islice(FILE_KINDS[file.kind].places(file), 2))
    except ImageError:
        return 1
    if len(places) < 2:
        return 1
    in_a_span = max(images * limits.size_bytes / file.size_bytes, LEAST_IMAGES)
    return max(1, math.ceil(images / min(in_a_span, limits.images)))


def _firsts(places: Iterable[Place], limits: SpanLimits) -> list[Place]:
    """Picks the places at which a span starts."""
    firsts: list[Place] = []
    for place in places:
        if not firsts:
            firsts.append(place)
            continue
        images, size_bytes = place.image - firsts[-1].image, place.offset - firsts[-1].offset
        if limits.is_full(images, size_bytes):
            firsts.append(place)
    return firsts
