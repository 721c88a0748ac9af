"""Makes what the benchmark needs, with no download: photos and two models."""

import argparse
import io
import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from make_demo import Reusable
from PIL import Image

SIDE = 224
WIDTH, HEIGHT = 500, 375
DISTINCT = 100
"""Photos drawn; the rest are hard links, so that reading comes from memory for everybody."""
QUALITY = 90
SEED = 20261124

_OCTAVES = (2, 4, 8, 16, 32, 64, 128)
_ROUGHNESS = 0.7
_GRAIN = 14.0  # levels, as of a camera in poor light: edges, which noise lacks, take bytes too


def draw_photo(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draws smooth noise at several scales, which compresses about as photos do.

    Returns:
        uint8 [375, 500, 3].
    """
    levels = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for octave, cells in enumerate(_OCTAVES):
        noise = random.normal(size=(cells * 3 // 4 + 1, cells, 3)) * _ROUGHNESS**octave
        for channel in range(3):
            plane = Image.fromarray(noise[:, :, channel].astype(np.float32))
            levels[:, :, channel] += plane.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    levels = 128 + 45 * levels + random.normal(size=(HEIGHT, WIDTH, 1)) * _GRAIN
    return np.clip(levels, 0, 255).astype(np.uint8)


def write_photos(directory: pathlib.Path) -> None:
    """Writes the distinct photos, JPEG files of about 100 kB, the same ones every time."""
    directory.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    for number in range(DISTINCT):
        encoded = io.BytesIO()
        Image.fromarray(draw_photo(random)).save(encoded, "JPEG", quality=QUALITY)
        (directory / f"{number:03d}.jpg").write_bytes(encoded.getvalue())


def link_photos(distinct: pathlib.Path, directory: pathlib.Path, count: int) -> None:
    """Fills a directory with count hard links, each photo in turn."""
    directory.mkdir()
    photos = sorted(distinct.iterdir())
    for number in range(count):
        os.link(photos[number % len(photos)], directory / f"{number:06d}.jpg")


def export(network: keras.Model, directory: pathlib.Path) -> None:
    """Saves a network as a reusable SavedModel."""
    model = Reusable(network)
    images = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")
    for training in (False, True):
        model.__call__.get_concrete_function(images, training=training)
    tf.saved_model.save(model, str(directory))


def make_models(directory: pathlib.Path) -> None:
    """Makes MobileNetV2 with random weights, and a model that costs next to nothing.

    Both take [batch, 224, 224, 3] and return [batch, 1280].
    """
    keras.utils.set_random_seed(SEED)
    mobilenet = keras.applications.MobileNetV2(
        (SIDE, SIDE, 3), weights=None, include_top=False, pooling="avg"
    )
    export(mobilenet, directory / "mobilenet")
    tiny = keras.Sequential(
        [
            keras.layers.Input((SIDE, SIDE, 3)),
            keras.layers.AveragePooling2D(32),
            keras.layers.Flatten(),
            keras.layers.Dense(1280),
        ]
    )
    export(tiny, directory / "tiny")


def main() -> None:
    """Makes models, photos, and a directory of links for each count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--photos", type=pathlib.Path)
    parser.add_argument("--counts", type=int, nargs="+")
    arguments = parser.parse_args()
    distinct = arguments.directory / "distinct"
    if arguments.photos:
        distinct.mkdir()
        for photo in sorted(arguments.photos.rglob("*.jp*g")):
            shutil.copy(photo, distinct / f"{len(os.listdir(distinct)):06d}.jpg")
        if not os.listdir(distinct):
            raise SystemExit(f"--photos {arguments.photos}: holds no .jpg or .jpeg file")
    else:
        write_photos(distinct)
    for count in set(arguments.counts):
        link_photos(distinct, arguments.directory / str(count), count)
    make_models(arguments.directory)


if __name__ == "__main__":
    main()
