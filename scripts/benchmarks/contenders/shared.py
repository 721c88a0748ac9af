"""What the peers share: the formula of the pixels, the call of the model, the output's columns."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

SIDE = 224
BATCH_SIZE = 32
SCHEMA = pa.schema([("uri", pa.string()), ("embedding", pa.list_(pa.float32()))])


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes by the TF Hub image convention, to float32 [224, 224, 3] in [0, 1].

    It scales after resizing: equal, and 4 times faster on large photos than before.
    """
    image = tf.io.decode_jpeg(encoded, channels=3)
    return tf.image.resize(image, [SIDE, SIDE]) / 255.0


@functools.cache
def _trace_decode_batch() -> Callable[[tf.Tensor], tf.Tensor]:
    pixels = tf.TensorSpec([SIDE, SIDE, 3], tf.float32)
    return tf.function(
        lambda encoded: tf.map_fn(decode, encoded, fn_output_signature=pixels),
        input_signature=[tf.TensorSpec([None], tf.string)],
    ).get_concrete_function()


def decode_batch(encoded: Sequence[bytes]) -> tf.Tensor:
    """Decodes files to float32 [batch, 224, 224, 3], in one call that is traced once a process."""
    return _trace_decode_batch()(tf.constant(encoded, tf.string))


class Model:
    """A SavedModel behind one function, traced once."""

    def __init__(self, model_dir: str) -> None:
        import tensorflow_hub as hub

        loaded = hub.load(model_dir)
        self._loaded = loaded  # Its variables live only as long as it does.
        images = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)
        self.function = tf.function(
            lambda images: loaded(images, training=False), input_signature=[images]
        ).get_concrete_function()

    def __call__(self, images: tf.Tensor) -> npt.NDArray[np.float32]:
        """Returns float32 [batch, output_dim]."""
        return self.function(images).numpy()


def to_table(uris: Sequence[str], vectors: npt.NDArray[np.float32]) -> pa.Table:
    """Returns rows to write, one an image."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
    column = pa.ListArray.from_arrays(offsets, vectors.reshape(-1))
    return pa.table([pa.array(uris), column], schema=SCHEMA)


def write_parquet(
    output: pathlib.Path, batches: Iterable[tuple[Sequence[str], npt.NDArray[np.float32]]]
) -> None:
    """Writes batches of URIs and vectors as they come."""
    with pq.ParquetWriter(output / "vectors.parquet", SCHEMA, compression="zstd") as writer:
        for uris, vectors in batches:
            writer.write_table(to_table(uris, vectors))
