"""OpenVINO in bfloat16: threads that read and decode, an AsyncInferQueue, a Parquet writer."""

import collections
import os
import pathlib
import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import openvino as ov
import tensorflow as tf

from scripts.benchmarks.contenders.shared import BATCH_SIZE, SIDE, Model, decode, write_parquet

Pixels = npt.NDArray[np.float32]


def compile_model(model_dir: pathlib.Path) -> ov.CompiledModel:
    """Compiles a SavedModel for batches of one fixed size."""
    model = Model(str(model_dir))
    converted = ov.convert_model(model.function)
    converted.reshape([BATCH_SIZE, SIDE, SIDE, 3])
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "bf16"}
    return ov.compile_model(converted, "CPU", hints)


def load_batches(photos: pathlib.Path) -> Iterator[tuple[list[str], Pixels]]:
    """Reads and decodes on a thread a core, as many batches ahead; the last one is filled up."""
    decode_file = tf.function(
        lambda path: decode(tf.io.read_file(path)),
        input_signature=[tf.TensorSpec([], tf.string)],
    ).get_concrete_function()

    def load(paths: list[str]) -> tuple[list[str], Pixels]:
        pixels = np.zeros((BATCH_SIZE, SIDE, SIDE, 3), np.float32)
        for row, path in enumerate(paths):
            pixels[row] = decode_file(tf.constant(path))
        return paths, pixels

    paths = sorted(str(path) for path in photos.iterdir())
    threads = os.cpu_count() or 1
    loading: collections.deque[Future[tuple[list[str], Pixels]]] = collections.deque()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), BATCH_SIZE):
            loading.append(pool.submit(load, paths[start : start + BATCH_SIZE]))
            if len(loading) > threads:
                yield loading.popleft().result()
        while loading:
            yield loading.popleft().result()


def embed(compiled: ov.CompiledModel, photos: pathlib.Path) -> Iterator[tuple[list[str], Pixels]]:
    """Gives batches to whichever request is free; yields vectors as they come."""
    embedded: queue.SimpleQueue[tuple[list[str], Pixels]] = queue.SimpleQueue()
    requests = ov.AsyncInferQueue(compiled)
    requests.set_callback(
        lambda request, paths: embedded.put(
            (paths, request.get_output_tensor().data[: len(paths)].copy())
        )
    )
    for paths, pixels in load_batches(photos):
        requests.start_async(pixels, userdata=paths)
        while not embedded.empty():
            yield embedded.get()
    requests.wait_all()
    while not embedded.empty():
        yield embedded.get()


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Embeds photos and writes Parquet."""
    write_parquet(output, embed(compile_model(model_dir), photos))
