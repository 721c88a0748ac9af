"""Ray Data: read_binary_files, a pool of actors that decode and call the model, write_parquet."""

import os
import pathlib
import tempfile

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import numpy.typing as npt
import ray

BATCH_SIZE = 32

Columns = dict[str, npt.NDArray[np.generic]]


class Embed:
    """An actor: decodes a batch in one call of TensorFlow and runs the model on it.

    Actors that only decode would send the pixels of every batch, 19 MB, through the object store.
    """

    def __init__(self, model_dir: str, threads: int) -> None:
        import tensorflow as tf

        from scripts.benchmarks.contenders.shared import Model, decode_batch

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._decode = decode_batch
        self._model = Model(model_dir)

    def __call__(self, batch: Columns) -> Columns:
        """Turns columns path and bytes into uri and embedding."""
        vectors = self._model(self._decode(list(batch["bytes"])))
        return {"uri": batch["path"], "embedding": vectors}


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Starts Ray, embeds photos, writes Parquet, stops Ray."""
    cores = os.cpu_count() or 1
    actors = max(1, cores - 1)  # One core is left to tasks that read and write.
    threads = -(-cores // actors)
    # Not in TMPDIR: the path of a socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as scratch:
        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=scratch,
        )
        ray.data.DataContext.get_current().enable_progress_bars = False
        (
            ray.data.read_binary_files(str(photos), include_paths=True)
            .map_batches(
                Embed,
                fn_constructor_args=(str(model_dir), threads),
                batch_size=BATCH_SIZE,
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=actors),
            )
            .write_parquet(str(output), compression="zstd")
        )
        ray.shutdown()
