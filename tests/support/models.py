"""Tiny SavedModels of every kind, written by the real exporters.

Their answers can be worked out by hand: a feature vector is the mean of each channel, and a logit
is ten times the mean of the channel of the same number.
"""

import os
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

Path = str | os.PathLike[str]

# Semi-public, and the only base whose `variables` can be a plain list (tf.Module's is a property).
_Trackable = tf.__internal__.tracking.AutoTrackable


def save_mean_color(directory: Path, height: int = 24, width: int = 24) -> str:
    """Writes a reusable feature vector: float32 [N, height, width, 3] to channel means [N, 3]."""
    return _save_callable(directory, _mean, [_images(None, height, width)])


def save_logits(
    directory: Path,
    height: int = 24,
    width: int = 24,
    num_classes: int = 3,
    labels: Sequence[str] = (),
) -> str:
    """Writes a reusable classifier: logit c is ten times the mean of channel c, 0 beyond three.

    Labels, where given, go to labels.txt beside saved_model.pb.
    """
    kernel = np.eye(3, num_classes, dtype=np.float32) * 10

    def logits(images: tf.Tensor, scale: tf.Variable) -> tf.Tensor:
        return tf.matmul(_mean(images, scale), kernel)

    saved = _save_callable(directory, logits, [_images(None, height, width)])
    if labels:
        with open(os.path.join(directory, "labels.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{label}\n" for label in labels)
    return saved


def save_output(
    directory: Path, function: Callable[[tf.Tensor], Any], spec: tf.TensorSpec | None = None
) -> str:
    """Writes a reusable model that returns function(images)."""
    return _save_callable(
        directory, lambda images, scale: function(images * scale), [spec or _images()]
    )


def save_network(directory: Path, dtype: str) -> str:
    """Writes a small network, [N, 24, 24, 3] to [N, 8]; it scales its images itself once more.

    Constants that follow each other, and a kernel after them: TensorFlow folds what it can.
    """
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32)

    def network(images: tf.Tensor, scale: tf.Variable) -> tf.Tensor:
        if dtype == "uint8":
            images = tf.cast(images, tf.float32)
        scaled = (images - 0.3) / 0.7
        features = tf.nn.relu(tf.nn.conv2d(scaled, tf.cast(kernel, images.dtype), 2, "SAME"))
        return tf.cast(tf.reduce_mean(features, axis=[1, 2]), tf.float32) * scale

    return _save_callable(directory, network, [_images(dtype=tf.as_dtype(dtype))])


def _images(
    batch: int | None = None,
    height: int | None = 24,
    width: int | None = 24,
    dtype: tf.DType = tf.float32,
) -> tf.TensorSpec:
    return tf.TensorSpec([batch, height, width, 3], dtype, "images")


def _mean(images: tf.Tensor, scale: tf.Variable) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2]) * scale


def _save_callable(
    directory: Path,
    function: Callable[[tf.Tensor, tf.Variable], Any],
    specs: Sequence[tf.TensorSpec],
) -> str:
    """Writes an object with one trace for each spec, and no `training`."""
    model = _Trackable()
    model.scale = tf.Variable(1, dtype=tf.float32)
    model.variables = [model.scale]
    model.trainable_variables = [model.scale]
    model.__call__ = tf.function(lambda images: function(images, model.scale), autograph=False)
    for spec in specs:
        model.__call__.get_concrete_function(spec)
    tf.saved_model.save(model, os.fspath(directory))
    return os.fspath(directory)


