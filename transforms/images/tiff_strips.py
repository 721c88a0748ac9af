"""Damage in a TIFF's compressed strips and tiles, at which libtiff does not look."""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    FILLORDER,
    IMAGELENGTH,
    IMAGEWIDTH,
    JPEGTABLES,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWSPERSTRIP,
    SAMPLESPERPIXEL,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILELENGTH,
    TILEOFFSETS,
    TILEWIDTH,
)

from transforms.errors import CorruptImageError
from transforms.images.deflated import check_stream
from transforms.images.fax_lines import CCITT_RLE, GROUP_3, check_lines
from transforms.images.jpeg_decoder import decode_jpeg
from transforms.images.orientation import Entry, first_directory

_DEFLATE = {8, 32946}
"""Compressions that are zlib streams: TIFF Technical Note 2, and the number before it."""
_PACK_BITS = 32773
"""TIFF 6.0, section 9."""
_JPEG = 7
"""TIFF Technical Note 2; the one before, 6, is not looked at."""
_MOST_TIMES = 4
"""Pixels of a strip for each that it has room for: three layers are decoded, whatever it has."""
_YCBCR = 6
"""A photometric interpretation; its rows may have fewer bytes than their samples."""

_READ = {IMAGEWIDTH, IMAGELENGTH, BITSPERSAMPLE, SAMPLESPERPIXEL, ROWSPERSTRIP}
_READ |= {PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, TILEWIDTH, TILELENGTH}
_READ |= {STRIPOFFSETS, STRIPBYTECOUNTS, TILEOFFSETS, TILEBYTECOUNTS}

_NUMBERS = {3: "H", 4: "L", 16: "Q"}
_PIECE_BYTES = 65_536
_PADDING_BYTES = 1_024
"""What a strip may hold more than its rows; libtiff reads no further than these."""
_MOST_RUN_BYTES = 16_000_000
"""Of PackBits that are walked through, at most 0.2 s a million. Larger files are believed."""


def check_strips(encoded: bytes) -> None:
    """Checks that deflated, JPEG and fax strips are whole, and PackBits end with the last row.

    Where damage leaves valid code, libtiff decodes it to other pixels and is content. But a
    deflated strip ends with a checksum, and runs out of step seldom end where the rows do:

        78 9c  ..................  2f a1 03 c4      fe 07    02 01 02 03   fb 00
        zlib   bits of 1,440 rows  Adler-32         3 times  3 bytes       6 times: 12 bytes

    Nothing is kept of what is decoded, and no more than a strip has room for. JPEG strips are held
    against what libjpeg says of them. Other compressions have none of it; of LZW, libtiff sees most
    damage by itself.

    Args:
        encoded: A TIFF file whose tags have been checked by `check_tags`.

    Raises:
        ValueError: If one is damaged.
        struct.error: If a tag ends early.
    """
    order, found = first_directory(encoded)
    entries: dict[int, Entry] = {}
    for entry in found:
        entries.setdefault(entry.tag, entry)
    compression, fill_order = (
        _numbers(encoded, order, entries[tag])[0] if tag in entries else 1
        for tag in (COMPRESSION, FILLORDER)
    )
    is_fax = compression in (CCITT_RLE, GROUP_3)
    # In the other fill order every byte is stored backwards, which is rare but of faxes.
    if not is_fax and (fill_order == 2 or compression not in (*_DEFLATE, _PACK_BITS, _JPEG)):
        return
    tags = {tag: _numbers(encoded, order, entries[tag]) for tag in _READ & entries.keys()}
    layout = _layout(tags)
    if is_fax:
        check_lines(encoded, layout.strips(), compression, fill_order)
        return
    data = memoryview(encoded)
    if compression == _PACK_BITS:
        photometric = tags.get(PHOTOMETRIC_INTERPRETATION, (0,))[0]
        if sum(layout.sizes) <= _MOST_RUN_BYTES and photometric != _YCBCR:
            _check_runs(data, layout)
        return
    if compression == _JPEG:
        tables = entries.get(JPEGTABLES)
        _check_jpegs(encoded, layout, _bytes(encoded, order, tables) if tables else b"")
        return
    for number, offset in enumerate(layout.offsets):
        try:
            pieces = (
                bytes(data[start : start + _PIECE_BYTES])
                for start in range(offset, len(data), _PIECE_BYTES)
            )
            if not check_stream(pieces, layout.rows * layout.row_bytes, _PADDING_BYTES):
                raise ValueError("it ends early")
        except (zlib.error, ValueError) as error:
            raise ValueError(f"{layout.name(number)}: {error}") from error


class _Layout(NamedTuple):
    """Where the strips or tiles are that make the first image.

    Attributes:
        kind: "strip" or "tile".
        offsets: Where each starts in the file.
        sizes: Bytes of each, as the file says.
        rows: Rows of each but the last of a plane.
        last_rows: Rows of that.
        row_bytes: Bytes of a row, decoded.
        in_plane: Number of them in a plane; all if the samples are not apart.
    """

    kind: str
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    rows: int
    last_rows: int
    row_bytes: int
    in_plane: int

    def strips(self) -> list[tuple[int, int, int]]:
        """Returns first byte, bytes and rows of each."""
        strips = zip(self.offsets, self.sizes, strict=False)
        return [
            (start, size, self.rows if (number + 1) % self.in_plane else self.last_rows)
            for number, (start, size) in enumerate(strips)
        ]

    def name(self, number: int) -> str:
        return f"{self.kind} {number} of {len(self.offsets)}"


