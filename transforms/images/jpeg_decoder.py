"""Decodes JPEG with libjpeg-turbo, and takes its word where it says that a file is damaged."""

import functools
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import simplejpeg

from transforms.errors import CorruptImageError, brief
from transforms.images.jpeg_scans import check_last_scan, check_scans
from transforms.images.stripped import MARKER

_BEYOND_SIMPLEJPEG = re.compile(r"nsupported|not implemented|Could not determine|incompatible")
"""What is said of files that may well be whole: lossless, 12 bits, an unusual subsampling."""

# Markers, by their second byte. Source: ITU-T T.81, table B.1.
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_QUANTIZATION, _HUFFMAN, _CONDITIONING, _RESTART_INTERVAL = 0xDB, 0xC4, 0xCC, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {_HUFFMAN, 0xC8, _CONDITIONING}
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}
_PROGRESSIVE = 0xC2
_COMMON = {0xC0, 0xC1, 0xC2}
"""Frames of Huffman-coded cosine transforms: not lossless, not arithmetic-coded."""
_JFIF, _ADOBE = 0xE0, 0xEE
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}

_KEPT = _FRAMES | {_QUANTIZATION, _HUFFMAN, _CONDITIONING, _RESTART_INTERVAL}
_JFIF_SEGMENT = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def decode_jpeg(
    encoded: bytes, size: tuple[int, int], ratio: int, room: npt.NDArray[np.uint8]
) -> tuple[int, int] | None:
    """Decodes a JPEG file to the same bytes as `tf.io.decode_jpeg(channels=3, ratio=ratio)`.

    libjpeg paints over damage and warns; its first warning is a failure here. What it warns of in
    front of the pixels says nothing about them, and a missing end marker takes none away. So a file
    with a warning is tried once more, without what cannot matter and with an end marker:

        ff d8  ff e1 (EXIF)  00 00 00  ff db ..  ff c0 ..  ff da .. (scan)
        ff d8                          ff db ..  ff c0 ..  ff da .. (scan)  ff d9

    A second warning is about the scans. Bytes left over at the end of a scan are damage: a decoder
    that reads on behind a damaged place seldom ends where the data does.

    Args:
        encoded: The whole file.
        size: Height and width by the header that the limits were checked on, in pixels.
        ratio: Divisor of both sides, rounding up: 1, 2, 4 or 8.
        room: uint8 [height * width * 3], whose first values become the pixels.

    Returns:
        Height and width as decoded, divided by the ratio; or None if another library is to decode
        it: arithmetic-coded and lossless files, and what simplejpeg cannot read, such as an unusual
        subsampling. Those are checked, but for progressive files among the latter.

    Raises:
        CorruptImageError: If it is damaged, in libjpeg's words.
    """
    try:
        return _decode(encoded, size, ratio, room)
    except ValueError:
        check_last_scan(encoded)
    try:
        return _decode(_without_oddities(encoded), size, ratio, room)
    except ValueError as error:
        if _BEYOND_SIMPLEJPEG.search(str(error)):
            check_scans(encoded)
            return None
        raise CorruptImageError(f"damaged JPEG data: libjpeg says: {brief(error)}") from error


