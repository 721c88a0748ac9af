"""Reads objects from a storage server in a process of its own, and says how fast.

usage: python -m scripts.benchmarks.storage_reads ours|pool MAX_READS MAX_MEMORY_BYTES OBJECTS
"""

import itertools
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from scripts.benchmarks.storage_objects import OBJECT_BYTES, OBJECTS, uri_of
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


def read_by_pool(limits: ReadLimits, uris: list[str]) -> Counter[str]:
    """Reads by a pool of threads that never wait for one another: as fast as so many can."""

    def read(uri: str) -> int:
        return len(FLIGHT.backoff.call(lambda: read_remote(uri, MAX_BYTES)))

    with ThreadPoolExecutor(limits.max_reads) as pool:
        return Counter(read=sum(size == OBJECT_BYTES for size in pool.map(read, uris)))


def read_by_shards(limits: ReadLimits, uris: list[str]) -> Counter[str]:
    """Reads shards of listed images on two threads, as a run does; uses nothing of a batch."""
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
                counts["read"] += len(batch.encoded)
                counts.update(batch.retries)
        return counts

    with ThreadPoolExecutor(THREADS) as threads:
        found = [threads.submit(work) for _ in range(THREADS)]
        return sum((each.result() for each in found), Counter[str]())


def main() -> None:
    """Reads, and prints the figures as JSON."""
    what, max_reads, max_memory, objects = sys.argv[1], *map(int, sys.argv[2:])
    limits = ReadLimits(max_reads, max_memory)
    read = {"ours": read_by_shards, "pool": read_by_pool}[what]
    uris = [uri_of(n % OBJECTS) for n in range(objects)]
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
