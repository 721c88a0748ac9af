"""WriteShards: batches in order, one staged file a shard, nothing unaccounted."""

import dataclasses
import pathlib

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that

from tests.support.batches import failure, output_rows, staging_target
from transforms.failure import Step
from transforms.lifecycle.staging import read_commit
from transforms.records import ShardKey
from transforms.results import ShardResult
from transforms.runs.image_ids import digest_ids
from transforms.runs.inputs_file import read_inputs
from transforms.steps.write_shards import ShardFile, WriteShards


def shard_file(staging: pathlib.Path, *, digests: bool = False) -> ShardFile:
    return ShardFile(staging_target(staging, digests=digests), output_rows("a"))


def test_a_shard_becomes_one_file_with_its_failures_beside_it(tmp_path: pathlib.Path) -> None:
    file = shard_file(tmp_path, digests=True)
    first = output_rows("a", "b", is_last=False)
    file.write(dataclasses.replace(first, seconds={Step.READ: 1.0, Step.DECODE: 0.5}))
    second = output_rows("c", failures=(failure("bad"),), index=1)
    file.write(dataclasses.replace(second, seconds={Step.READ: 2.0}))
    result = file.close()
    table = pq.read_table(result.data.path)
    assert table.column("image_id").to_pylist() == ["a", "b", "c"]
    assert result.rows == 3
    assert result.failures == {"decode/CorruptImage": 1}
    assert result.images == 4
    assert result.id_digests == digest_ids(["a", "b", "c"])
    assert np.frombuffer(result.id_digests, np.uint64).size == 3
    assert result.seconds[Step.READ] == 3.0
    assert result.seconds[Step.WRITE] > 0
    _, failures = read_inputs(result.inputs.path)
    assert failures == (failure("bad"),)
    assert read_commit(str(tmp_path), result.shard) == dataclasses.replace(
        result, id_digests=b"", seconds={s: round(result.seconds.get(s, 0), 3) for s in Step}
    )


def test_a_missing_batch_is_found(tmp_path: pathlib.Path) -> None:
    file = shard_file(tmp_path)
    with pytest.raises(RuntimeError, match=r"got batch 1 of shard 00000-of-00001, wanted batch 0"):
        file.write(output_rows("a", index=1))
    file.abandon()


def test_a_batch_of_another_shard_is_found(tmp_path: pathlib.Path) -> None:
    file = shard_file(tmp_path)
    with pytest.raises(RuntimeError, match="00003-of-00009"):
        file.write(output_rows("a", shard=ShardKey(3, 9)))
    file.abandon()


def test_a_lost_image_is_found(tmp_path: pathlib.Path) -> None:
    file = shard_file(tmp_path)
    with pytest.raises(RuntimeError, match="3 images went in, 1 rows and 1 failures came out"):
        file.write(dataclasses.replace(output_rows("a", failures=(failure(),)), matched=3))
    file.abandon()


def test_write_shards_gives_one_result_a_shard(tmp_path: pathlib.Path) -> None:
    batches = [output_rows("a", is_last=False), output_rows("b", index=1)]
    results: list[ShardResult] = []

    def check(found: list[ShardResult]) -> None:
        results.extend(found)
        assert [result.rows for result in found] == [2]

    with _TestPipeline() as pipeline:
        made = pipeline | beam.Create([None]) | beam.FlatMap(lambda _: batches)
        assert_that(made | WriteShards(staging_target(tmp_path)), check)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".arrow", ".json", ".parquet"]


def test_a_shard_cut_off_by_its_bundle_fails_the_run(tmp_path: pathlib.Path) -> None:
    pipeline = _TestPipeline()
    batches = pipeline | beam.Create([None]) | beam.Map(lambda _: output_rows("a", is_last=False))
    _ = batches | WriteShards(staging_target(tmp_path))
    with pytest.raises(RuntimeError, match="is not whole at the end of its bundle"):
        pipeline.run()
