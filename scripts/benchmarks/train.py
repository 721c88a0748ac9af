"""How long pipelines.train_classifier takes on many vectors, and how much memory.

usage: python -m scripts.benchmarks.train DIRECTORY [ROWS] [DIM] [CLASSES]

Writes a published run of synthetic vectors (1,000,000 of 1280 numbers, 100 classes) below DIRECTORY
if it is not there, trains on it, and prints seconds and peak memory. The classes are Gaussians that
overlap, behind a ReLU. Needs twice the size of the vectors on disk.
"""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIDE = 32
ROWS_A_FILE = 10_000
SEPARATION = 0.16
SEED = 20261125


def write_model(directory: pathlib.Path, dim: int) -> None:
    """Writes a feature-vector model of that many numbers."""
    import tensorflow as tf

    class Features(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.random.stateless_normal([3, dim], (1, 2)))

        @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)])
        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(images, axis=[1, 2]) @ self.kernel

    tf.saved_model.save(Features(), str(directory))


def write_run(root: pathlib.Path, rows: int, dim: int, classes: int) -> None:
    """Writes a run as pipelines.embed would: of one image, and then with other data files."""
    from PIL import Image

    from pipelines import embed

    write_model(root / "model", dim)
    (root / "image" / "class").mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE)).save(root / "image" / "class" / "one.png")
    flags = ["--input", str(root / "image"), "--model", str(root / "model")]
    assert embed.main([*flags, "--output", str(root / "one")]) == 0
    run = root / "vectors"
    run.mkdir()
    record = json.loads((root / "one" / "_run.json").read_text())
    (entry,) = record["files"]
    one = pq.read_schema(root / "one" / entry["path"])
    random = np.random.default_rng(SEED)
    centres = random.normal(size=(classes, dim)).astype(np.float32) * SEPARATION
    scale = random.gamma(1, 1, size=dim).astype(np.float32)
    count = -(-rows // ROWS_A_FILE)
    record["files"] = []
    for shard in range(count):
        start, stop = shard * ROWS_A_FILE, min((shard + 1) * ROWS_A_FILE, rows)
        label = random.integers(0, classes, stop - start)
        noise = random.standard_normal((stop - start, dim), np.float32)
        vectors = np.maximum(centres[label] + noise + 0.5, 0) * scale
        ids = [f"{c}/{n:07d}.png" for c, n in zip(label, range(start, stop), strict=True)]
        columns = {
            "image_id": pa.array(ids),
            "uri": pa.array([f"/synthetic/{image_id}" for image_id in ids]),
            "embedding": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.reshape(-1)), type=one.field("embedding").type
            ),
            "width": pa.array([SIDE] * len(ids), pa.int32()),
            "height": pa.array([SIDE] * len(ids), pa.int32()),
            "content_sha256": pa.array(ids),
        }
        table = pa.table({field.name: columns[field.name] for field in one}, schema=one)
        name = f"embeddings-{shard:05d}-of-{count:05d}.parquet"
        pq.write_table(
            table,
            run / name,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"embedding.list.element": "BYTE_STREAM_SPLIT"},
        )
        record["files"].append({**entry, "path": name, "rows": len(ids), "shard": [shard, count]})
    (run / "_run.json").write_text(json.dumps(record))
    (run / "_SUCCESS").touch()


def main(directory: str, *sizes: str) -> None:
    """Writes the run if need be, trains, and prints what it took."""
    root = pathlib.Path(directory)
    if not (root / "vectors" / "_SUCCESS").exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        rows, dim, classes = [*map(int, sizes), *(1_000_000, 1280, 100)[len(sizes) :]]
        write_run(root, rows, dim, classes)
    shutil.rmtree(root / "classifier", ignore_errors=True)
    started = time.perf_counter()
    flags = ["--embeddings", str(root / "vectors"), "--output", str(root / "classifier")]
    subprocess.run([sys.executable, "-m", "pipelines.train_classifier", *flags], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{time.perf_counter() - started:.0f} s from start to end, {used.ru_utime:.0f} s of user "
        f"time, peak memory {used.ru_maxrss / 2**20:.1f} GiB, the cached pages of the vectors "
        "counted in"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
