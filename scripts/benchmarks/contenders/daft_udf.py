"""Daft: from_glob_path, download, a class that decodes and calls the model, write_parquet."""

import os
import pathlib

os.environ["DO_NOT_TRACK"] = "true"  # Daft would report every query to its makers.
os.environ["DAFT_PROGRESS_BAR"] = "0"

import daft
from daft.functions import download

SIDE = 224
BATCH_SIZE = 32


# In this process, whose threads share one model: processes would send each batch's bytes to each
# other.
@daft.cls(use_process=False)
class Embed:
    """Decodes a batch in one call of TensorFlow and runs the model on it."""

    def __init__(self, model_dir: str) -> None:
        from scripts.benchmarks.contenders.shared import Model, decode_batch

        self._decode = decode_batch
        self._model = Model(model_dir)

    @daft.method.batch(
        return_dtype=daft.DataType.list(daft.DataType.float32()), batch_size=BATCH_SIZE
    )
    def embed(self, encoded: daft.Series) -> daft.Series:
        """Turns the bytes of files into vectors."""
        import numpy as np
        import pyarrow as pa

        vectors = self._model(self._decode(encoded.to_pylist()))
        offsets = np.arange(len(vectors) + 1, dtype=np.int64) * vectors.shape[1]
        return daft.Series.from_arrow(
            pa.LargeListArray.from_arrays(offsets, vectors.reshape(-1)), "embedding"
        )


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Embeds photos and writes Parquet, on Daft's own runner of one machine."""
    model = Embed(str(model_dir))
    frame = daft.from_glob_path(f"{photos}/*")
    (
        frame.select(
            daft.col("path").alias("uri"),
            model.embed(download(daft.col("path"))).alias("embedding"),
        ).write_parquet(str(output), compression="zstd")
    )
