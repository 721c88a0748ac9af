"""Parts that hostile files are made of."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from PIL import ImageFile

# Pillow's JPEG encoder fails where a file is larger than its buffer.
ImageFile.MAXBLOCK = 1 << 25

Maker = Callable[[float], bytes]
"""Makes a file; 1 makes it as bad as it can be, less makes what there is many of fewer."""

SIDE = 10_900
"""Pixels of a square image just within --max_image_pixels."""


def many(most: int, scale: float) -> int:
    """Returns a count, at least 1."""
    return max(1, int(most * scale))


def side(scale: float) -> int:
    """Returns the side of a square image, in pixels, a multiple of 64."""
    return max(1, int(SIDE * scale**0.5) // 64) * 64


def square(scale: float) -> tuple[int, int]:
    """Returns the size of a square image, in pixels."""
    return side(scale), side(scale)


def scene(
    format: str,
    mode: str = "RGB",
    size: tuple[int, int] = (64, 48),
    **options: Any,  # noqa: ANN401
) -> bytes:
    """Saves a picture with gradients and noise."""
    width, height = size
    random = np.random.default_rng(0)
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    levels = np.stack([across * 3, down * 4, across + down], -1)
    levels += random.integers(0, 40, levels.shape)
    image = PIL.Image.fromarray((levels % 256).astype(np.uint8))
    return save(image.convert(mode), format, **options)


def flat(format: str, mode: str, size: tuple[int, int], **options: Any) -> bytes:  # noqa: ANN401
    """Saves a picture of one colour."""
    return save(PIL.Image.new(mode, size), format, **options)


def save(image: PIL.Image.Image, format: str, **options: Any) -> bytes:  # noqa: ANN401
    """Encodes a Pillow image."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif(tags: int, size: int) -> bytes:
    """Makes EXIF whose tags all claim the same bytes, and whose directories name themselves."""
    entries = b"".join(struct.pack("<HHLL", 1000 + n, 7, size, 8) for n in range(tags))
    links = b"".join(struct.pack("<HHLL", tag, 4, 1, 8) for tag in (34665, 34853, 40965))
    body = struct.pack("<H", tags + 3) + entries + links + struct.pack("<L", 8)
    return b"II*\0" + struct.pack("<L", 8) + body + b"A" * (size - len(body))


def squeezed(size: int) -> bytes:
    """Packs zeros with zlib, a thousandth of their size."""
    packer, parts = zlib.compressobj(6), []
    while size > 0:
        parts.append(packer.compress(bytes(min(size, 1 << 20))))
        size -= 1 << 20
    return b"".join([*parts, packer.flush()])
