"""A tf.data pipeline and a loop over its batches, as a good engineer writes it."""

import os
import pathlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from scripts.benchmarks.contenders.shared import BATCH_SIZE, Model, decode, write_parquet

Vectors = tuple[list[str], npt.NDArray[np.float32]]


def make_dataset(photos: pathlib.Path) -> tf.data.Dataset:
    """Returns batches of names and pixels, in any order.

    No tuning at run time: it is no faster here, and its thread may miss the end of the data, so
    that a run in four lasts until 10.2, 20.5, 41, 82 or 142 s after its start.
    """
    cores = os.cpu_count() or 1
    options = tf.data.Options()
    options.autotune.enabled = False
    # A pool of its own: decoding does not queue behind the model's operations.
    options.threading.private_threadpool_size = cores
    return (
        tf.data.Dataset.list_files(str(photos / "*.jpg"), shuffle=False)
        .map(
            lambda uri: (uri, decode(tf.io.read_file(uri))),
            num_parallel_calls=cores,
            deterministic=False,
        )
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )


def embed(dataset: tf.data.Dataset, model: Model) -> Iterator[Vectors]:
    """Calls the model from a thread a core: operations that run on one leave no core idle."""
    threads = os.cpu_count() or 1
    pending: deque[tuple[tf.Tensor, Future[npt.NDArray[np.float32]]]] = deque()

    def finish() -> Vectors:
        uris, vectors = pending.popleft()
        return [uri.decode() for uri in uris.numpy()], vectors.result()

    with ThreadPoolExecutor(threads) as pool:
        for uris, images in dataset:
            pending.append((uris, pool.submit(model, images)))
            if len(pending) > threads:
                yield finish()
        while pending:
            yield finish()


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Embeds photos and writes Parquet."""
    model = Model(str(model_dir))
    write_parquet(output, embed(make_dataset(photos), model))