class _Module(tf.Module):  # type: ignore[misc]
    """A feature vector with everything that the reusable API allows; wrong if training."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(1, dtype=tf.float32)
        self.regularization_losses = [tf.function(lambda: 0.5 * self.scale, input_signature=[])]

    @tf.function
    def __call__(
        self, images: tf.Tensor, training: bool = False, batch_norm_momentum: float = 0.99
    ) -> tf.Tensor:
        mean = _mean(images, self.scale)
        return mean + batch_norm_momentum if training else mean

    @tf.function
    def required(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        mean = _mean(images, self.scale)
        return mean + 1 if training else mean


def _dynamic_module(directory: str) -> str:
    module = _Module()
    for training in (True, False):  # the wrong one first, as tf_keras does
        module.__call__.get_concrete_function(
            _images(height=None, width=None), training, tf.TensorSpec([], tf.float32)
        )
    tf.saved_model.save(module, directory)
    return directory


def _training_required(directory: str) -> str:
    module, model = _Module(), _Trackable()
    model.module = module
    model.__call__ = module.required
    for training in (True, False):
        model.__call__.get_concrete_function(_images(), training)
    tf.saved_model.save(model, directory)
    return directory


def _training_only(directory: str) -> str:
    module = _Module()
    module.__call__.get_concrete_function(_images(), True, 0.99)
    tf.saved_model.save(module, directory)
    return directory


def _untraced(directory: str) -> str:
    tf.saved_model.save(_Module(), directory)
    return directory


def _signature_only(directory: str, name: str = "embed") -> str:
    module = tf.Module()
    module.scale = tf.Variable(1, dtype=tf.float32)
    function = tf.function(lambda images: {"vectors": _mean(images, module.scale)}, autograph=False)
    tf.saved_model.save(
        module, directory, signatures={name: function.get_concrete_function(_images())}
    )
    return directory


def _bytes_signature(directory: str) -> str:
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(encoded, channels=3), [24, 24]) / 255

    module = tf.Module()
    module.serve = tf.function(
        lambda encoded: {
            "vectors": tf.reduce_mean(
                tf.map_fn(decode, encoded, fn_output_signature=tf.float32), axis=[1, 2]
            )
        },
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
    )
    tf.saved_model.save(module, directory, signatures=module.serve)
    return directory


def _nested(directory: str) -> str:
    root = tf.Module()
    root.front = _Module()
    root.front.__call__.get_concrete_function(_images())
    tf.saved_model.save(root, directory)
    return directory


def _undecorated(directory: str) -> str:
    class Undecorated(tf.Module):  # type: ignore[misc]
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(images, axis=[1, 2])

    tf.saved_model.save(Undecorated(), directory)
    return directory


def _keras_model(keras: types.ModuleType) -> tf.Module:
    return keras.Sequential(
        [
            keras.layers.InputLayer((24, 24, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer="identity", use_bias=True),
            keras.layers.Dropout(0.5),  # shows which trace is called
        ]
    )


def _keras_export(directory: str) -> str:
    import keras

    _keras_model(keras).export(directory, verbose=False)
    return directory


def _keras_export_archive(directory: str) -> str:
    import keras

    model = _keras_model(keras)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("embed", lambda images: model(images, training=False), [_images()])
    archive.write_out(directory, verbose=False)
    return directory


def _keras_saved(directory: str) -> str:
    import keras

    tf.saved_model.save(_keras_model(keras), directory)
    return directory


def _keras_wrapped(directory: str) -> str:
    import keras

    model = _Trackable()
    model.keras_model = _keras_model(keras)
    model.variables = [variable.value for variable in model.keras_model.variables]
    model.__call__ = tf.function(
        lambda images, training=False: model.keras_model(images, training=training)
    )
    for training in (True, False):
        model.__call__.get_concrete_function(_images(), training=training)
    tf.saved_model.save(model, directory)
    return directory


def _tf_keras_saved(directory: str) -> str:
    import tf_keras

    _keras_model(tf_keras).save(directory, save_format="tf")
    return directory


def _tf_keras_export(directory: str) -> str:
    import tf_keras

    _keras_model(tf_keras).export(directory)
    return directory


def _tf1_graph(height: int | None = None, width: int | None = None) -> tuple[Any, Any, Any]:
    images = tf.compat.v1.placeholder(tf.float32, [None, height, width, 3], "images")
    scale = tf.compat.v1.get_variable("scale", initializer=tf.ones([3]), use_resource=False)
    return images, scale, tf.reduce_mean(images, axis=[1, 2]) * scale


def _tf1_signature(
    images: tf.Tensor, outputs: Mapping[str, tf.Tensor]
) -> meta_graph_pb2.SignatureDef:
    return tf.compat.v1.saved_model.predict_signature_def({"images": images}, dict(outputs))


def _tf1_serving(directory: str) -> str:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images, scale, mean = _tf1_graph(24, 24)
        session.run(scale.initializer)
        builder = tf.compat.v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": _tf1_signature(images, {"vectors": mean})}
        )
        builder.save()
    return directory


def _tf1_hub(directory: str) -> str:
    """As hub.Module's exporter wrote it: two graphs, a marker, and the image size attached."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images, scale, mean = _tf1_graph()
        session.run(scale.initializer)
        hidden = tf.reshape(mean, [-1, 1, 1, 3])
        signatures = {
            "default": _tf1_signature(images, {"default": mean}),
            "image_feature_vector": _tf1_signature(images, {"default": mean, "hidden": hidden}),
        }
        builder = tf.compat.v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(session, [], signatures)
        builder.add_meta_graph(["train"], signatures)
        builder.save()
    path = os.path.join(directory, "saved_model.pb")
    saved_model = saved_model_pb2.SavedModel()
    with open(path, "rb") as file:
        saved_model.ParseFromString(file.read())
    key, image_module_info = (
        b"image_module_info",
        b"\x0a\x04\x08\x18\x10\x20",
    )  # {1: {1: 24, 2: 32}}
    attachment = b"\x0a%c%b\x12%c%b" % (len(key), key, len(image_module_info), image_module_info)
    collection = saved_model.meta_graphs[0].collection_def["hub_module_attachments"]
    collection.bytes_list.value.append(attachment)
    with open(path, "wb") as file:
        file.write(saved_model.SerializeToString())
    with open(os.path.join(directory, "tfhub_module.pb"), "wb") as file:
        file.write(b"\x08\x03")
    return directory


