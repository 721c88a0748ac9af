"""Makes the models that everybody runs, with no download.

usage: python -m scripts.benchmarks.models DIRECTORY NAME...
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from scripts.benchmarks.photos import SEED, SIZES, draw_photo
from scripts.demos.make_demo import export

SIDE = 224
SMALL_SIDE = 32
CALIBRATION_PHOTOS = 24
DO_NOTHING_DIM = 8

NETWORKS = {
    "mobilenetv2": keras.applications.MobileNetV2,
    "resnet50": keras.applications.ResNet50,
    "efficientnetv2b0": keras.applications.EfficientNetV2B0,
    "mobilenet": keras.applications.MobileNet,
    "mobilenetv3small": keras.applications.MobileNetV3Small,
}
OPTIONS = {  # Else they want 0..255.
    "efficientnetv2b0": {"include_preprocessing": False},
    "mobilenetv3small": {"include_preprocessing": False},
}


def make_network(name: str, photos: npt.NDArray[np.float32]) -> keras.Model:
    """Builds a network of keras.applications, [batch, 224, 224, 3] in [0, 1] to a vector.

    Its weights are random. Its batch normalisations know the photos, as those of a trained network
    do: otherwise values shrink from layer to layer, to 1e-11 in MobileNetV2, and nearly the same
    vector comes out for every photo. Their offset keeps most units awake: without it the network
    is chaotic, and bfloat16 moves the vectors by more than it does in a trained one. Vectors of
    different photos then have cosines of up to 0.996, those of one photo in bfloat16 over 0.9999.
    """
    keras.utils.set_random_seed(SEED)
    network = NETWORKS[name](
        input_shape=(SIDE, SIDE, 3),
        weights=None,
        include_top=False,
        pooling="avg",
        **OPTIONS.get(name, {}),
    )
    layers = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in layers:
        layer.momentum = 0.0  # The statistics become those of the next batch.
        layer.beta.assign(tf.ones_like(layer.beta))
    network(photos, training=True)
    return network


def make_tiny() -> keras.Model:
    """Builds a model that costs next to nothing: [batch, 224, 224, 3] to [batch, 1280]."""
    keras.utils.set_random_seed(SEED)
    return keras.Sequential(
        [
            keras.layers.Input((SIDE, SIDE, 3)),
            keras.layers.AveragePooling2D(32),
            keras.layers.Flatten(),
            keras.layers.Dense(1280),
        ]
    )


def make_do_nothing(side: int) -> keras.Model:
    """Builds a model that returns the first pixel and five zeros, of images of side x side."""
    images = keras.Input((side, side, 3))
    pixel = images[:, 0, 0, :]
    numbers = keras.ops.pad(pixel, [[0, 0], [0, DO_NOTHING_DIM - 3]])
    return keras.Model(images, numbers)


def draw_batch() -> npt.NDArray[np.float32]:
    """Draws photos as the networks take them, float32 [24, 224, 224, 3] in [0, 1]."""
    random = np.random.default_rng(SEED + 1)  # Not the photos that are measured.
    photos = (
        Image.fromarray(draw_photo(random, SIZES["small"])) for _ in range(CALIBRATION_PHOTOS)
    )
    return np.stack([np.asarray(photo.resize((SIDE, SIDE)), np.float32) / 255 for photo in photos])


def main(directory: pathlib.Path, names: list[str]) -> None:
    """Makes each model that is named, in a directory of its name."""
    photos = draw_batch()
    for name in names:
        match name:
            case "tiny":
                network = make_tiny()
            case "do_nothing":
                network = make_do_nothing(SIDE)
            case "do_nothing_small":
                network = make_do_nothing(SMALL_SIDE)
            case _:
                network = make_network(name, photos)
        export(network, directory / name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
