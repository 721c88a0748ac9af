"""ReadImages: every kind of shard, in order, a batch at a time, with its last batch marked."""

import hashlib
import pathlib
from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that

from transforms.batches import EncodedImages
from transforms.failure import Step
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.part import ReadPart
from transforms.records import ImageRef, InputFile, Shard, ShardKey, ShardKind
from transforms.steps.read_images import ReadImages, ReadPolicy, ShardReader
from transforms.steps.tally import TALLY

COLUMNS = FileColumns(None, None, pa.schema([]))
POLICY = ReadPolicy(columns=COLUMNS, batch_size=2, max_image_bytes=100)


@pytest.fixture
def reader() -> Iterator[ShardReader]:
    made = ShardReader(POLICY)
    yield made
    made.close()


def image_shard(directory: pathlib.Path, *names: str) -> Shard:
    refs = []
    for name in names:
        (directory / name).write_bytes(name.encode())
        refs.append(ImageRef(name, str(directory / name)))
    return Shard(ShardKey(1, 4), ShardKind.IMAGES, tuple(refs))


def parquet_shard(path: pathlib.Path, contents: Sequence[bytes | None]) -> Shard:
    pq.write_table(pa.table({"image": pa.array(contents, pa.binary())}), path)
    file = InputFile(ShardKind.PARQUET, str(path), str(path.parent), path.stat().st_size)
    return Shard(ShardKey(2, 4), ShardKind.PARQUET, files=(file,))


def shape(batches: list[EncodedImages]) -> list[tuple[int, bool, int, tuple[bytes, ...]]]:
    return [(b.index, b.is_last, b.matched, b.encoded) for b in batches]


def test_a_shard_of_images_is_read_in_order(tmp_path: pathlib.Path, reader: ShardReader) -> None:
    batches = list(reader.read(image_shard(tmp_path, "a", "b", "c")))
    assert shape(batches) == [(0, False, 2, (b"a", b"b")), (1, True, 1, (b"c",))]
    assert batches[0].shard == ShardKey(1, 4)
    assert batches[0].rows.to_pylist() == [
        {
            "image_id": name,
            "uri": str(tmp_path / name),
            "content_sha256": hashlib.sha256(name.encode()).hexdigest(),
        }
        for name in "ab"
    ]
    assert batches[0].seconds[Step.READ] > 0


def test_the_last_batch_is_marked_when_it_is_full(
    tmp_path: pathlib.Path, reader: ShardReader
) -> None:
    batches = list(reader.read(image_shard(tmp_path, "a", "b", "c", "d")))
    assert [batch.is_last for batch in batches] == [False, True]


def test_the_files_of_a_group_fill_batches_together_and_one_that_is_missing_costs_itself(
    tmp_path: pathlib.Path, reader: ShardReader
) -> None:
    shards = [
        parquet_shard(tmp_path / f"{name}.parquet", contents)
        for name, contents in {"a": [b"a0"], "b": [b"b0"], "c": [b"c0", b"c1", b"c2"]}.items()
    ]
    files = tuple(file for shard in shards for file in shard.files)
    (tmp_path / "b.parquet").unlink()
    group = Shard(ShardKey(0, 1), ShardKind.PARQUET, files=files)
    batches = list(reader.read(group))
    assert [batch.encoded for batch in batches] == [(b"a0", b"c0"), (b"c1", b"c2"), ()]
    assert [fail.reason for batch in batches for fail in batch.failures] == ["read/NotFound"]
    assert sum(batch.matched for batch in batches) == 5


def test_an_empty_shard_has_one_empty_last_batch(reader: ShardReader) -> None:
    (batch,) = reader.read(Shard(ShardKey(0, 1), ShardKind.IMAGES))
    assert (batch.index, batch.is_last, batch.matched, batch.encoded) == (0, True, 0, ())
    assert batch.rows.num_rows == 0
    assert batch.rows.schema.names == ["image_id", "uri", "content_sha256"]


def test_an_image_that_is_gone_is_a_failure_of_its_batch(
    tmp_path: pathlib.Path, reader: ShardReader
) -> None:
    shard = image_shard(tmp_path, "a", "b", "c")
    (tmp_path / "b").unlink()
    first, second = reader.read(shard)
    assert (first.encoded, second.encoded) == ((b"a",), (b"c",))
    assert [(f.image_id, f.step, f.error_type) for f in first.failures] == [
        ("b", Step.READ, "NotFound")
    ]
    assert first.matched == 2


class Forgetful(ImageFiles):
    """Loses the first image of every batch."""

    def read_batches(
        self,
        refs: Sequence[ImageRef],
        batch_size: int,
        versions: dict[str, str | None] | None = None,
    ) -> Iterator[ReadPart]:
        for start in range(0, len(refs), batch_size):
            yield self.read(refs[start + 1 : start + batch_size])


def test_an_image_that_a_reader_loses_is_found(tmp_path: pathlib.Path, reader: ShardReader) -> None:
    reader._image_files = Forgetful(COLUMNS, 100)
    with pytest.raises(RuntimeError, match="3 images were planned, 1 were read"):
        list(reader.read(image_shard(tmp_path, "a", "b", "c")))


def test_a_file_shard_adds_to_the_tally_as_it_is_read(
    tmp_path: pathlib.Path, reader: ShardReader
) -> None:
    TALLY.reset()
    batches = list(reader.read(parquet_shard(tmp_path / "x.parquet", [b"a", None, b"c"])))
    assert [batch.encoded for batch in batches] == [(b"a",), (b"c",)]
    assert [len(batch.failures) for batch in batches] == [1, 0]
    assert TALLY.counts().total == 3


def test_an_empty_file_has_one_empty_last_batch(
    tmp_path: pathlib.Path, reader: ShardReader
) -> None:
    (batch,) = reader.read(parquet_shard(tmp_path / "x.parquet", []))
    assert (batch.is_last, batch.matched) == (True, 0)


def test_read_images_gives_the_batches_of_every_shard(tmp_path: pathlib.Path) -> None:
    shards = [
        image_shard(tmp_path, "a", "b", "c"),
        parquet_shard(tmp_path / "x.parquet", [b"d"]),
    ]

    def check(batches: list[EncodedImages]) -> None:
        found = sorted((b.shard.index, b.index, b.is_last, b.encoded) for b in batches)
        assert found == [
            (1, 0, False, (b"a", b"b")),
            (1, 1, True, (b"c",)),
            (2, 0, True, (b"d",)),
        ]

    with _TestPipeline() as pipeline:
        batches = pipeline | beam.Create(shards) | ReadImages(POLICY)
        assert_that(batches, check)
