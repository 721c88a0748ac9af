"""TGA, which has no first bytes of its own: told by its footer, or by a header that adds up.

Source: Truevision TGA File Format Specification 2.0. The header, 18 bytes of an image of 300 x 200:

    00          00        02    00 00  00 00  00   00 00 00 00  2c 01  c8 00   18    20
    text bytes  palette?  kind  first  count  bits  corner       width  height  bits  flags
"""

import struct
from typing import NamedTuple

_HEADER_BYTES = 18
_FOOTER = b"TRUEVISION-XFILE.\x00"
_INDEXED, _COLOURS, _GRAY, _PACKED = 1, 2, 3, 8
_BITS = {_INDEXED: (8,), _COLOURS: (16, 24, 32), _GRAY: (8, 16)}
"""Bits a pixel of what Pillow reads, by kind; kinds from 9 on are packed."""
_PALETTE_BITS = (16, 24, 32)
_MOST_IN_A_PACKET = 128


class _Header(NamedTuple):
    text_bytes: int
    has_palette: int
    kind: int
    first_colour: int
    colours: int
    colour_bits: int
    left: int
    top: int
    width: int
    height: int
    bits: int
    flags: int


def is_targa(encoded: bytes) -> bool:
    """Returns whether a file is a TGA, by its footer or its header.

    A file without the footer, as of TGA 1.0, must have a header that no other file has by chance:
    known kinds and depths, no palette of no colours, and enough bytes for its pixels.
    """
    if len(encoded) < _HEADER_BYTES:
        return False
    header = _read(encoded)
    kind = header.kind & ~_PACKED
    if header.bits not in _BITS.get(kind, ()) or not header.height * header.width:
        return False
    if encoded.endswith(_FOOTER):
        return True
    if header.flags & 0xC0 or header.has_palette != (kind == _INDEXED):
        return False
    if kind == _INDEXED:
        has_colours = header.colours > 0 and header.colour_bits in _PALETTE_BITS
    else:
        has_colours = not (header.first_colour or header.colours or header.colour_bits)
    return has_colours and len(encoded) >= _least_bytes(header)


def read_targa_size(encoded: bytes) -> tuple[int, int]:
    """Returns height and width in pixels.

    Raises:
        ValueError: If the file is too short for them.
    """
    header = _read(encoded)
    if len(encoded) < _least_bytes(header):
        raise ValueError("it ends early")
    return header.height, header.width


def _read(encoded: bytes) -> _Header:
    return _Header._make(struct.unpack_from("<BBBHHBHHHHBB", encoded))


def _least_bytes(header: _Header) -> int:
    """Returns the least bytes that the file has: packed, a packet holds 128 pixels at most."""
    pixels, pixel_bytes = header.height * header.width, -(-header.bits // 8)
    if header.kind & _PACKED:
        coded = -(-pixels // _MOST_IN_A_PACKET) * (1 + pixel_bytes)
    else:
        coded = pixels * pixel_bytes
    palette = header.colours * -(-header.colour_bits // 8) if header.has_palette else 0
    return _HEADER_BYTES + header.text_bytes + palette + coded