def _layout(tags: dict[int, tuple[int, ...]]) -> _Layout:
    width, height, samples, planes = (
        tags.get(tag, (default,))[0]
        for tag, default in (
            (IMAGEWIDTH, 0),
            (IMAGELENGTH, 0),
            (SAMPLESPERPIXEL, 1),
            (PLANAR_CONFIGURATION, 1),
        )
    )
    is_tiled = TILEOFFSETS in tags
    if is_tiled:
        across, rows = tags.get(TILEWIDTH, (0,))[0], tags.get(TILELENGTH, (0,))[0]
    else:
        across, rows = width, min(tags.get(ROWSPERSTRIP, (height,))[0], height)
    in_plane = -(-width // max(across, 1)) * -(-height // max(rows, 1))
    # What the image does not need is not decoded either.
    needed = in_plane * samples if planes == 2 else in_plane
    return _Layout(
        "tile" if is_tiled else "strip",
        tags.get(TILEOFFSETS if is_tiled else STRIPOFFSETS, ())[:needed],
        tags.get(TILEBYTECOUNTS if is_tiled else STRIPBYTECOUNTS, ())[:needed],
        rows,
        rows if is_tiled else height - (in_plane - 1) * rows,
        -(-across * max(tags.get(BITSPERSAMPLE, (1,))) * (1 if planes == 2 else samples) // 8),
        in_plane,
    )


def _check_runs(data: memoryview, layout: _Layout) -> None:
    for number, (offset, size) in enumerate(zip(layout.offsets, layout.sizes, strict=False)):
        runs = data[offset : offset + size]
        # Some fill the last strip up.
        is_last = (number + 1) % layout.in_plane == 0
        rows = {layout.rows, layout.last_rows if is_last else layout.rows}
        # libtiff guesses a size of 0.
        if size and not any(_is_whole(runs, count * layout.row_bytes) for count in rows):
            raise ValueError(f"{layout.name(number)}: its runs do not end where its rows do")


def _is_whole(runs: memoryview, size: int) -> bool:
    """Returns whether PackBits decode to so many bytes, and little is left."""
    place, left, end = 0, size, len(runs)
    while left > 0 and place < end:
        head = runs[place]
        if head < 128:
            place += head + 2
            left -= head + 1
        elif head > 128:
            place += 2
            left -= 257 - head
        else:
            place += 1
    # Some fill up to whole words, or say more bytes than there are.
    rest = bytes(runs[place:])
    return left == 0 and place <= end and (len(rest) < 4 or not rest.strip(b"\0\x80"))


def _check_jpegs(encoded: bytes, layout: _Layout, tables: bytes) -> None:
    """Decodes JPEG strips by themselves, for libtiff does not hand on what libjpeg warns of.

    The tables that they have in common are a JPEG without a picture:

        tables   ff d8  ff db ..  ff c4 ..  ff d9
        strip    ff d8                             ff c0 ..  ff da .. (scan)  ff d9
    """
    shared = tables[:-2] if tables.endswith(b"\xff\xd9") else b"\xff\xd8"
    room = np.empty(0, np.uint8)
    for number, (offset, size) in enumerate(zip(layout.offsets, layout.sizes, strict=False)):
        strip = shared + encoded[offset + 2 : offset + size]
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(strip)
        except ValueError:
            continue  # libtiff refuses it, or knows better.
        values = height * width * 3
        if values > _MOST_TIMES * layout.rows * layout.row_bytes:
            continue  # libtiff refuses it.
        room = np.empty(values, np.uint8) if room.size < values else room
        try:
            decode_jpeg(strip, (height, width), 1, room)
        except CorruptImageError as error:
            raise ValueError(f"{layout.name(number)}: {error}") from error


def _bytes(encoded: bytes, order: str, entry: Entry) -> bytes:
    """Returns the value of an entry that is bytes, and not in it."""
    offset = _offset(order, entry)
    return encoded[offset : offset + entry.values]


def _numbers(encoded: bytes, order: str, entry: Entry) -> tuple[int, ...]:
    """Returns the values of an entry, which are in it or where it says."""
    form = f"{order}{entry.values}{_NUMBERS.get(entry.kind, 'L')}"
    if struct.calcsize(form) <= len(entry.value):
        return struct.unpack_from(form, entry.value)
    return struct.unpack_from(form, encoded, _offset(order, entry))


def _offset(order: str, entry: Entry) -> int:
    """Returns the place in the file of a value that is not in its entry."""
    (offset,) = struct.unpack(f"{order}{'Q' if len(entry.value) == 8 else 'L'}", entry.value)
    return int(offset)
