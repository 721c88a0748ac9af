"""What the boxes of an AVIF or HEIF file hold, bounded: decoders look through all items for each.

Source: ISO/IEC 14496-12 and 23008-12. A file is boxes in boxes, each a length, a kind and content:

    ftyp  meta ( hdlr  pitm  iloc  iinf ( infe .. )  iref ( .. )  iprp ( ipco ( ispe .. ) ipma ) )
    mdat

Each item has its size in an `ispe`: the picture, the tiles that it is put together of, thumbnails.
"""

import struct
from collections.abc import Iterable, Iterator

from transforms.errors import ImageTooLargeError
from transforms.images.iso_boxes import Box, iter_boxes

_MAX_BOXES = 10_000
_MAX_BYTES = 400_000
"""Of a list of items, references or properties of items: tens of thousands."""

_READ = (b"ftyp", b"meta", b"moov")
"""Boxes of the file itself that decoders read. A phone's video is in another, of any size."""

_PARENTS = {b"meta": 4, b"iprp": 0}
"""Boxes that are walked through, and the bytes in front of the first in them."""

_OF_ANY_SIZE = (b"idat", b"free", b"skip", b"uuid")
"""Pixels, and what nobody reads."""


def check_items(encoded: bytes, max_pixels: int) -> None:
    """Checks that the lists are no longer than an image can use, and that no item is too large.

    Args:
        encoded: The whole file.
        max_pixels: Most pixels of an item.

    Raises:
        ValueError: If a list is too long.
        ImageTooLargeError: If an item has more pixels.
        struct.error: If a box ends early.
    """
    boxes = [box for box in _boxes_of_file(encoded) if box[0] in _READ]
    for height, width in _sizes(encoded, boxes):
        if height * width > max_pixels:
            raise ImageTooLargeError(
                f"a part of {height} x {width} pixels, wanted at most {max_pixels}: it does not "
                "decode in 1 GB of memory; convert it to JPEG or PNG"
            )


def _boxes_of_file(encoded: bytes) -> list[Box]:
    """Returns the boxes that are in no other.

    Behind `meta` may be what is no box, such as a phone's trailer: there decoders stop, too.
    """
    boxes: list[Box] = []
    try:
        for box in iter_boxes(encoded, 0, len(encoded), _MAX_BOXES):
            boxes.append(box)
    except (ValueError, struct.error):
        if len(boxes) == _MAX_BOXES or all(box[0] != b"meta" for box in boxes):
            raise
    return boxes


def _sizes(encoded: bytes, boxes: Iterable[Box]) -> Iterator[tuple[int, int]]:
    """Yields height and width of every `ispe`, and checks the boxes on the way."""
    for kind, first, last in boxes:
        if kind in _PARENTS:
            first += _PARENTS[kind]
            yield from _sizes(encoded, iter_boxes(encoded, first, last, _MAX_BOXES))
        elif kind == b"ipco":
            for name, at, _ in iter_boxes(encoded, first, last, _MAX_BOXES):
                if name == b"ispe":
                    width, height = struct.unpack_from(">II", encoded, at + 4)
                    yield height, width
        elif kind not in _OF_ANY_SIZE and last - first > _MAX_BYTES:
            kind_name = kind.decode("ascii", "backslashreplace")
            raise ValueError(
                f"a box {kind_name} of {last - first:,} bytes, wanted at most {_MAX_BYTES:,}"
            )