def _fails_beyond_one(images: tf.Tensor) -> tf.Tensor:
    """Fails for a batch that has an image with a pixel above 1; -1 gives an infinite mean."""
    mean = tf.reduce_mean(images, axis=[1, 2])
    index = tf.cast(tf.reduce_max(images, axis=[1, 2, 3]) > 1, tf.int32)
    return mean * tf.gather(tf.ones([1]), index)[:, None] / (1 + tf.minimum(mean, 0))


def _out_of_memory_beyond_two(images: np.ndarray) -> np.ndarray:
    if len(images) > 2:
        raise MemoryError("no memory for more than two images")
    return images.mean(axis=(1, 2))


def _out_of_memory(directory: str) -> str:
    """Works in this process only. TensorFlow's own allocator would wait 10 s before it fails."""

    def call(images: tf.Tensor) -> tf.Tensor:
        mean = tf.numpy_function(_out_of_memory_beyond_two, [images], tf.float32)
        return tf.ensure_shape(mean, [None, 3])

    return save_output(directory, call)


def _loop_and_table(directory: str) -> str:
    """A while loop and a lookup table: what freezing has to carry along."""
    model = _Trackable()
    model.scale = tf.Variable(1, dtype=tf.float32)
    model.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([0, 1], [0.5, 2.0]), default_value=0.0
    )

    @tf.function(input_signature=[_images()])
    def call(images: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(
            lambda step, mean: step < 2,
            lambda step, mean: (step + 1, mean * model.table.lookup(step)),
            (0, _mean(images, model.scale)),
        )[1]

    model.__call__ = call
    tf.saved_model.save(model, directory)
    return directory


MODELS: dict[str, Callable[[str], str]] = {
    "mean_color": save_mean_color,
    "logits": save_logits,
    "dynamic_module": _dynamic_module,
    "training_required": _training_required,
    "training_only": _training_only,
    "untraced": _untraced,
    "undecorated": _undecorated,
    "fixed_batch": lambda path: _save_callable(path, _mean, [_images(4)]),
    "several_sizes": lambda path: _save_callable(path, _mean, [_images(), _images(None, 32, 16)]),
    "uint8": lambda path: _save_callable(path, _mean, [_images(dtype=tf.uint8)]),
    "channels_first": lambda path: _save_callable(
        path, _mean, [tf.TensorSpec([None, 3, 24, 24], tf.float32, "images")]
    ),
    "gray": lambda path: _save_callable(
        path, _mean, [tf.TensorSpec([None, 24, 24, 1], tf.float32, "images")]
    ),
    "dict_output": lambda path: save_output(
        path,
        lambda images: {
            "logits": 10 * tf.reduce_mean(images, axis=[1, 2]),
            "probabilities": tf.nn.softmax(10 * tf.reduce_mean(images, axis=[1, 2])),
        },
    ),
    "features_and_logits": lambda path: save_output(
        path,
        lambda images: {
            "logits": 10 * tf.reduce_mean(images, axis=[1, 2]),
            "feature_vector": tf.reduce_mean(images, axis=[1, 2]),
        },
    ),
    "tuple_output": lambda path: save_output(
        path, lambda images: (tf.reduce_mean(images, axis=[1, 2]), images)
    ),
    "rank_4_output": lambda path: save_output(
        path, lambda images: tf.reduce_mean(images, axis=[1, 2], keepdims=True)
    ),
    "map_of_one": lambda path: save_output(
        path, lambda images: tf.reduce_mean(images, axis=[1, 2])[:, :, None, None]
    ),
    "ragged_output": lambda path: save_output(
        path,
        lambda images: {
            "vectors": tf.reduce_mean(images, axis=[1, 2]),
            "rows": tf.RaggedTensor.from_tensor(tf.reduce_mean(images, axis=2)),
        },
    ),
    "float16_output": lambda path: save_output(
        path, lambda images: tf.cast(tf.reduce_mean(images, axis=[1, 2]), tf.float16)
    ),
    "feature_map": lambda path: save_output(path, lambda images: images),
    "class_output": lambda path: save_output(
        path, lambda images: tf.argmax(tf.reduce_mean(images, axis=[1, 2]), axis=1)[:, None]
    ),
    "softmax": lambda path: save_output(
        path, lambda images: tf.nn.softmax(tf.reduce_mean(images, axis=[1, 2]))
    ),
    "loop_and_table": _loop_and_table,
    "dependent_rows": lambda path: save_output(
        path,
        lambda images: tf.reduce_mean(images, axis=[1, 2]) - tf.reduce_mean(images, axis=[0, 1, 2]),
    ),
    "not_finite": lambda path: save_output(
        path, lambda images: tf.math.log(-tf.reduce_mean(images, axis=[1, 2]))
    ),
    "one_row": lambda path: save_output(
        path, lambda images: tf.reduce_mean(images, axis=[0, 1, 2])[None]
    ),
    "constant": lambda path: save_output(
        path, lambda images: 0 * tf.reduce_mean(images, axis=[1, 2])
    ),
    "fails_beyond_one": lambda path: save_output(path, _fails_beyond_one),
    "out_of_memory": _out_of_memory,
    "signature_only": _signature_only,
    "bytes_signature": _bytes_signature,
    "nested": _nested,
    "keras_export": _keras_export,
    "keras_export_archive": _keras_export_archive,
    "keras_saved": _keras_saved,
    "keras_wrapped": _keras_wrapped,
    "tf_keras_saved": _tf_keras_saved,
    "tf_keras_export": _tf_keras_export,
    "tf1_serving": _tf1_serving,
    "tf1_hub": _tf1_hub,
}
"""Writers of every kind, by name; each takes the directory to write and returns it."""
