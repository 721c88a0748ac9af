"""Reads runs back, and makes the small inputs of the program tests."""

import hashlib
import json
import os
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import embed, refresh
from tests.support.images import encode, photo


def solid(red: int, green: int, blue: int) -> bytes:
    """Makes a PNG, 20 wide and 10 high, of one colour, whose mean is known."""
    return encode(np.full((10, 20, 3), (red, green, blue), np.uint8), "PNG")


def write_photos(directory: pathlib.Path, count: int) -> dict[str, list[float]]:
    """Writes images of one colour each; returns their mean colours by file name."""
    directory.mkdir(parents=True, exist_ok=True)
    colours = {f"photo-{n:03d}.png": (n % 256, (7 * n) % 256, 255 - n % 256) for n in range(count)}
    for name, colour in colours.items():
        (directory / name).write_bytes(solid(*colour))
    return {name: [value / 255 for value in colour] for name, colour in colours.items()}


def write_large_photos(directory: pathlib.Path, count: int) -> None:
    """Writes images that take long to decode: one of 6 MB, by many names."""
    directory.mkdir(parents=True, exist_ok=True)
    first, *others = (directory / f"large-{n}.png" for n in range(count))
    first.write_bytes(encode(photo(1500, 2000), "PNG"))
    for path in others:
        os.link(first, path)


def write_examples(
    path: pathlib.Path, images: list[bytes], *, names: bool = True, label: float | None = None
) -> None:
    """Writes a TFRecord of tf.Example: an image each, a label or its number, a name if wanted."""
    import tensorflow as tf  # Most tests do without.

    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, image in enumerate(images):
            example = tf.train.Example()
            example.features.feature["image/encoded"].bytes_list.value.append(image)
            if label is None:
                example.features.feature["label"].int64_list.value.append(number)
            else:
                example.features.feature["label"].float_list.value.append(label)
            if names:
                name = f"{path.stem}-{number}.png".encode()
                example.features.feature["image/filename"].bytes_list.value.append(name)
            writer.write(example.SerializeToString())


def run_embed(model: str, output: pathlib.Path, *argv: str) -> int:
    """Runs pipelines.embed in this process; returns its exit code."""
    return embed.main(["--model", model, "--output", str(output), *argv])


def run_refresh(model: str, root: pathlib.Path, *argv: str) -> int:
    """Runs pipelines.refresh in this process; returns its exit code."""
    return refresh.main(["--model", model, "--output_root", str(root), *argv])


def latest(root: pathlib.Path) -> pathlib.Path:
    """Returns the run that LATEST names."""
    return root / (root / "LATEST").read_text().strip()


def swap_content(path: pathlib.Path, content: bytes) -> None:
    """Replaces a file's content in a way that no listing shows: same size, same time."""
    status = path.stat()
    assert len(content) <= status.st_size
    path.write_bytes(content.ljust(status.st_size, b" "))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def contents(run: pathlib.Path) -> dict[str, bytes]:
    """Returns all that a run says of its images: data, inputs and failures, by name."""
    paths = [*run.glob("*-of-*"), *run.glob("_inputs/*"), run / "_failures.jsonl"]
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(paths)}


def read(run: pathlib.Path) -> pa.Table:
    """Reads a run's Parquet files, in order of image_id."""
    return pq.read_table(sorted(str(path) for path in run.glob("*.parquet"))).sort_by("image_id")


def vectors_of(table: pa.Table) -> npt.NDArray[Any]:
    """Returns the embedding column as [rows, embedding_dim]."""
    column = table.column("embedding").combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def read_failures(run: pathlib.Path) -> list[dict[str, str]]:
    """Reads _failures.jsonl."""
    return [json.loads(line) for line in (run / "_failures.jsonl").read_text().splitlines()]


def read_record(run: pathlib.Path) -> dict[str, Any]:
    """Reads _run.json."""
    return json.loads((run / "_run.json").read_text())


def hashes(run: pathlib.Path) -> dict[str, str]:
    """Returns the sha256 of every data file, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.glob("*-of-*"))
    }
