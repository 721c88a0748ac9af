"""Makes models of which the right --input_range is known: recipes of keras.applications and others.

usage: python -m scripts.benchmarks.zoo DIRECTORY

Weights are random. "Inside" means that a model does its preprocessing itself, so that 0..255 is
right; outside, that it is trained on pixels that were preprocessed before.
"""

import os
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

SIDE = 96
CLASSES = 10
SEED = 7

Pixels: TypeAlias = tf.Tensor
Network: TypeAlias = keras.Model | tf_keras.Model
Start = Callable[[Pixels], Pixels]


class Recipe(NamedTuple):
    """How a model is made.

    Attributes:
        right: Range that its training gave it; "" for bytes, of which there is one.
        saved_by: Words for what wrote it.
        save: Callback that writes it into a directory.
    """

    right: str
    saved_by: str
    save: Callable[[str], None]


def _network(library: types.ModuleType, name: str, side: int, **options: object) -> Network:
    library.utils.set_random_seed(SEED)
    build = getattr(library.applications, name)
    return build(input_shape=(side, side, 3), weights=None, classes=CLASSES, **options)


def _export(model: Network, directory: str) -> None:
    model.export(directory, verbose=False)


def _by_way_of_a_file(model: Network, directory: str) -> None:
    """Saves as .keras, loads, and exports: as those do who trained elsewhere."""
    path = f"{directory}.keras"
    model.save(path)
    _export(keras.saving.load_model(path, compile=False), directory)
    os.remove(path)


def _save_tf(model: Network, directory: str) -> None:
    model.save(directory, save_format="tf")


_WRITERS: dict[str, tuple[types.ModuleType, Callable[[Network, str], None]]] = {
    "Keras 3 export": (keras, _export),
    ".keras, then export": (keras, _by_way_of_a_file),
    "tf_keras save": (tf_keras, _save_tf),
}


def _application(
    name: str, right: str, saved_by: str, inside: str = "", side: int = SIDE, **options: object
) -> tuple[str, Recipe]:
    """A network of keras.applications; inside is the module whose preprocessing comes first."""
    library, write = _WRITERS[saved_by]

    def save(directory: str) -> None:
        network = _network(library, name, side, **options)
        if inside:
            images = library.Input((side, side, 3))
            preprocess = getattr(library.applications, inside).preprocess_input
            network = library.Model(images, network(preprocess(images)))
        write(network, directory)

    return f"{name}, {'its preprocessing inside' if inside else 'as it comes'}", Recipe(
        right, saved_by, save
    )


def _layered(
    name: str,
    right: str,
    saved_by: str,
    layers: Callable[[types.ModuleType], list[Any]],
    *,
    channels: int = 3,
) -> tuple[str, Recipe]:
    """Layers in front of a small network, as the tutorials of Keras have them."""
    library, write = _WRITERS[saved_by]

    def save(directory: str) -> None:
        library.utils.set_random_seed(SEED)
        tail = [
            library.layers.Conv2D(16, 3, strides=2, activation="relu"),
            library.layers.GlobalAveragePooling2D(),
            library.layers.Dense(CLASSES),
        ]
        first = library.Input((SIDE, SIDE, channels))
        write(library.Sequential([first, *layers(library), *tail]), directory)

    return name, Recipe(right, saved_by, save)


_PHOTOS = 1.3, 1.6  # Mean 0.45, deviation 0.25.
_DIGITS = 0.05, 0.35  # On black: 0.13, 0.28.


def _adapted(
    scale: float, offset: float, shape: tuple[float, float] = _PHOTOS
) -> Callable[[types.ModuleType], list[Any]]:
    """A Normalization that knows a data set, of beta-distributed levels."""

    def layers(library: types.ModuleType) -> list[Any]:
        normalization = library.layers.Normalization()
        levels = np.random.default_rng(SEED).beta(*shape, (256, 8, 8, 3))
        normalization.adapt((levels * scale + offset).astype(np.float32))
        return [normalization]

    return layers


def _moments(mean: float, variance: float) -> Callable[[types.ModuleType], list[Any]]:
    """A BatchNormalization that has seen pixels of a mean and variance."""

    def layers(library: types.ModuleType) -> list[Any]:
        return [
            library.layers.BatchNormalization(
                moving_mean_initializer=library.initializers.Constant(mean),
                moving_variance_initializer=library.initializers.Constant(variance),
            )
        ]

    return layers


