"""Makes the demo set: handwritten digits as PNG files, and two models trained on them.

The digits are the test set of the UCI "Optical Recognition of Handwritten Digits" data, which
scikit-learn carries (load_digits): 1,797 images of 8x8 pixels. Four fifths train a small network;
one fifth is held out by a hash of the file name.
"""

import hashlib
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

SIDE = 32
CLASSES = 10
HELD_OUT_PERCENT = 20
EPOCHS = 16
SEED = 20261124


def write_digits(directory: pathlib.Path) -> None:
    """Writes every digit as train|test/<digit>/<number>.png, an RGB image of 32x32 pixels."""
    digits = load_digits()
    for number, (values, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        name = f"{number:04d}.png"
        percentile = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
        split = "test" if percentile < HELD_OUT_PERCENT else "train"
        levels = (values * 255 / 16).astype(np.uint8)
        gray = Image.fromarray(levels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        path = directory / split / str(label) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        gray.convert("RGB").save(path)


def load_images(directory: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads images as float32 [number, 32, 32, 3] in [0, 1], and their labels."""
    paths = sorted(directory.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(path), np.float32) / 255 for path in paths])
    return pixels, np.array([int(path.parent.name) for path in paths])


def train(pixels: np.ndarray, labels: np.ndarray) -> tuple[keras.Model, keras.Model]:
    """Trains a small network; returns its body (64 features) and its head (logits)."""
    keras.utils.set_random_seed(SEED)
    body = keras.Sequential(
        [
            keras.layers.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(16, 5, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
        ]
    )
    head = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(CLASSES)])
    network = keras.Sequential([body, head])
    network.compile(
        keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    network.fit(pixels, labels, batch_size=32, epochs=EPOCHS, verbose=0)
    return body, head


class Reusable(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
    """A model by TF Hub's reusable SavedModel API: obj(images, training=False) -> outputs."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self.variables = list(network.variables)
        self.trainable_variables = list(network.trainable_variables)
        self.regularization_losses: list[object] = []

    @tf.function
    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns features or logits, float32 [batch, output_dim]."""
        return self._network(images, training=training)


def export(network: keras.Model, directory: pathlib.Path) -> None:
    """Saves a network as a reusable SavedModel."""
    model = Reusable(network)
    images = tf.TensorSpec(network.input_shape, tf.float32, "images")
    for training in (False, True):
        model.__call__.get_concrete_function(images, training=training)
    tf.saved_model.save(model, str(directory))


def main(directory: pathlib.Path) -> None:
    """Makes images and models below a directory."""
    write_digits(directory / "images")
    body, head = train(*load_images(directory / "images" / "train"))
    export(body, directory / "feature_vector_model")
    export(keras.Sequential([body, head]), directory / "classification_model")
    labels = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    (directory / "classification_model" / "labels.txt").write_text("\n".join(labels) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
