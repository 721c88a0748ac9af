"""What people write without this pipeline, as a good engineer writes it."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_hub as hub
from apache_beam.io import fileio
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

SIDE = 224
BATCH_SIZE = 32
SCHEMA = pa.schema([("uri", pa.string()), ("embedding", pa.list_(pa.float32()))])

Named = tuple[str, npt.NDArray[np.float32]]


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes by the TF Hub image convention, to float32 [224, 224, 3] in [0, 1]."""
    image = tf.io.decode_jpeg(encoded, channels=3)
    return tf.image.resize(tf.image.convert_image_dtype(image, tf.float32), [SIDE, SIDE])


class Model:
    """A SavedModel behind one function, traced once."""

    def __init__(self, model_dir: str) -> None:
        loaded = hub.load(model_dir)
        self._loaded = loaded  # Its variables live only as long as it does.
        images = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)
        self._call = tf.function(
            lambda images: loaded(images, training=False), input_signature=[images]
        ).get_concrete_function()

    def __call__(self, images: tf.Tensor) -> npt.NDArray[np.float32]:
        """Returns float32 [batch, 1280]."""
        return self._call(images).numpy()


def run_tf_data(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs a tf.data pipeline, a loop over its batches, and a Parquet writer."""
    model = Model(str(model_dir))
    batches = (
        tf.data.Dataset.list_files(str(photos / "*.jpg"), shuffle=False)
        .map(lambda uri: (uri, decode(tf.io.read_file(uri))), num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )
    with pq.ParquetWriter(output / "vectors.parquet", SCHEMA, compression="zstd") as writer:
        for uris, images in batches:
            vectors = model(images)
            offsets = np.arange(len(vectors) + 1, dtype=np.int32) * vectors.shape[1]
            column = pa.ListArray.from_arrays(offsets, vectors.reshape(-1))
            names = pa.array([uri.decode() for uri in uris.numpy()])
            writer.write_table(pa.table([names, column], schema=SCHEMA))


class DecodePhoto(beam.DoFn):
    """Reads and decodes one file."""

    def setup(self) -> None:
        """Traces once a worker."""
        self._decode = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])

    def process(self, file: fileio.ReadableFile) -> Iterator[Named]:
        """Yields the file's name and its pixels."""
        yield file.metadata.path, self._decode(file.read()).numpy()


class PhotoModelHandler(ModelHandler[Named, dict[str, Any], Model]):
    """One element an image. Beam's own TensorFlow handlers load no SavedModel under Keras 3."""

    def __init__(self, model_dir: str) -> None:
        # Fixed: a batch size that Beam searches for makes TensorFlow plan for every shape.
        super().__init__(min_batch_size=BATCH_SIZE, max_batch_size=BATCH_SIZE)
        self._model_dir = model_dir

    def load_model(self) -> Model:
        """Loads the model, once a process."""
        return Model(self._model_dir)

    def run_inference(
        self, batch: Sequence[Named], model: Model, inference_args: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Runs one call on the stacked batch; returns rows to write."""
        vectors = model(tf.constant(np.stack([pixels for _, pixels in batch])))
        return [
            {"uri": uri, "embedding": vector}
            for (uri, _), vector in zip(batch, vectors, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[Named]) -> int:
        """Returns the size of the pixels; Beam's default pickles them to find out."""
        return sum(pixels.nbytes for _, pixels in batch)


def run_beam_per_image(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs Beam's RunInference with an image as the element."""
    workers = PipelineOptions(direct_num_workers=os.cpu_count())
    with beam.Pipeline(runner=FnApiRunner(), options=workers) as pipeline:
        _ = (
            pipeline
            | fileio.MatchFiles(str(photos / "*.jpg"))
            | beam.Reshuffle()
            | fileio.ReadMatches()
            | beam.ParDo(DecodePhoto())
            | RunInference(PhotoModelHandler(str(model_dir)))
            | WriteToParquet(
                str(output / "vectors"), SCHEMA, codec="zstd", file_name_suffix=".parquet"
            )
        )