def _filters(channels: int = 3) -> tf.Tensor:
    kernel = np.random.default_rng(SEED).normal(size=(3, 3, channels, 16)) / 5
    return tf.constant(kernel, tf.float32)


def _convolve(images: Pixels) -> Pixels:
    kernel = _filters(images.shape[-1])
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME")), axis=[1, 2])


def _module(
    name: str, right: str, start: Start, dtype: tf.DType = tf.float32
) -> tuple[str, Recipe]:
    """A plain tf.Module with one signature."""

    def save(directory: str) -> None:
        module = tf.Module()
        spec = tf.TensorSpec([None, SIDE, SIDE, 3], dtype, "images")
        module.embed = tf.function(
            lambda images: {"vectors": _convolve(start(images))}, input_signature=[spec]
        )
        tf.saved_model.save(module, directory, signatures=module.embed)

    return name, Recipe(right, "tf.Module, a signature", save)


def _tf1_hub(directory: str) -> None:
    """As TF-Slim's modules are: images in [0, 1], brought to [-1, 1] by the module."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], "images")
        kernel = tf.compat.v1.get_variable("kernel", initializer=_filters(), use_resource=False)
        features = tf.reduce_mean(tf.nn.conv2d(images * 2 - 1, kernel, 2, "SAME"), axis=[1, 2])
        session.run(kernel.initializer)
        signature = tf.compat.v1.saved_model.predict_signature_def(
            {"images": images}, {"default": features}
        )
        builder = tf.compat.v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(session, [], {"default": signature})
        builder.save()
    pathlib.Path(directory, "tfhub_module.pb").write_bytes(b"\x08\x03")


def _vision_transformer(layers: int, width: int, side: int) -> Network:
    """A transformer on 16x16 patches, scaled inside from 0..255 to -1..1."""
    keras.utils.set_random_seed(SEED)
    images = keras.Input((side, side, 3))
    patches = keras.layers.Rescaling(1 / 127.5, -1)(images)
    patches = keras.layers.Conv2D(width, 16, strides=16)(patches)
    tokens = keras.layers.Reshape((-1, width))(patches)
    for _ in range(layers):
        normal = keras.layers.LayerNormalization()(tokens)
        tokens += keras.layers.MultiHeadAttention(width // 64, 64)(normal, normal)
        hidden = keras.layers.Dense(4 * width, "gelu")(keras.layers.LayerNormalization()(tokens))
        tokens += keras.layers.Dense(width)(hidden)
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(tokens))


def _channels_first(images: Pixels) -> Pixels:
    return tf.transpose(tf.transpose(images, [0, 3, 1, 2]), [0, 2, 3, 1])


KERAS, FILE, TF_KERAS = _WRITERS
_MEAN, _DEVIATION = tf.constant([0.485, 0.456, 0.406]), tf.constant([0.229, 0.224, 0.225])

ZOO: dict[str, Recipe] = dict(
    [
        _application("MobileNetV2", "-1,1", KERAS),
        _application("MobileNetV2", "0,255", KERAS, "mobilenet_v2"),
        _application("MobileNetV3Small", "0,255", KERAS),
        _application("MobileNetV3Large", "-1,1", TF_KERAS, include_preprocessing=False),
        _application("ResNet50", "caffe", KERAS),
        _application("ResNet50", "0,255", FILE, "resnet50"),
        _application("ResNet50V2", "-1,1", TF_KERAS),
        _application("ResNet50V2", "0,255", TF_KERAS, "resnet_v2"),
        _application("VGG16", "caffe", TF_KERAS, include_top=False, pooling="avg"),
        _application("VGG16", "0,255", KERAS, "vgg16", include_top=False, pooling="avg"),
        _application("EfficientNetB0", "0,255", KERAS),
        _application("EfficientNetV2B0", "0,255", FILE),
        _application("EfficientNetV2B1", "-1,1", KERAS, include_preprocessing=False),
        _application("InceptionV3", "-1,1", FILE),
        _application("InceptionV3", "0,255", TF_KERAS, "inception_v3"),
        _application("DenseNet121", "imagenet", KERAS),
        _application("DenseNet121", "0,255", KERAS, "densenet"),
        _application("NASNetMobile", "-1,1", KERAS, include_top=False, pooling="avg"),
        _application("NASNetMobile", "0,255", KERAS, "nasnet", include_top=False, pooling="avg"),
        _application("Xception", "-1,1", KERAS),
        _application("Xception", "0,255", TF_KERAS, "xception"),
        _application("ConvNeXtTiny", "0,255", KERAS),
        (
            "vision transformer, scaled inside",
            Recipe("0,255", KERAS, lambda it: _export(_vision_transformer(2, 192, SIDE), it)),
        ),
        _layered("Rescaling(1 / 255)", "0,255", KERAS, lambda it: [it.layers.Rescaling(1 / 255)]),
        _layered(
            "augmentation, Rescaling(1 / 255)",
            "0,255",
            TF_KERAS,
            lambda it: [
                it.layers.RandomFlip(),
                it.layers.RandomRotation(0.1),
                it.layers.Rescaling(1 / 255),
            ],
        ),
        _layered("Normalization of photos 0..255", "0,255", KERAS, _adapted(255, 0)),
        _layered("Normalization of photos 0..1", "0,1", TF_KERAS, _adapted(1, 0)),
        _layered("Normalization of photos -1..1", "-1,1", KERAS, _adapted(2, -1)),
        _layered("Normalization of digits 0..255", "0,255", TF_KERAS, _adapted(255, 0, _DIGITS)),
        _layered("Normalization of digits 0..1", "0,1", KERAS, _adapted(1, 0, _DIGITS)),
        _layered("Normalization of digits -1..1", "-1,1", KERAS, _adapted(2, -1, _DIGITS)),
        _layered("BatchNormalization, photos 0..1", "0,1", KERAS, _moments(0.45, 0.07)),
        _layered("BatchNormalization, photos -1..1", "-1,1", TF_KERAS, _moments(-0.1, 0.27)),
        _layered("BatchNormalization, ImageNet's outside", "imagenet", KERAS, _moments(-0.1, 0.9)),
        _layered("gray, Rescaling(1 / 255)", "0,255", KERAS,
                 lambda it: [it.layers.Rescaling(1 / 255)], channels=1),
        _layered("gray, 0..1 outside", "0,1", TF_KERAS, lambda it: [], channels=1),
        _layered("gray made inside", "0,255", TF_KERAS,
                 lambda it: [it.layers.Lambda(lambda x: tf.image.rgb_to_grayscale(x) / 255)]),
        _module("0..1 outside", "0,1", lambda x: x),
        _module("x - 0.5", "0,1", lambda x: x - 0.5),
        _module("x * 2 - 1", "0,1", lambda x: x * 2 - 1),
        _module("ImageNet's mean and deviation inside", "0,1", lambda x: (x - _MEAN) / _DEVIATION),
        _module("ImageNet's undone, then to -1..1", "imagenet",
                lambda x: (x * _DEVIATION + _MEAN) * 2 - 1),
        _module("channels first, ImageNet's outside", "imagenet", _channels_first),
        _module("standardized by itself", "0,255", tf.image.per_image_standardization),
        _module("bytes", "", lambda x: tf.cast(x, tf.float32) / 255, tf.uint8),
        ("TF-Slim's scaling", Recipe("0,1", "TF1 Hub module", _tf1_hub)),
    ]
)  # fmt: skip

LARGE: dict[str, Callable[[str], None]] = {
    "ResNet50": _application("ResNet50", "0,255", KERAS, "resnet50", side=224)[1].save,
    "ConvNeXtTiny": _application("ConvNeXtTiny", "0,255", KERAS, side=224)[1].save,
    "vision transformer": lambda it: _export(_vision_transformer(12, 384, 224), it),
}
"""Networks of about 100 MB, at 224x224."""


def main(directory: pathlib.Path) -> None:
    """Makes all models: those of ZOO in directories of their numbers, LARGE in those of theirs."""
    for number, recipe in enumerate(ZOO.values()):
        recipe.save(str(directory / f"{number:02d}"))
    for name, save in LARGE.items():
        save(str(directory / name))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
