"""Zeros in the place of coded pixels, as a copy leaves them that broke off or a disk that fails.

Arithmetic decoders make a picture of any bits, and these formats hold no checksum. But their coders
write no long runs of zeros: HEVC allows two in a row, the longest of AV1 found was of 12. VP8 of a
picture of one colour ends in some, a twentieth of its data.
"""

import struct
from collections.abc import Iterator

from transforms.images.iso_boxes import iter_boxes

_ZEROS = bytes(64)
_MOST_SEARCHED = 2
"""Times the size of the file: parts of it may be named over and over."""

_LEAST_TAIL, _TAIL_SHARE = 512, 8
"""Zeros, and one part of so many of a WebP's data, with which they end in no whole file."""

_MAX_BOXES = 10_000
_CODED = (b"hvc1", b"av01")
"""Kinds of items that are coded pixels; others are EXIF, or say how these are put together."""

_QOI_HEADER_BYTES, _QOI_END = 14, bytes(7) + b"\1"


def check_coded_zeros(encoded: bytes, format: str) -> None:
    """Checks that there are no zeros where pixels should be, of AVIF, HEIF, WebP and QOI.

    Raises:
        ValueError: If there are.
    """
    left = _MOST_SEARCHED * len(encoded)
    try:
        for start, end in _PLACES[format](encoded):
            left -= max(end - start, 1)
            if left < 0:
                return
            place = encoded.find(_ZEROS, start, end)
            if place >= 0:
                raise ValueError(f"zeros from byte {place} in the place of pixels")
    except (struct.error, LookupError):
        return  # Its decoder knows better how it is put together.


def _item_places(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Yields start and end of each part of the coded items of an AVIF or HEIF.

    Source: ISO/IEC 14496-12, 8.11.3 (`iloc`) and 8.11.6 (`infe`).
    """
    for kind, start, end in iter_boxes(encoded, 0, len(encoded), _MAX_BOXES):
        if kind == b"meta":
            lists = {name: at for name, at, _ in iter_boxes(encoded, start + 4, end, _MAX_BOXES)}
            coded = set(_coded_items(encoded, lists[b"iinf"], end))
            for item, place, size in _locations(encoded, lists[b"iloc"]):
                if item in coded:
                    yield place, min(place + size, len(encoded)) if size else len(encoded)
            return


def _coded_items(encoded: bytes, start: int, end: int) -> Iterator[int]:
    """Yields the numbers of the items in an `iinf` that are coded pixels."""
    first = start + (6 if encoded[start] == 0 else 8)
    for kind, at, _ in iter_boxes(encoded, first, end, _MAX_BOXES):
        if kind != b"infe":
            return
        form = ">IHH4s" if encoded[at] == 2 else ">IIH4s"
        _, item, _, coding = struct.unpack_from(form, encoded, at)
        if coding in _CODED:
            yield item


def _locations(encoded: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """Yields number, offset and size of each part of an item that an `iloc` places in the file."""
    version, sizes = encoded[start], encoded[start + 4 : start + 6]
    offset_bytes, length_bytes, base_bytes = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_bytes = sizes[1] & 15 if version else 0
    place = start + 6

    def take(size_bytes: int) -> int:
        nonlocal place
        if place + size_bytes > len(encoded):
            raise LookupError
        place += size_bytes
        return int.from_bytes(encoded[place - size_bytes : place], "big")

    for _ in range(take(4 if version == 2 else 2)):
        item = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(base_bytes)
        parts = take(2)
        for _ in range(parts if index_bytes + offset_bytes + length_bytes else min(parts, 1)):
            take(index_bytes)
            offset, length = take(offset_bytes), take(length_bytes)
            if method == 0:
                yield item, base + offset, length


def _webp_places(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Yields the end of the first picture of a WebP, where that is lossy.

    RIFF  size  WEBP   ( VP8X  size ..   ALPH  size .. )   VP8_  size  coded pixels
    """
    offset = 12
    while True:
        kind, size = struct.unpack_from("<4sI", encoded, offset)
        if kind == b"ANMF":
            offset += 8 + 16  # A frame: its own place and time, then chunks.
        elif kind == b"VP8 ":
            end = offset + 8 + size
            tail = max(_LEAST_TAIL, size // _TAIL_SHARE)
            if size > tail and not any(encoded[end - tail : end]):
                yield end - tail, end
            return
        elif kind == b"VP8L":
            return  # A flat picture without loss may well be zeros.
        else:
            offset += 8 + size + size % 2


def _qoi_places(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Yields where the pixels of a QOI are: up to its end mark, or to the end of the file."""
    end = encoded.rfind(_QOI_END)
    yield _QOI_HEADER_BYTES, end if end >= 0 else len(encoded)


_PLACES = {"AVIF": _item_places, "HEIF": _item_places, "WEBP": _webp_places, "QOI": _qoi_places}
"""Parts of a file that are coded pixels, by format; of a WebP, only an end that is zeros."""

CODED_FORMATS = tuple(_PLACES)
