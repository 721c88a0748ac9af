"""The photos that everybody reads: drawn with no download, the same ones every time."""

import os
import pathlib
import shutil
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SEED = 20261124
ROUGHNESS = 0.7


class PhotoSize(NamedTuple):
    """A kind of photo.

    Attributes:
        width: In pixels.
        height: In pixels.
        octaves: Noise is drawn at so many scales, each with twice the cells of the one before.
        grain: In levels, as of a camera in poor light: edges, which noise lacks, take bytes too.
        quality: Of the JPEG file.
        distinct: Photos drawn. The rest are hard links, so that everybody reads from memory.
    """

    width: int
    height: int
    octaves: int
    grain: float
    quality: int
    distinct: int


SIZES = {
    # About 2 kB a file: what is done once an image, whatever its size, is most of the work.
    "tiny": PhotoSize(width=64, height=48, octaves=4, grain=14.0, quality=90, distinct=100),
    # About 90 kB a file.
    "small": PhotoSize(width=500, height=375, octaves=7, grain=14.0, quality=90, distinct=100),
    # 12 megapixels, as a telephone takes them: about 3 MB a file.
    "large": PhotoSize(width=4000, height=3000, octaves=10, grain=8.0, quality=85, distinct=8),
}


def draw_photo(random: np.random.Generator, size: PhotoSize) -> npt.NDArray[np.uint8]:
    """Draws smooth noise at several scales, which compresses about as photos do.

    Returns:
        uint8 [height, width, 3].
    """
    levels = np.zeros((size.height, size.width, 3), np.float32)
    for octave in range(size.octaves):
        cells = 2 ** (octave + 1)
        noise = random.normal(size=(cells * 3 // 4 + 1, cells, 3)) * ROUGHNESS**octave
        for channel in range(3):
            plane = Image.fromarray(noise[:, :, channel].astype(np.float32))
            levels[:, :, channel] += np.asarray(
                plane.resize((size.width, size.height), Image.Resampling.BICUBIC)
            )
    grain = random.normal(size=(size.height, size.width, 1)) * size.grain
    return np.clip(128 + 45 * levels + grain, 0, 255).astype(np.uint8)


def write_photo(random: np.random.Generator, size: PhotoSize, path: pathlib.Path) -> None:
    """Draws a photo into a JPEG file."""
    Image.fromarray(draw_photo(random, size)).save(path, "JPEG", quality=size.quality)


def make_photos(
    name: str, directory: pathlib.Path, counts: Iterable[int], *, own: pathlib.Path | None = None
) -> None:
    """Makes a directory of photos for each count, directory/COUNT.

    Args:
        name: A name in SIZES, unless own says where photos are.
        directory: A new directory.
        counts: How many photos are wanted.
        own: Where to find JPEG files to use instead of drawn ones.
    """
    distinct = directory / "distinct"
    distinct.mkdir(parents=True)
    if own is None:
        random = np.random.default_rng(SEED)
        for number in range(SIZES[name].distinct):
            write_photo(random, SIZES[name], distinct / f"{number:06d}.jpg")
    else:
        for number, path in enumerate(sorted(own.rglob("*.jp*g"))):
            shutil.copy(path, distinct / f"{number:06d}.jpg")
    photos = sorted(distinct.iterdir())
    if not photos:
        raise SystemExit(f"--photos {own}: holds no .jpg or .jpeg file")
    for count in set(counts):
        (directory / str(count)).mkdir()
        for number in range(count):
            os.link(photos[number % len(photos)], directory / str(count) / f"{number:06d}.jpg")
