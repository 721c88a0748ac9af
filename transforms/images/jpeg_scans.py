"""Walks through the Huffman codes of a JPEG, for files whose decoder says nothing of damage."""

import functools
import itertools
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from transforms.errors import CorruptImageError
from transforms.images.stripped import MARKER, MAX_PARTS, jpeg_segments

_START_OF_SCAN, _HUFFMAN, _RESTART_INTERVAL, _END_OF_IMAGE = 0xDA, 0xC4, 0xDD, 0xD9
_SEQUENTIAL, _PROGRESSIVE = {0xC0, 0xC1}, {0xC2, 0xCA}
_FRAMES = {*range(0xC0, 0xD0)} - {_HUFFMAN, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}

_SCAN_MARKER, _END_MARKER = b"\xff\xda", b"\xff\xd9"
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
_RESTART = re.compile(rb"\xff+([\xd0-\xd7])")

_MOST_BYTES = 4_000_000
"""Of scans that are walked through: half a second a million. Larger files are believed."""
_ROOM_BYTES = 256
"""What a block may take more than there is: 64 codes of 31 bits."""

_Table = tuple[int, ...]
_Tables = dict[int, bytes]
"""Content of DHT segments by class and number: 0x00 to 0x03 for DC, 0x10 to 0x13 for AC."""


class _Component(NamedTuple):
    across: int
    down: int


class _Frame(NamedTuple):
    height: int
    width: int
    components: dict[int, _Component]


class _Segment(NamedTuple):
    """A marker and what follows it.

    Attributes:
        kind: Second byte of the marker.
        content: Content, without its length.
        data: Codes behind a scan's header, up to the next marker that is no restart; else empty.
    """

    kind: int
    content: bytes
    data: bytes


def check_scans(encoded: bytes) -> None:
    """Checks that the scans of a sequential JPEG hold as many blocks as its size needs.

    A block is 64 coefficients: a code that says how many bits the first has, then codes that say
    how many zeros to pass over and how many bits follow. The blocks of all colours take turns:

        00      1010 | 011  101   01  0  1010 | ...  1111111   ff d9
        no bits end  | 3 bits     run of zeros| ...  padding   end of image

    A code that is none, a block of more than 64, data that end before the last block or go on
    behind it: each is damage. What is not sequential and Huffman-coded is not looked at.

    Raises:
        CorruptImageError: If there is damage.
    """
    tables: _Tables = {}
    frame, interval, left = None, 0, _MOST_BYTES
    for kind, content, data in _segments(encoded):
        try:
            if kind in _FRAMES:
                if kind not in _SEQUENTIAL:
                    return
                frame = _read_frame(content)
            elif kind == _HUFFMAN:
                tables |= _read_tables(content)
            elif kind == _RESTART_INTERVAL:
                (interval,) = struct.unpack_from(">H", content)
            elif kind == _START_OF_SCAN and frame is not None:
                left -= len(data)
                if left < 0:
                    return
                blocks, mcus = _layout(frame, content, tables)
                _check_scan(data, blocks, mcus, interval)
        except (struct.error, LookupError):
            return  # Its decoder refuses what has no tables or an odd header, or knows better.


def check_last_scan(encoded: bytes) -> None:
    """Checks that a progressive JPEG has all its scans.

    Each scan adds some coefficients, but for so many of their last bits; later ones add those. A
    file that was cut between two scans is a whole picture to libjpeg, of the first ones, whether or
    not a program has closed it with an end marker since:

        ff da  DC, but for 1 bit    ff da  AC 1 to 5, but for 2 bits  | cut |  ff da  ...  ff d9

    Raises:
        CorruptImageError: If coefficients, or bits of them, are missing.
    """
    lacking: dict[int, list[int]] = {}
    segments = list(jpeg_segments(encoded))
    if not any(segment.kind[0] in _PROGRESSIVE for segment in segments):
        return
    place = segments[-1].start - 4
    # Codes of pixels never hold the two bytes of these markers.
    end = encoded.find(_END_MARKER, place)
    end = end if end >= 0 else len(encoded)
    while place >= 0:
        start = place + 4
        length = int.from_bytes(encoded[start - 2 : start], "big")
        content = encoded[start : start - 2 + length]
        if content and len(content) == 4 + 2 * content[0]:
            first, last, bits = content[-3], min(content[-2], 63), content[-1] & 15
            for name in content[1:-3:2]:
                component = lacking.setdefault(name, [1] * 64)
                component[first : last + 1] = [bits] * max(last + 1 - first, 0)
        place = encoded.find(_SCAN_MARKER, start, end)
    if any(any(bits) for bits in lacking.values()):
        raise CorruptImageError("damaged JPEG data: it ends before its last scan")


