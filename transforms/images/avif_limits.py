"""What the boxes of an AVIF file hold, bounded: libavif looks through all items for each reference.

Source: ISO/IEC 14496-12 and 23008-12. A file is boxes in boxes, each a length, a kind and content:

    ftyp  meta ( hdlr  pitm  iloc  iinf ( infe .. )  iref ( .. )  iprp ( ipco ( .. ) ipma ) )  mdat
"""

import struct
from collections.abc import Iterator

_MAX_BOXES = 10_000
_MAX_BYTES = 400_000
"""Of a list of items, references or properties of items: tens of thousands."""

_PARENTS = {b"meta": 4, b"iprp": 0}
"""Boxes that are walked through, and the bytes in front of the first in them."""

_OF_ANY_SIZE = (b"mdat", b"idat", b"ipco", b"free", b"skip", b"uuid")
"""Pixels, profiles, and what nobody reads."""


def check_avif(encoded: bytes) -> None:
    """Checks that the lists of an AVIF are no longer than an image can use.

    Raises:
        ValueError: If they are.
        struct.error: If a box ends early.
    """
    _check(encoded, 0, len(encoded))


def _check(encoded: bytes, start: int, end: int) -> None:
    for kind, first, last in _boxes(encoded, start, end):
        if kind in _PARENTS:
            _check(encoded, first + _PARENTS[kind], last)
        elif kind not in _OF_ANY_SIZE and last - first > _MAX_BYTES:
            name = kind.decode("ascii", "backslashreplace")
            raise ValueError(
                f"a box {name} of {last - first:,} bytes, wanted at most {_MAX_BYTES:,}"
            )
        elif kind == b"ipco":
            for _ in _boxes(encoded, first, last):
                pass


def _boxes(encoded: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start and end of the contents of boxes that follow one another."""
    offset = start
    for _ in range(_MAX_BOXES):
        if offset + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", encoded, offset)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", encoded, offset + 8)
            head = 16
        elif length == 0:
            length = end - offset
        if length < head:
            raise ValueError("a box without an end")
        yield kind, offset + head, min(offset + length, end)
        offset += length
    raise ValueError(f"more than {_MAX_BOXES:,} boxes")
