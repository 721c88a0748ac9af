"""Beam's RunInference with an image as the element, the way its documentation shows it."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from scripts.benchmarks.contenders.shared import BATCH_SIZE, SCHEMA, Model, decode

Named = tuple[str, npt.NDArray[np.float32]]


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


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Embeds photos and writes Parquet."""
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
