"""Spark: binaryFile, a predict_batch_udf that decodes and calls the model, Parquet."""

import os
import pathlib
import sys
from collections.abc import Callable, Sequence

os.environ["PYSPARK_PYTHON"] = sys.executable

import numpy as np
import numpy.typing as npt
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType

BATCH_SIZE = 32
ROWS_TO_PYTHON = 64
"""Files sent to Python at a time: Spark's 10,000 would be 30 GB of large photos."""

Predict = Callable[[Sequence[bytes]], npt.NDArray[np.float32]]


def make_predict(model_dir: str) -> Predict:
    """Loads the model in a worker process, of which Spark has one a core."""
    import tensorflow as tf

    from scripts.benchmarks.contenders.shared import Model, decode_batch

    # A worker is reused: its threads can be set only before TensorFlow has begun.
    if not tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    model = Model(model_dir)
    return lambda encoded: model(decode_batch([bytes(image) for image in encoded]))


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Starts a session, embeds photos, writes Parquet, ends the session."""
    directory = str(model_dir)
    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count() or 1}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "3g")
        .config("spark.local.dir", str(output.parent / "spark"))
        .config("spark.log.level", "ERROR")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", ROWS_TO_PYTHON)
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    embed = predict_batch_udf(
        lambda: make_predict(directory),
        return_type=ArrayType(FloatType()),
        batch_size=BATCH_SIZE,
    )
    files = spark.read.format("binaryFile").load(str(photos))
    rows = files.select(files.path.alias("uri"), embed(files.content).alias("embedding"))
    rows.write.mode("overwrite").parquet(str(output))
    spark.stop()
