"""Reads objects from a storage server in a process of its own, and says how fast.

usage: python -m scripts.benchmarks.storage_reads WHAT MAX_READS MAX_MEMORY_BYTES OBJECTS

where WHAT is ours, pool, decoded or decoder.
"""

import functools
import itertools
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from scripts.benchmarks.storage_objects import BYTES, OBJECT_BYTES, OBJECTS, PHOTOS, uri_of
from transforms.files.flight import FLIGHT
from transforms.files.read_limits import ReadLimits
from transforms.files.uris import read_remote
from transforms.inputs.columns import FileColumns
from transforms.records import ImageRef, Shard, ShardKey, ShardKind
from transforms.steps.read_images import ReadPolicy, ShardReader

THREADS = 2
SHARD_IMAGES = 1000
BATCH_SIZE = 32
WARM_UP_OBJECTS = 200
MAX_BYTES = 1 << 20
SIDE = 224


def read_by_pool(limits: ReadLimits, uris: list[str]) -> Counter[str]:
    """Reads by a pool of threads that never wait for one another: as fast as so many can."""

    def read(uri: str) -> int:
        return len(FLIGHT.backoff.call(lambda: read_remote(uri, MAX_BYTES)))

    with ThreadPoolExecutor(limits.max_reads) as pool:
        return Counter(read=sum(size == OBJECT_BYTES for size in pool.map(read, uris)))


def count_images(encoded: Sequence[bytes]) -> int:
    """Uses nothing of a batch; returns the images in it."""
    return len(encoded)


def decode(encoded: Sequence[bytes]) -> int:
    """Decodes and resizes a batch; returns how many images that gave."""
    return len(_preprocessor()(encoded).pixels)


@functools.cache
def _preprocessor() -> Callable[[Sequence[bytes]], Any]:
    # TensorFlow takes seconds to import, and 300 MB.
    from transforms.images.policy import Preprocessing
    from transforms.images.preprocessor import Preprocessor

    return Preprocessor(Preprocessing(image_size=(SIDE, SIDE)))


@functools.cache
def _in_memory(uris: tuple[str, ...]) -> list[bytes]:
    """Reads objects one after the other; while the benchmark warms up, since that takes long."""
    return [read_remote(uri, MAX_BYTES) for uri in uris]


def decode_alone(limits: ReadLimits, uris: list[str]) -> Counter[str]:
    """Decodes photos that are in memory, on as many threads."""
    photos = _in_memory(tuple(uris[:BATCH_SIZE]))
    batches = [photos[: len(uris) - start] for start in range(0, len(uris), BATCH_SIZE)]
    with ThreadPoolExecutor(THREADS) as threads:
        return Counter(read=sum(threads.map(decode, batches)))


def read_by_shards(
    limits: ReadLimits, uris: list[str], use: Callable[[Sequence[bytes]], int] = count_images
) -> Counter[str]:
    """Reads shards of listed images on two threads, as a run does, and uses each batch."""
    policy = ReadPolicy(
        columns=FileColumns(None, None, pa.schema([])),
        batch_size=BATCH_SIZE,
        max_image_bytes=MAX_BYTES,
        limits=limits,
    )
    refs = [ImageRef(f"{n:06d}", uri, OBJECT_BYTES) for n, uri in enumerate(uris)]
    parts = [refs[start : start + SHARD_IMAGES] for start in range(0, len(refs), SHARD_IMAGES)]
    left: Iterator[tuple[int, list[ImageRef]]] = enumerate(parts)
    lock = threading.Lock()

    def take() -> tuple[int, list[ImageRef]] | None:
        with lock:
            return next(left, None)

    def work() -> Counter[str]:
        reader, counts = ShardReader(policy), Counter[str]()
        for number, part in iter(take, None):
            shard = Shard(ShardKey(number, len(parts)), ShardKind.IMAGES, tuple(part))
            for batch in reader.read(shard):
                counts["read"] += use(batch.encoded)
                counts.update(batch.retries)
        return counts

    with ThreadPoolExecutor(THREADS) as threads:
        found = [threads.submit(work) for _ in range(THREADS)]
        return sum((each.result() for each in found), Counter[str]())


def main() -> None:
    """Reads, and prints the figures as JSON."""
    what, max_reads, max_memory, objects = sys.argv[1], *map(int, sys.argv[2:])
    limits = ReadLimits(max_reads, max_memory)
    ways: dict[str, tuple[str, Callable[[ReadLimits, list[str]], Counter[str]]]] = {
        "ours": (BYTES, read_by_shards),
        "pool": (BYTES, read_by_pool),
        "decoded": (PHOTOS, functools.partial(read_by_shards, use=decode)),
        "decoder": (PHOTOS, decode_alone),
    }
    bucket, read = ways[what]
    uris = [uri_of(bucket, n % OBJECTS) for n in range(objects)]
    read(limits, list(itertools.islice(uris, WARM_UP_OBJECTS)))
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    counts = read(limits, uris)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = {
        "read": counts.pop("read"),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_bytes": after.ru_maxrss * 1024,
        "again": counts.total(),
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)  # Reads that another one has overtaken would be waited for.


if __name__ == "__main__":
    main()
