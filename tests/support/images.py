"""Makes image files of every kind that the tests need."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

Pixels = npt.NDArray[np.uint8]

ORIENTATION_TAG = 0x0112


def photo(height: int, width: int, seed: int = 0) -> Pixels:
    """Draws a colourful scene with smooth areas and edges; no symmetry maps it to itself.

    Returns:
        uint8 [height, width, 3].
    """
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    down, across = down / max(height - 1, 1), across / max(width - 1, 1)
    levels = np.stack([across, down, 1 - across * down], axis=-1) * 200
    for _ in range(6):
        y, x, radius = random.uniform(0, 1, 3)
        disc = (down - y) ** 2 + (across - x) ** 2 < (0.05 + radius / 4) ** 2
        levels[disc] = random.uniform(0, 255, 3)
    levels += random.normal(0, 6, levels.shape)
    return levels.clip(0, 255).round().astype(np.uint8)


def encode(array: npt.NDArray[Any], format: str = "PNG", **save_options: Any) -> bytes:  # noqa: ANN401
    """Encodes an array (its dtype and channels say the mode) as an image file."""
    return save(PIL.Image.fromarray(array), format, **save_options)


def save(image: PIL.Image.Image, format: str = "PNG", **save_options: Any) -> bytes:  # noqa: ANN401
    """Encodes a Pillow image as an image file."""
    file = io.BytesIO()
    image.save(file, format, **save_options)
    return file.getvalue()


def claim_size(png: bytes, height: int, width: int) -> bytes:
    """Replaces the size that a PNG claims, with a right checksum."""
    header = struct.pack(">4sII", b"IHDR", width, height) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


STORE = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}
"""How a scene lies in the file, by EXIF orientation: 6 is stored turned left, to be turned right.

Row 0 of what is stored is, in the scene: 1 top, 2 top, 3 bottom, 4 bottom, 5 left, 6 right,
7 right, 8 left. Source: EXIF 2.32, 4.6.4, Orientation.
"""


def exif(orientation: int) -> PIL.Image.Exif:
    """Makes the EXIF block that says how a camera was held, 1 to 8."""
    block = PIL.Image.Exif()
    block[ORIENTATION_TAG] = orientation
    return block