def _segments(encoded: bytes) -> Iterator[_Segment]:
    """Walks over all segments of a JPEG with their scans, up to and with the end marker."""
    offset = 2
    for _ in range(MAX_PARTS):
        found = MARKER.search(encoded, offset)
        if found is None:
            return
        kind, offset = found[1][0], found.end()
        if kind == _END_OF_IMAGE:
            yield _Segment(kind, b"", b"")
            return
        if kind in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(encoded[offset : offset + 2], "big")
        content, data = encoded[offset + 2 : offset + length], b""
        offset += max(length, 2)
        if kind == _START_OF_SCAN:
            end = _SCAN_END.search(encoded, offset)
            data = encoded[offset : end.start() if end else len(encoded)].rstrip(b"\xff")
            offset += len(data)
        yield _Segment(kind, content, data)


def _read_frame(content: bytes) -> _Frame:
    height, width, count = struct.unpack_from(">xHHB", content)
    components = {}
    for number in range(count):
        name, factors = struct.unpack_from("BB", content, 6 + 3 * number)
        components[name] = _Component(max(factors >> 4, 1), max(factors & 15, 1))
    return _Frame(height, width, components)


def _read_tables(content: bytes) -> _Tables:
    """Returns each table of a segment: 16 numbers of codes by length, then their values."""
    tables, offset = {}, 0
    while offset + 17 <= len(content):
        size = 16 + sum(content[offset + 1 : offset + 17])
        tables[content[offset]] = content[offset + 1 : offset + 1 + size]
        offset += 1 + size
    return tables


def _layout(
    frame: _Frame, content: bytes, tables: _Tables
) -> tuple[list[tuple[_Table, _Table]], int]:
    """Returns the tables of each block of a unit of a scan, and the number of units.

    Raises:
        LookupError: If there are none.
    """
    parts = [
        (frame.components[content[1 + 2 * number]], content[2 + 2 * number])
        for number in range(content[0])
    ]
    most_across = max(part.across for part in frame.components.values())
    most_down = max(part.down for part in frame.components.values())
    if len(parts) == 1:
        part, _ = parts[0]
        width = -(-frame.width * part.across // most_across)
        height = -(-frame.height * part.down // most_down)
        units, sizes = -(-width // 8) * -(-height // 8), [1]
    else:
        units = -(-frame.width // (8 * most_across)) * -(-frame.height // (8 * most_down))
        sizes = [part.across * part.down for part, _ in parts]
    blocks = []
    for (_, numbers), size in zip(parts, sizes, strict=True):
        dc = _lookup(tables[numbers >> 4], is_dc=True)
        ac = _lookup(tables[0x10 | numbers & 15], is_dc=False)
        blocks += [(dc, ac)] * size
    return blocks, units


@functools.lru_cache(8)
def _lookup(table: bytes, *, is_dc: bool) -> _Table:
    """Returns for every 16 bits: coefficients to go on, times 64, plus bits to go on; or 0."""
    found = np.zeros(65_536, np.int64)
    code, values = 0, iter(table[16:])
    for length, count in enumerate(table[:16], 1):
        for value in itertools.islice(values, count):
            bits, run = (value & 15, value >> 4) if not is_dc else (value, 0)
            steps = 64 if not is_dc and bits == 0 and run < 15 else run + 1
            if bits < 16:
                start = code << (16 - length)
                found[start : start + (1 << (16 - length))] = 64 * steps + length + bits
            code += 1
        code <<= 1
    return tuple(found.tolist())


def _check_scan(
    data: bytes, blocks: list[tuple[_Table, _Table]], units: int, interval: int
) -> None:
    pieces = _RESTART.split(data)
    sizes = [interval] * (units // interval) if interval else [units]
    if interval and units % interval:
        sizes.append(units % interval)
    restarts = [marker[0] & 7 for marker in pieces[1::2]]
    if restarts != [number % 8 for number in range(len(sizes) - 1)]:
        raise CorruptImageError("damaged JPEG data: restart markers are missing or out of order")
    for piece, size in zip(pieces[::2], sizes, strict=True):
        _check_piece(piece.replace(b"\xff\x00", b"\xff"), blocks, size)


def _check_piece(data: bytes, blocks: list[tuple[_Table, _Table]], units: int) -> None:
    padded = np.frombuffer(data + bytes(_ROOM_BYTES), np.uint8).astype(np.uint32)
    # The 24 bits from each byte on have the 16 from each of its bits on.
    windows = (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).data
    bit, end = 0, 8 * len(data)
    for _ in range(units):
        for dc, ac in blocks:
            step = dc[windows[bit >> 3] >> 8 - (bit & 7) & 0xFFFF]
            done = 1
            while step and done < 64:
                bit += step & 63
                step = ac[windows[bit >> 3] >> 8 - (bit & 7) & 0xFFFF]
                done += step >> 6
            # The end of a block is a step of 64, wherever it comes.
            if not step or (done > 64 and step < 64 * 64):
                raise CorruptImageError("damaged JPEG data: bad Huffman code")
            bit += step & 63
            if bit > end:
                raise CorruptImageError("damaged JPEG data: premature end of data segment")
    if end - bit >= 16:
        raise CorruptImageError(
            f"damaged JPEG data: {(end - bit) // 8} extraneous bytes behind the last block"
        )
