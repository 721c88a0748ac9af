"""Whether damaged files decode to the same bytes whatever was in memory before.

Children decode the same files while the C library fills memory that it gives out with other bytes.
"""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import PIL.Image

from scripts.torture.images.files import save, scene
from transforms.errors import ImageError
from transforms.images.header import read_header
from transforms.images.pillow_decoder import decode_with_pillow

FILLINGS = (0, 85, 170)
"""Bytes; the C library fills with the complement. Source: mallopt(3), M_PERTURB."""

_SIZE = (200, 150)
_MAX_PIXELS = 10_000_000
_FAX = ("group3", "group4", "tiff_ccitt")
_COLOURS = ("raw", "tiff_lzw", "packbits", "tiff_deflate", "jpeg", "zstd", "lzma")
_FORMATS = ("WEBP", "AVIF", "JPEG2000", "BMP", "ICO")


def whole_files() -> dict[str, bytes]:
    """Makes a file of each format and compression."""
    picture = PIL.Image.open(io.BytesIO(scene("PNG", size=_SIZE)))
    two_levels, palette = picture.convert("1"), picture.convert("P")
    files = {f"TIFF, {name}": save(two_levels, "TIFF", compression=name) for name in _FAX}
    for name in _COLOURS:
        files[f"TIFF, {name}"] = save(picture, "TIFF", compression=name, strip_size=20_000)
    files |= {name: save(picture, name) for name in _FORMATS}
    return files | {"GIF": save(palette, "GIF")}


def damaged_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Yields so many damaged files of each kind, the same at every call."""
    chance = random.Random(0)
    for name, whole in whole_files().items():
        for number in range(count):
            at = chance.randrange(8, len(whole))
            length = chance.choice((1, 8, 60, len(whole)))
            gap = len(whole[at : at + length])
            filling = (bytes(gap), chance.randbytes(gap), b"")[number % 3]
            yield f"{name}, {number}", whole[:at] + filling + whole[at + gap :]


def digests(count: int) -> dict[str, str]:
    """Decodes the damaged files; returns a digest of the pixels of each, or what is wrong."""
    found = {}
    for name, file in damaged_files(count):
        try:
            header = read_header(file)
            if header.height * header.width > _MAX_PIXELS:
                continue
            pixels = decode_with_pillow(file, header)
            found[name] = hashlib.sha256(pixels.tobytes()).hexdigest()
        except ImageError as error:
            found[name] = error.error_type
    return found


def unlike(count: int) -> list[str]:
    """Returns the names of the damaged files that do not always decode to the same."""
    runs = [_run(count, filling) for filling in FILLINGS]
    return [name for name in runs[0] if len({run.get(name) for run in runs}) > 1]


def _run(count: int, filling: int) -> dict[str, str]:
    environment = {**os.environ, "MALLOC_PERTURB_": str(filling)}
    argv = [sys.executable, "-m", "scripts.torture.images.repeat", str(count)]
    done = subprocess.run(argv, env=environment, capture_output=True, check=True)
    run: dict[str, str] = json.loads(done.stdout)
    return run


if __name__ == "__main__":
    print(json.dumps(digests(int(sys.argv[1]))))
