"""What a JPEG 2000 file asks of a decoder, worked out from its headers.

A decoder makes room for every block and precinct of a tile, whether or not there are data for them:
an image of blocks of one pixel costs hundreds of bytes a pixel. Source: ITU-T T.800, annexes A and
I.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from transforms.errors import ImageTooLargeError

MAX_FILE_BYTES = 20_000_000
"""5 s of decoding, at 4 MB/s a core."""

MAX_SAMPLES = 150_000_000
"""Another 5 s, whatever they are; pixels times layers of colour."""

MAX_ROOM_BYTES = 1_000_000_000

_MAX_BOXES, _MAX_MARKERS, _MAX_TILE_PARTS = 1_000, 10_000, 100_000
_MAX_HEADER_BYTES = 4_000_000
"""Of the box of colours and palettes, which Pillow walks through."""

_BLOCK_BYTES, _PRECINCT_BYTES = 400, 600
"""Of OpenJPEG 2.5, measured."""

_STREAM_START = b"\xff\x4f\xff\x51"
_SIZE, _CODING, _COMPONENT_CODING, _TILE_PART, _DATA = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93


class _Size(NamedTuple):
    """What the first marker says: sides in pixels, and the number of layers of colour."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    components: int


def check_jpeg2000(encoded: bytes) -> None:
    """Checks that a file can be decoded in the time and the memory that an image may take.

    Raises:
        ImageTooLargeError: If it asks for more.
        ValueError, struct.error: If it is damaged so that nobody can tell.
    """
    if len(encoded) > MAX_FILE_BYTES:
        raise ImageTooLargeError(
            f"a JPEG 2000 file of {len(encoded)} bytes, wanted at most {MAX_FILE_BYTES}: it takes "
            "longer than 10 s to decode; convert it"
        )
    start = 0 if encoded.startswith(_STREAM_START) else _find_stream(encoded)
    size, codings = None, []
    for kind, at, end in _segments(encoded, start + 2):
        if kind == _SIZE:
            size = _read_size(encoded, at)
        elif kind == _CODING:
            codings.append((encoded[at], encoded[at + 5 : end], encoded[at + 2 : at + 4]))
        elif kind == _COMPONENT_CODING:
            codings.append((encoded[at + 1], encoded[at + 2 : end], b"\0\1"))
    if size is None or not codings:
        raise ValueError("no size, or no way of coding")
    samples = size.width * size.height * size.components
    if samples > MAX_SAMPLES:
        raise ImageTooLargeError(
            f"{size.height} x {size.width} pixels of {size.components} layers are {samples} "
            f"samples, wanted at most {MAX_SAMPLES} of JPEG 2000: they take longer than 10 s to "
            "decode; convert it"
        )
    room = max(_room(size, *coding) for coding in codings)
    if room > MAX_ROOM_BYTES:
        raise ImageTooLargeError(
            f"{size.height} x {size.width} pixels in tiles of {size.tile_height} x "
            f"{size.tile_width} need {room / 1e9:.1f} GB to decode, wanted at most "
            f"{MAX_ROOM_BYTES / 1e9:.0f}; write it with smaller tiles, or convert it"
        )


def _find_stream(encoded: bytes) -> int:
    """Returns where the codestream starts, behind boxes: length, kind, content."""
    offset = 0
    for _ in range(_MAX_BOXES):
        length, kind = struct.unpack_from(">I4s", encoded, offset)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", encoded, offset + 8)
            head = 16
        if kind == b"jp2c":
            return offset + head
        if kind == b"jp2h" and length > _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {length:,} bytes")
        if length < head:
            raise ValueError("a box without an end")
        offset += length
    raise ValueError(f"more than {_MAX_BOXES:,} boxes")


def _segments(encoded: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """Yields the segments of the main header and of all tile-parts: marker, start and end.

    ff 51 size  ff 52 coding  ..   ff 90 tile-part  ff 52 coding  ff 93 data   ff 90 tile-part
    """
    offset, part, part_bytes, markers, parts = start, start, 0, 0, 0
    while offset + 4 <= len(encoded):
        kind, length = struct.unpack_from(">HH", encoded, offset)
        if kind == _DATA:
            if part_bytes == 0:
                return
            offset = part + part_bytes
            continue
        if kind < 0xFF00 or kind == 0xFFD9:
            return
        if kind == _TILE_PART:
            part, (part_bytes,) = offset, struct.unpack_from(">I", encoded, offset + 6)
            parts += 1
            if part_bytes and part_bytes < 14:
                raise ValueError(f"a tile-part of {part_bytes} bytes")
        markers += 1
        if markers > _MAX_MARKERS + 2 * parts or parts > _MAX_TILE_PARTS:
            raise ValueError(f"{markers:,} markers in {parts:,} tile-parts")
        yield kind, offset + 4, offset + 2 + length
        offset += 2 + max(length, 2)


def _read_size(encoded: bytes, at: int) -> _Size:
    fields = struct.unpack_from(">HIIIIIIIIH", encoded, at)
    _, right, lower, left, top, tile_width, tile_height, _, _, components = fields
    if components > 4:
        raise ValueError(f"{components} layers of colour")
    return _Size(right - left, lower - top, tile_width, tile_height, components)


def _room(size: _Size, style: int, coding: bytes, layers: bytes) -> float:
    """Estimates the memory for one tile, in bytes.

    Args:
        size: Sizes of the image.
        style: First byte of the segment: bit 0 says that there are sizes of precincts.
        coding: Levels, width and height of blocks as powers of 2 less 2, two more; precincts.
        layers: Number of layers of quality, as it is in the file.
    """
    levels, across, down = coding[0], coding[1] + 2, coding[2] + 2
    precincts = coding[5 : 6 + levels] if style & 1 else b"\xff"
    wide, high = min(one & 15 for one in precincts), min(one >> 4 for one in precincts)
    area = min(size.width, size.tile_width) * min(size.height, size.tile_height)
    count = area / 2 ** (wide + high) + levels + 1
    blocks = area / 2 ** (min(across, wide) + min(down, high))
    packets = 2 * int.from_bytes(layers, "big") * count * (levels + 1)
    tile = 5 * area + _BLOCK_BYTES * blocks + _PRECINCT_BYTES * count + packets
    return size.components * tile + size.width * size.height
