"""Fax-coded TIFF files (ITU-T T.6, "group 4") whose strips end before their last row.

libtiff leaves the rows that are missing as they were in memory, and says nothing. What was in
memory is other people's images, or anything.
"""

import io
import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    FILLORDER,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    ROWSPERSTRIP,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILELENGTH,
    TILEOFFSETS,
    TILEWIDTH,
)

from transforms.images.fax_lines import MIRRORED

_OPTIONS = 293
"""TIFF 6.0, section 11: of T.6, which Pillow has no name for."""

_GROUP_4 = 4


def check_fax_strips(encoded: bytes, tags: Mapping[int, Any]) -> None:
    """Checks that every strip or tile of a fax-coded TIFF is decoded to its last row.

    All strips share one piece of memory. So each is decoded behind one that is all white, and once
    more behind one that is all black. Where a strip ends early, they show through:

        strip     2 of 3 rows    # . . #    # . . #    (end)
        white     # . . #    # . . #    . . . .
        black     # . . #    # . . #    # # # #

    Args:
        encoded: The whole file.
        tags: Values of the tags by their numbers; of other compressions nothing is checked.

    Raises:
        ValueError: If one is not.
        Exception: One of PILLOW_ERRORS, if it cannot be decoded at all.
    """
    if tags.get(COMPRESSION) != _GROUP_4:
        return
    width, height = tags[IMAGEWIDTH], tags[IMAGELENGTH]
    if TILEOFFSETS in tags:
        size, places = (tags[TILEWIDTH], tags[TILELENGTH]), tags[TILEOFFSETS]
        sizes = tags[TILEBYTECOUNTS]
        strips, last = len(places), size[1]
    else:
        size, places = (width, min(tags.get(ROWSPERSTRIP, height), height)), tags[STRIPOFFSETS]
        sizes = tags.get(STRIPBYTECOUNTS, (len(encoded),))
        strips = -(-height // size[1])
        last = height - (strips - 1) * size[1]
    if strips == 1 and not sizes[0]:
        sizes = (len(encoded),)  # libtiff guesses a size of 0, of one strip.
    data = [encoded[at : at + count] for at, count in zip(places, sizes, strict=False)][:strips]
    order, options = tags.get(FILLORDER, 1), tags.get(_OPTIONS, 0)
    white, black = (
        _decode_behind(_plain_strip(size, colour, order), data, size, last, (order, options))
        for colour in (0, 1)
    )
    if not np.array_equal(white, black):
        rows = np.flatnonzero((white != black).any(axis=1))
        raise ValueError(f"fax-coded strip {rows[0] // size[1]} ends early")


def _plain_strip(size: tuple[int, int], colour: int, order: int) -> bytes:
    """Encodes a strip of one colour, in the order of bits that is wanted."""
    file = io.BytesIO()
    room = -(-size[0] // 8) * size[1]
    PIL.Image.new("1", size, colour).save(file, "TIFF", compression="group4", strip_size=room)
    file.seek(0)
    tags = TiffImagePlugin.TiffImageFile(file).tag_v2
    (place,), (count,) = tags[STRIPOFFSETS], tags[STRIPBYTECOUNTS]
    strip = file.getvalue()[place : place + count]
    return strip.translate(MIRRORED) if order == 2 else strip


def _decode_behind(
    first: bytes, strips: Sequence[bytes], size: tuple[int, int], last: int, coding: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Decodes strips, each of them behind the same first one.

    Returns:
        uint8 [rows, bytes], eight pixels each, of the strips without the first ones.
    """
    width, rows = size
    height = rows * (2 * len(strips) - 1) + last
    head = 8 + len(first)
    starts = [head, *(head + end for end in itertools.accumulate(map(len, strips)))]
    offsets = [place for start in starts[:-1] for place in (8, start)]
    sizes = [count for strip in strips for count in (len(first), len(strip))]
    values = {
        IMAGEWIDTH: [width], IMAGELENGTH: [height], BITSPERSAMPLE: [1], COMPRESSION: [_GROUP_4],
        PHOTOMETRIC_INTERPRETATION: [1], FILLORDER: [coding[0]], STRIPOFFSETS: offsets,
        ROWSPERSTRIP: [rows], STRIPBYTECOUNTS: sizes, _OPTIONS: [coding[1]],
    }  # fmt: skip
    directory = starts[-1] + starts[-1] % 2
    behind = directory + 2 + 12 * len(values) + 4
    entries, lists = b"", b""
    for tag, numbers in values.items():
        packed = struct.pack(f"<{len(numbers)}L", *numbers)
        where = packed if len(numbers) == 1 else struct.pack("<L", behind + len(lists))
        entries += struct.pack("<HHL", tag, 4, len(numbers)) + where
        lists += packed if len(numbers) > 1 else b""
    file = b"".join([b"II*\0", struct.pack("<L", directory), first, *strips])
    file = (
        file.ljust(directory, b"\0") + struct.pack("<H", len(values)) + entries + bytes(4) + lists
    )
    with TiffImagePlugin.TiffImageFile(io.BytesIO(file)) as image:
        image.load()
        bits = np.frombuffer(image.tobytes(), np.uint8).reshape(height, -1)
    return bits[np.arange(height) // rows % 2 == 1]
