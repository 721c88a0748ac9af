"""Damage in the pixels of a PNG, for files that libpng refuses and Pillow decodes."""

import struct
import zlib
from collections.abc import Iterator

from transforms.images.deflated import check_stream
from transforms.images.stripped import PNG_SIGNATURE, ico_image, png_chunks

_LAYERS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of colour, by colour type. Source: PNG specification, third edition, 11.2.1."""

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
           (0, 1, 1, 2))  # fmt: skip
"""First column and row of each pass of an interlaced image, and their steps. Source: PNG, 8.1."""


def check_icon(encoded: bytes) -> None:
    """Checks the image of an icon that is shown, if it is a PNG; raises as check_png_data."""
    start = ico_image(encoded)
    if encoded.startswith(PNG_SIGNATURE, start):
        check_png_data(encoded[start:])


def check_png_data(encoded: bytes) -> None:
    """Checks that the pixels are what was written, as far as they are there.

    Pillow stops at the last row. Of a file whose end is zeros, as a copy leaves it that broke off,
    it decodes these to a picture: zeros, too, are valid code. But such a stream does not end where
    the rows do. One that is cut behind its last row is whole.

    Args:
        encoded: The whole file.

    Raises:
        ValueError: If they are damaged.
        struct.error, LookupError: If its header is.
    """
    width, height, bits, colours, _, _, is_interlaced = struct.unpack_from(">IIBBBBB", encoded, 16)
    pixel_bits = bits * _LAYERS[colours]
    sides = [(width, height)]
    if is_interlaced:
        sides = [
            (-(-(width - left) // across), -(-(height - top) // down))
            for left, top, across, down in _PASSES
            if width > left and height > top
        ]
    # Each row has a byte more, which says how it is filtered.
    size_bytes = sum(down * (1 + -(-across * pixel_bits // 8)) for across, down in sides)
    try:
        check_stream(_pieces(encoded), size_bytes)
    except zlib.error as error:
        raise ValueError(f"its pixels: {error}") from error


def _pieces(encoded: bytes) -> Iterator[bytes]:
    for kind, start, end in png_chunks(encoded):
        if kind == b"IDAT":
            yield encoded[start:end]
