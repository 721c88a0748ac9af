"""Small inputs of the tests of int8: a network, photos to calibrate on, and the flags."""

import os
import pathlib
from typing import Any

import numpy as np
import pytest

from tests.support.images import encode
from tests.support.runs import run_embed

SIDE = 32
INT8 = ["--engine", "openvino", "--precision", "int8", "--image_size", str(SIDE)]
LOW = ["--precision_floor", "0.5"]
"""Random weights, whose vectors lie close together: neighbours change places easily."""


def save_network(directory: str | os.PathLike[str]) -> str:
    """Writes a Keras network of convolutions and batch normalizations: a vector of 24 numbers."""
    import keras

    keras.utils.set_random_seed(0)
    layers: list[Any] = [keras.layers.Input((SIDE, SIDE, 3))]
    for filters in (16, 32):
        layers += [
            keras.layers.Conv2D(filters, 3, 2, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(24)]
    keras.Sequential(layers).export(os.fspath(directory), verbose=False)
    return os.fspath(directory)


def calibrate(network: str, folder: pathlib.Path) -> pathlib.Path:
    """Calibrates a network on photos 0 to 79; returns a cache in which its model is."""
    add_photos(folder / "photos", range(80))
    argv = ["--input", str(folder / "photos"), *INT8, *LOW]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert run_embed(network, folder / "out", *argv) == 0
    return folder / "cache"


def add_photos(directory: pathlib.Path, numbers: range) -> None:
    """Draws a gradient of two colours with some grain for each number."""
    directory.mkdir(exist_ok=True)
    for number in numbers:
        random = np.random.default_rng(number)
        first, second = random.integers(0, 256, (2, 3))
        share = np.linspace(0, 1, SIDE)[:, None, None] ** random.uniform(0.3, 3)
        image = first * share + second * (1 - share) + random.normal(0, 12, (SIDE, SIDE, 3))
        pixels = image.clip(0, 255).astype(np.uint8)
        (directory / f"{number:03d}.png").write_bytes(encode(pixels, "PNG"))
