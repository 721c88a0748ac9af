"""Boxes of ISO's media files, that follow one another: a length, a kind and content each.

Source: ISO/IEC 14496-12:2022, 4.2. AVIF, HEIF and JPEG XL are made of them.
"""

import struct
from collections.abc import Iterator

Box = tuple[bytes, int, int]
"""Kind, start and end of the contents."""


def iter_boxes(encoded: bytes, start: int, end: int, most: int) -> Iterator[Box]:
    """Yields kind, start and end of the contents of boxes.

    Args:
        encoded: The whole file.
        start: Place of the first box.
        end: Place behind the last one.
        most: Number of boxes that may be there.

    Raises:
        ValueError: If a box has no end, or there are more of them.
        struct.error: If a box ends early.
    """
    offset = start
    for _ in range(most):
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
    raise ValueError(f"more than {most:,} boxes")