def _decode(
    encoded: bytes, size: tuple[int, int], ratio: int, room: npt.NDArray[np.uint8]
) -> tuple[int, int] | None:
    """Decodes without a warning, or raises ValueError."""
    height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
    if (height, width) != size:
        raise ValueError(f"{height} x {width} pixels, where the header says {size[0]} x {size[1]}")
    frames = set()
    for kind, start, end in _segments(encoded):
        if kind in _FRAMES:
            frames.add(kind)
        elif kind == _QUANTIZATION and _is_wiped(encoded[start + 4 : end]):
            raise ValueError("Quantization table of zeros")
    if _PROGRESSIVE in frames:
        check_last_scan(encoded)
    is_cmyk = colours in ("CMYK", "YCCK")
    if not frames <= _COMMON:
        _simplejpeg(encoded, colorspace="CMYK" if is_cmyk else "RGB")
        return None
    # The smallest scale that covers this is the one meant. The room is that of a whole image, for
    # simplejpeg 1.9 writes a whole one, however small the room, of files that know no scales.
    least = (
        {} if ratio == 1 else {"min_height": -(-height // ratio), "min_width": -(-width // ratio)}
    )
    if is_cmyk:
        pixels = _simplejpeg(encoded, colorspace="CMYK", **least)
        _write_rgb_of_cmyk(pixels, room)
    else:
        pixels = _simplejpeg(encoded, colorspace="RGB", buffer=room, **least)
    return pixels.shape[0], pixels.shape[1]


def _write_rgb_of_cmyk(inks: npt.NDArray[np.uint8], room: npt.NDArray[np.uint8]) -> None:
    """Converts inks as JPEG files hold them, 255 for none, without a colour profile.

    Adobe's programs store them so, whatever the standard says, and mark the file as theirs. Files
    without the mark are stored the same way: Pillow and browsers show them so, and TensorFlow shows
    the negative. A pixel of a light red, which has some black:

        inks 255 102 102, black 204    red, green, blue 204 81 81

    Args:
        inks: uint8 [height, width, 4], cyan, magenta, yellow and black.
        room: uint8 [at least height * width * 3], where the colours go.
    """
    height, width, _ = inks.shape
    colours = room[: height * width * 3].reshape(height, width, 3)
    # A row at a time needs no memory to speak of.
    for row, target in zip(inks, colours, strict=True):
        np.floor_divide(
            row[:, :3] * row[:, 3:].astype(np.uint16), 255, out=target, casting="unsafe"
        )


# The quick transform and the smooth upsampling are TensorFlow's defaults.
_simplejpeg = functools.partial(
    simplejpeg.decode_jpeg, fastdct=True, fastupsample=False, strict=True
)


def is_unmarked_cmyk(encoded: bytes) -> bool:
    """Returns whether TensorFlow shows the negative of a JPEG: four colours, no mark of Adobe's."""
    layers, is_marked = 0, False
    for kind, start, _ in _segments(encoded):
        if kind in _FRAMES:
            layers = encoded[start + 9]
        elif kind == _ADOBE:
            is_marked |= encoded.startswith(b"Adobe", start + 4)
    return layers == 4 and not is_marked


def _segments(encoded: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields marker, start and end of each segment, up to the first scan's header.

    Raises:
        ValueError: If there is no scan.
    """
    offset = 2
    while True:
        # Bytes that are no marker are passed over, as libjpeg does.
        found = MARKER.search(encoded, offset)
        if found is None or found.start() + 4 > len(encoded):
            raise ValueError("The data end before the first scan")
        offset, kind = found.start(), found[1][0]
        if kind in _WITHOUT_LENGTH:
            offset += 2
        elif kind in (_START_OF_IMAGE, _END_OF_IMAGE):
            raise ValueError("No scan")
        else:
            end = offset + 2 + int.from_bytes(encoded[offset + 2 : offset + 4], "big")
            yield kind, offset, end
            if kind == _START_OF_SCAN:
                return
            offset = end


def _is_wiped(tables: bytes) -> bool:
    """Returns whether a quarter of a table of a DQT segment is zeros, which libjpeg takes.

    No encoder should write one zero. A file with a few was found that is a whole picture.

    A table is a byte, whose upper half says if entries have 16 bits instead of 8, and 64 entries.
    """
    offset = 0
    while offset < len(tables):
        entry_bytes = 2 if tables[offset] >> 4 else 1
        table = tables[offset + 1 : offset + 1 + 64 * entry_bytes]
        entries = np.frombuffer(
            table[: len(table) // entry_bytes * entry_bytes], f">u{entry_bytes}"
        )
        if np.count_nonzero(entries) <= 48:
            return True
        offset += 1 + 64 * entry_bytes
    return False


def _without_oddities(encoded: bytes) -> bytes:
    """Returns the file with what decides its pixels only, and an end marker.

    What is said wrongly and has one meaning to libjpeg, is said rightly: JFIF's version, Adobe's
    colour transform, the scan's coefficients of a sequential file.

    Raises:
        ValueError: If there is no scan.
    """
    segments = list(_segments(encoded))
    frame, colours = 0, 0
    for kind, start, _ in segments:
        if kind in _FRAMES:
            # ff c0  length  precision  height  width  number of colours
            frame, colours = kind, encoded[start + 9] if start + 9 < len(encoded) else 0
    parts = [b"\xff\xd8"]
    for kind, start, end in segments:
        segment = encoded[start:end]
        if kind in _KEPT:
            parts.append(segment)
        elif kind == _JFIF and segment[4:9] == b"JFIF\0" and len(segment) >= 18:
            parts.append(_JFIF_SEGMENT)
        elif kind == _ADOBE and segment[4:9] == b"Adobe" and len(segment) >= 16:
            transform = segment[15]
            if colours == 3 and transform > 1:
                transform = 1
            elif colours == 4 and transform != 0:
                transform = 2
            parts.append(segment[:15] + bytes([transform]) + segment[16:])
        elif kind == _START_OF_SCAN:
            parts.append(segment[:-3] + b"\0\x3f\0" if frame in _SEQUENTIAL else segment)
            parts.append(encoded[end:])
    parts.append(b"\xff\xd9")
    return b"".join(parts)
