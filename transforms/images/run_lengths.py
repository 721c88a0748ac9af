"""Run-length coded BMP files, unpacked before Pillow sees them.

Pillow unpacks them in Python, pixel by pixel, makes room for every jump, and loses the last pixel
of an odd number of 4 bits. Source: Microsoft, "Bitmap Compression". A coded image is

    03 07         three pixels of colour 7
    00 00         the end of a row
    00 01         the end
    00 02  05 01  a jump, 5 to the right and 1 row up
    00 04  ....   four pixels as they are, filled up to a whole number of 2 bytes
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_RUNS = 4_000_000
"""Of an image; a drawing of 100 megapixels has some hundred thousands."""

_RLE8, _RLE4 = 1, 2
_FILE_HEADER_BYTES = 14
_NO_PIXELS = b""
_DIGITS = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


class _Header(NamedTuple):
    """What is said of a run-length coded image.

    Attributes:
        start: Offset of the bitmap's own header.
        header_bytes: Size of that header.
        width: Pixels of a row.
        height: Rows; below 0 if the first is the upper one.
        is_half: Whether a pixel has 4 bits, not 8.
        colours: Number of entries of the palette, each of 4 bytes.
        data: Offset of the coded pixels.
    """

    start: int
    header_bytes: int
    width: int
    height: int
    is_half: bool
    colours: int
    data: int


def check_run_lengths(encoded: bytes) -> None:
    """Checks that a BMP does not jump out of its image, nor consists of too many runs.

    Raises:
        ValueError: If it does.
        struct.error, IndexError: If the header ends early.
    """
    header = _read_header(encoded)
    if header is None:
        return
    row, rows = 0, abs(header.height)
    for count, value, _ in _runs(encoded, header):
        if count == 0 and value == 0:
            row += 1
        elif count < 0:
            row += value
        if row > rows:
            raise ValueError(f"a run beyond its {rows} rows")


def unpack_run_lengths(encoded: bytes) -> bytes:
    """Returns a BMP without run-length coding: as it is if it has none, else of 8 bits a pixel.

    Runs are cut at the end of their row. What is jumped over, and what is left of a row that ends,
    has colour 0.

    Raises:
        ValueError: If it ends before its last row does.
        struct.error, IndexError: If the header ends early.
    """
    header = _read_header(encoded)
    if header is None:
        return encoded
    rows = abs(header.height)
    row_bytes = -(-header.width // 4) * 4
    pixels = bytearray(row_bytes * rows)
    x = y = 0
    for count, value, as_it_is in _runs(encoded, header):
        if count < 0:
            # Behind a full row is the next one.
            x, y = (0, y + 1) if x >= header.width else (x, y)
            x, y = x + as_it_is[0], y + value
        elif count == 0:
            x, y = 0, y + 1
        elif y < rows and x < header.width:
            shown = min(count, header.width - x)
            place = y * row_bytes + x
            if as_it_is:
                run = _halves(as_it_is) if header.is_half else as_it_is
            else:
                run = (_halves(bytes([value])) if header.is_half else bytes([value])) * count
            pixels[place : place + shown] = run[:shown]
            x += shown
    if y < rows - 1 or (y == rows - 1 and x < header.width):
        raise ValueError(f"the data end in row {y + 1} of {rows}")
    return _plain(encoded, header, bytes(pixels))


def _read_header(encoded: bytes) -> _Header | None:
    """Reads the header of a BMP, with or without that of a file; returns None if it has no runs."""
    start = _FILE_HEADER_BYTES if encoded.startswith(b"BM") else 0
    if encoded[start] < 40:
        return None
    header_bytes, width, height, _, bits, compression = struct.unpack_from(
        "<IiiHHI", encoded, start
    )
    if (compression, bits) not in ((_RLE8, 8), (_RLE4, 4)):
        return None
    colours = struct.unpack_from("<I", encoded, start + 32)[0] or 1 << bits
    if not 0 < colours <= 256:
        raise ValueError(f"a palette of {colours:,} colours")
    behind = start + header_bytes + 4 * colours
    data = struct.unpack_from("<I", encoded, 10)[0] if start else behind
    # Some programs name the end of the header, where the palette is.
    data = behind if data == start + header_bytes else data
    return _Header(start, header_bytes, width, height, bits == 4, colours, data)


def _runs(encoded: bytes, header: _Header) -> Iterator[tuple[int, int, bytes]]:
    """Yields the runs of an image, up to its end.

    Yields:
        Pixels, their colour, and nothing; or pixels, 0, and the bytes they are; 0, 0 and nothing
        for the end of a row; -1, rows up and the byte of pixels to the right for a jump.

    Raises:
        ValueError: If there are too many.
    """
    offset, size = header.data, len(encoded)
    for _ in range(MAX_RUNS):
        if offset + 2 > size:
            return
        count, value = encoded[offset], encoded[offset + 1]
        offset += 2
        if count or value == 0:
            yield count, value, _NO_PIXELS
        elif value == 1:
            return
        elif value == 2:
            if offset + 2 > size:
                return
            yield -1, encoded[offset + 1], encoded[offset : offset + 1]
            offset += 2
        else:
            length = (value + 1) // 2 if header.is_half else value
            if offset + length > size:
                return
            yield value, 0, encoded[offset : offset + length]
            offset += length + length % 2
    raise ValueError(f"more than {MAX_RUNS:,} runs")


def _halves(packed: bytes) -> bytes:
    """Unpacks two pixels a byte: 12 34 to 01 02 03 04."""
    return packed.hex().encode().translate(_DIGITS)


def _plain(encoded: bytes, header: _Header, pixels: bytes) -> bytes:
    """Puts unpacked pixels behind the header and the palette, which gets 256 entries."""
    behind = header.start + header.header_bytes
    head = bytearray(encoded[:behind])
    palette = encoded[behind : behind + 4 * header.colours].ljust(4 * 256, b"\0")
    struct.pack_into("<HII", head, header.start + 14, 8, 0, len(pixels))
    struct.pack_into("<I", head, header.start + 32, 256)
    if header.start:
        struct.pack_into("<I", head, 10, behind + len(palette))
    return bytes(head) + palette + pixels
