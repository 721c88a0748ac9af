"""A batch of large files ends before it is full, whatever holds them, and loses none."""

import io
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tars import write_tar
from transforms.batches import EncodedImages
from transforms.files.tf_examples import encode_examples
from transforms.files.tf_record import write_record
from transforms.inputs.columns import FileColumns
from transforms.inputs.part import BATCH_BYTES, take_batch
from transforms.records import ImageRef, InputFile, Shard, ShardKey, ShardKind
from transforms.steps.read_images import ReadPolicy, ShardReader

LARGE_BYTES = BATCH_BYTES * 3 // 8
CONTENTS = [np.random.default_rng(seed).bytes(LARGE_BYTES) for seed in range(7)]
COLUMNS = FileColumns(None, None, pa.schema([]))


def file_shard(kind: ShardKind, path: pathlib.Path) -> Shard:
    file = InputFile(kind, str(path), str(path.parent), path.stat().st_size)
    return Shard(ShardKey(0, 1), kind, files=(file,))


def image_shard(directory: pathlib.Path) -> Shard:
    refs = []
    for number, content in enumerate(CONTENTS):
        path = directory / f"{number}.jpg"
        path.write_bytes(content)
        refs.append(ImageRef(path.name, str(path), len(content)))
    return Shard(ShardKey(0, 1), ShardKind.IMAGES, tuple(refs))


def tfrecord_shard(directory: pathlib.Path) -> Shard:
    stream = io.BytesIO()
    for content in CONTENTS:
        batch = pa.record_batch({"image/encoded": [[content]]})
        write_record(stream, encode_examples(batch)[0])
    (directory / "x.tfrecord").write_bytes(stream.getvalue())
    return file_shard(ShardKind.TFRECORD, directory / "x.tfrecord")


def tar_shard(directory: pathlib.Path) -> Shard:
    write_tar(directory / "x.tar", {f"{n}.jpg": content for n, content in enumerate(CONTENTS)})
    return file_shard(ShardKind.TAR, directory / "x.tar")


def parquet_shard(directory: pathlib.Path) -> Shard:
    table = pa.table({"image": pa.array(CONTENTS, pa.binary())})
    pq.write_table(table, directory / "x.parquet", row_group_size=2)
    return file_shard(ShardKind.PARQUET, directory / "x.parquet")


def read_all(shard: Shard, policy: ReadPolicy) -> list[EncodedImages]:
    reader = ShardReader(policy)
    try:
        return list(reader.read(shard))
    finally:
        reader.close()


@pytest.mark.parametrize("make_shard", [image_shard, tfrecord_shard, tar_shard, parquet_shard])
@pytest.mark.parametrize("deduplicate", [False, True])
def test_large_images_make_small_batches(
    tmp_path: pathlib.Path, make_shard: Callable[[pathlib.Path], Shard], deduplicate: bool
) -> None:
    policy = ReadPolicy(
        columns=COLUMNS, batch_size=5, max_image_bytes=LARGE_BYTES, deduplicate=deduplicate
    )
    batches = read_all(make_shard(tmp_path), policy)
    found = [content for batch in batches for content in batch.encoded]
    assert found == CONTENTS
    assert sum(batch.matched for batch in batches) == len(CONTENTS)
    assert [len(batch.encoded) for batch in batches] == [3, 3, 1]


@pytest.mark.parametrize(("enough", "read"), [(1, 3), (3, 3), (4, 6), (7, 7), (9, 7)])
def test_a_sample_of_a_file_counts_images(tmp_path: pathlib.Path, enough: int, read: int) -> None:
    policy = ReadPolicy(
        columns=COLUMNS, batch_size=5, max_image_bytes=LARGE_BYTES, images_per_file=enough
    )
    batches = read_all(tar_shard(tmp_path), policy)
    assert sum(batch.matched for batch in batches) == read


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([], 0),
        ([1, 1], 2),
        ([1] * 9, 4),
        ([BATCH_BYTES, 1], 1),
        ([BATCH_BYTES - 1, 1, 1], 2),
        ([2 * BATCH_BYTES, 1], 1),
    ],
)
def test_a_batch_has_one_image_at_least(sizes: list[int], taken: int) -> None:
    items: Iterator[int] = iter(sizes)
    assert take_batch(items, 4, int) == sizes[:taken]
    assert list(items) == sizes[taken:]
