"""Image files without what is not their pixels, for Pillow, which takes long for some of that.

A comment of a GIF, or EXIF in many segments of a JPEG, costs Pillow time that grows with its
square. A directory of EXIF may claim gigabytes. None of it says anything about the pixels.
"""

import io
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import IcoImagePlugin

from transforms.images.netpbm import strip_netpbm

MAX_PARTS = 200_000
"""Segments, chunks or blocks of a file; real ones have up to some ten thousand."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MARKER = re.compile(rb"\xff([^\xff\x00])", re.DOTALL)
"""A marker of a JPEG; what it is not found in is passed over, however long."""

JPEG_FRAMES = {bytes([kind]) for kind in range(0xC0, 0xD0)} - {b"\xc4", b"\xc8", b"\xcc"}
"""Markers of the headers that say the size of a JPEG. Source: ITU-T T.81, table B.1."""

_START_OF_SCAN = 0xDA
_JPEG_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xEE}
"""Markers of EXIF, XMP, profiles and comments; APP0 and APP14 say what the colours are."""

_SCREEN_BYTES = 13


class Part(NamedTuple):
    """A segment of a JPEG or a chunk of a PNG.

    Attributes:
        kind: Marker, or name of the chunk.
        start: Offset in the file of its content.
        end: Offset behind its content.
    """

    kind: bytes
    start: int
    end: int


def strip(encoded: bytes, format: str) -> bytes:
    """Returns the file without metadata; of formats that need not be stripped, as it is.

    Raises:
        SyntaxError, ValueError, struct.error: If it is damaged so that nobody can tell.
    """
    if format == "JPEG":
        return _strip_jpeg(encoded)
    if format == "PNG":
        return _strip_png(encoded)
    if format == "GIF":
        start, control = gif_first_frame(encoded)
        screen = encoded[: _SCREEN_BYTES + gif_palette(encoded[10])]
        return b"".join([screen, control, encoded[start:]])
    if format == "PSD":
        return _strip_psd(encoded)
    if format == "ICO":
        return _strip_ico(encoded)
    if format == "PPM":
        return strip_netpbm(encoded)
    return encoded


def jpeg_segments(encoded: bytes) -> Iterator[Part]:
    """Walks over the segments of a JPEG, up to and with the first scan's header.

    A segment is its marker, a length that counts its own two bytes, and the content; bytes before
    a marker are passed over, as every decoder does:

        ff d8   ff e1  00 10  "Exif" 00 00 ...    ff c0  00 11  08  00 c8  01 2c  03 ...
        start   APP1   length content             frame  length     height width

    Raises:
        SyntaxError, struct.error: If it ends before, or has no such marker.
    """
    offset = 2
    for _ in range(MAX_PARTS):
        found = MARKER.search(encoded, offset)
        if found is None or found[1][0] < 0xC0:
            raise SyntaxError("no marker found")
        offset = found.end()
        if 0xD0 <= found[1][0] <= 0xD9:  # These have no content.
            continue
        (length,) = struct.unpack_from(">H", encoded, offset)
        yield Part(found[1], offset + 2, offset + length)
        if found[1][0] == _START_OF_SCAN:
            return
        offset += max(length, 2)
    raise ValueError(f"more than {MAX_PARTS:,} segments")


def jpeg_layers(encoded: bytes) -> list[int]:
    """Returns the number of layers of colour in each frame of a JPEG, up to the first scan.

    Raises:
        SyntaxError, struct.error: As jpeg_segments.
    """
    # Behind the length of a frame: bits, height, width, and the number of layers.
    return [encoded[start + 5] for kind, start, _ in jpeg_segments(encoded) if kind in JPEG_FRAMES]


def png_chunks(encoded: bytes) -> Iterator[Part]:
    """Walks over the chunks of a PNG, up to its end.

    A chunk is its content's length, its kind, the content and 4 bytes of checksum, which is not
    looked at: 12 bytes more than its content.

    Raises:
        ValueError: If there are too many.
    """
    offset = len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        if offset + 8 > len(encoded):
            return
        length, kind = struct.unpack_from(">I4s", encoded, offset)
        yield Part(kind, offset + 8, offset + 8 + length)
        if kind == b"IEND":
            return
        offset += 12 + length
    raise ValueError(f"more than {MAX_PARTS:,} chunks")


def gif_first_frame(encoded: bytes) -> tuple[int, bytes]:
    """Returns where the first frame of a GIF starts, and the extension that says how to draw it.

    After the screen and its palette come blocks (GIF89a, 18 to 24):

        21 f9  04 .. .. .. ..  00      an extension: its parts each after their length, 0 ends it
        2c  left top width height ..   a frame, each of these 2 bytes
        3b                             the end

    Between them some programs leave bytes that are none of these; they are passed over.

    Raises:
        SyntaxError, ValueError, IndexError: If there is none.
    """
    offset, control, parts = _SCREEN_BYTES + gif_palette(encoded[10]), b"", 0
    while (kind := encoded[offset]) != 0x2C:
        if kind == 0x3B:
            raise SyntaxError("no frame")
        start = offset
        offset += 1
        parts += 1
        if kind == 0x21:
            offset += 1
            while encoded[offset]:
                offset += 1 + encoded[offset]
                parts += 1
                if parts > MAX_PARTS:
                    break
            offset += 1
            if encoded[start + 1] == 0xF9:
                control = encoded[start:offset]
        if parts > MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS:,} blocks before the first frame")
    return offset, control


def gif_palette(flags: int) -> int:
    """Returns the bytes of a palette: flags & 7 is 2 for one of 2 ** 3 colours."""
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def ico_image(encoded: bytes) -> int:
    """Returns where the largest image of an icon starts: the one that Pillow shows.

    Raises:
        SyntaxError, LookupError, struct.error: If there is none.
    """
    return int(IcoImagePlugin.IcoFile(io.BytesIO(encoded)).entry[0].offset)


def _strip_ico(encoded: bytes) -> bytes:
    """Leaves one image of an icon, stripped, if that is a PNG."""
    start = ico_image(encoded)
    if not encoded.startswith(PNG_SIGNATURE, start):
        return encoded
    png = _strip_png(encoded[start:])
    # One entry: sides, palette, nothing, planes, bits, size and offset of the image.
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(png), 22) + png


def _strip_jpeg(encoded: bytes) -> bytes:
    kept = [encoded[:2]]
    for segment in jpeg_segments(encoded):
        if segment.kind[0] == _START_OF_SCAN:
            kept.append(encoded[segment.start - 4 :])
        elif segment.kind[0] not in _JPEG_METADATA:
            kept.append(encoded[segment.start - 4 : segment.end])
    return b"".join(kept)


def _strip_psd(encoded: bytes) -> bytes:
    """Leaves out resources and layers: the pixels behind them are those of the whole picture.

    26 bytes   length  palette   length  resources   length  layers   pixels
    26 bytes   length  palette   0                   0                pixels
    """
    (palette_bytes,) = struct.unpack_from(">I", encoded, 26)
    kept = end = 30 + palette_bytes
    for _ in ("resources", "layers"):
        (length,) = struct.unpack_from(">I", encoded, end)
        end += 4 + length
    return b"".join([encoded[:kept], bytes(8), encoded[end:]])


def _strip_png(encoded: bytes) -> bytes:
    # In the names of chunks that may be left out the first letter is small (PNG, 5.4).
    kept = [encoded[: len(PNG_SIGNATURE)]]
    for kind, start, end in png_chunks(encoded):
        if kind == b"tRNS" or not (kind.isalpha() and kind[:1].islower()):
            kept.append(encoded[start - 8 : end + 4])
    return b"".join(kept)
