"""The checksums of a TIFF's compressed strips and tiles, at which libtiff does not look."""

import struct
import zlib

from transforms.images.orientation import Entry, first_directory

_DEFLATE = {8, 32946}
"""Compressions that are zlib streams: TIFF Technical Note 2, and the number before it."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _ROWS_PER_STRIP = 256, 257, 258, 259, 277, 278
_PLANES, _TILE_WIDTH, _TILE_HEIGHT = 284, 322, 323
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324

_NUMBERS = {3: "H", 4: "L", 16: "Q"}
_PIECE_BYTES, _OUTPUT_BYTES = 65_536, 1_048_576
_PADDING_BYTES = 1_024
"""What a strip may hold more than its rows; libtiff reads no further than these."""


def check_strips(encoded: bytes) -> None:
    """Checks that each deflated strip or tile is whole, by the checksum at its end.

    Where damage leaves valid code, libtiff decodes it to other pixels and is content:

        78 9c  ..................  2f a1 03 c4
        zlib   bits of 1,440 rows  Adler-32 of what they decode to

    Nothing is kept of what is decoded, and no more than a strip has room for. Of strips that are
    compressed otherwise, nothing is checked: they have no checksum.

    Args:
        encoded: A TIFF file whose tags have been checked by `check_tags`.

    Raises:
        ValueError: If one is damaged.
        struct.error: If a tag ends early.
    """
    order, found = first_directory(encoded)
    tags: dict[int, Entry] = {}
    for entry in found:
        tags.setdefault(entry.tag, entry)

    def numbers(tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        return _numbers(encoded, order, tags[tag]) if tag in tags else default

    if numbers(_COMPRESSION, (1,))[0] not in _DEFLATE:
        return
    samples = max(numbers(_SAMPLES, (1,))[0], 1)
    width, height = numbers(_WIDTH, (0,))[0], numbers(_HEIGHT, (0,))[0]
    if _TILE_OFFSETS in tags:
        kind, offsets, across = "tile", numbers(_TILE_OFFSETS, ()), numbers(_TILE_WIDTH, (0,))[0]
        rows = numbers(_TILE_HEIGHT, (0,))[0]
    else:
        kind, offsets, across = "strip", numbers(_STRIP_OFFSETS, ()), width
        rows = min(numbers(_ROWS_PER_STRIP, (height,))[0], height)
    # What the image does not need is not decoded either.
    needed = -(-width // max(across, 1)) * -(-height // max(rows, 1))
    offsets = offsets[: needed * samples if numbers(_PLANES, (1,))[0] == 2 else needed]
    row_bytes = -(-across * samples * max(numbers(_BITS, (1,))) // 8)
    data = memoryview(encoded)
    for number, offset in enumerate(offsets):
        try:
            _check_stream(data[offset:], rows * row_bytes + _PADDING_BYTES)
        except (zlib.error, ValueError) as error:
            raise ValueError(f"{kind} {number} of {len(offsets)}: {error}") from error


def _numbers(encoded: bytes, order: str, entry: Entry) -> tuple[int, ...]:
    """Returns the values of an entry, which are in it or where it says."""
    form = f"{order}{entry.values}{_NUMBERS.get(entry.kind, 'L')}"
    if struct.calcsize(form) <= len(entry.value):
        return struct.unpack_from(form, entry.value)
    (offset,) = struct.unpack(f"{order}{'Q' if len(entry.value) == 8 else 'L'}", entry.value)
    return struct.unpack_from(form, encoded, offset)


def _check_stream(data: memoryview, most_bytes: int) -> None:
    """Decompresses a zlib stream up to its checksum, and keeps nothing.

    How long it is said to be plays no part: it says so itself.

    Raises:
        zlib.error, ValueError: If it is damaged, ends early, or decodes to more.
    """
    stream, size = zlib.decompressobj(), 0
    for start in range(0, len(data), _PIECE_BYTES):
        piece = bytes(data[start : start + _PIECE_BYTES])
        while piece:
            size += len(stream.decompress(piece, _OUTPUT_BYTES))
            if size > most_bytes:
                raise ValueError(f"it decodes to more than its {most_bytes - _PADDING_BYTES} bytes")
            piece = stream.unconsumed_tail
            if stream.eof:
                return
    raise ValueError("it ends early")
