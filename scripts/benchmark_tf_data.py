"""A tf.data pipeline and a loop over its batches, as a good engineer writes it."""

import itertools
import os
import pathlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from benchmark_vectors import BATCH_SIZE, Model, decode, write_parquet

Vectors = tuple[list[str], npt.NDArray[np.float32]]


def make_dataset(photos: pathlib.Path) -> tf.data.Dataset:
    """Returns batches of names and pixels, in any order."""
    options = tf.data.Options()
    # A pool of its own: decoding does not queue behind the model's operations.
    options.threading.private_threadpool_size = os.cpu_count() or 1
    return (
        tf.data.Dataset.list_files(str(photos / "*.jpg"), shuffle=False)
        .map(
            lambda uri: (uri, decode(tf.io.read_file(uri))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(options)
    )


def embed(dataset: tf.data.Dataset, model: Model) -> Iterator[Vectors]:
    """Calls the model from a thread a core: operations that run on one leave no core idle."""
    threads = os.cpu_count() or 1
    batches = iter(dataset)
    lock = threading.Lock()

    def embed_next(number: int) -> Vectors | None:
        with lock:
            batch = next(batches, None)
        if batch is None:
            return None
        uris, images = batch
        return [uri.decode() for uri in uris.numpy()], model(images)

    with ThreadPoolExecutor(threads) as pool:
        while True:
            vectors = list(pool.map(embed_next, range(threads)))
            yield from itertools.filterfalse(lambda found: found is None, vectors)
            if None in vectors:
                return


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Embeds photos and writes Parquet."""
    model = Model(str(model_dir))
    write_parquet(output, embed(make_dataset(photos), model))
