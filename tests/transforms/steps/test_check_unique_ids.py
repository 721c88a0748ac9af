"""CheckUniqueIds: one id in two files stops the run, and only that does."""

import pathlib

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that

from tests.support.batches import output_rows, staging_target
from transforms.errors import RunError
from transforms.records import ShardKey
from transforms.results import ShardResult
from transforms.steps.check_unique_ids import RANGES, CheckUniqueIds, check_unique, split_digests
from transforms.steps.write_shards import ShardFile


def stage(
    staging: pathlib.Path, index: int, *ids: str, output_format: str = "parquet"
) -> ShardResult:
    batch = output_rows(*ids, shard=ShardKey(index, 2))
    file = ShardFile(staging_target(staging, output_format, digests=True), batch)
    file.write(batch)
    return file.close()


def test_every_digest_is_in_one_range(tmp_path: pathlib.Path) -> None:
    ids = [f"id-{n}" for n in range(500)]
    parts = dict(split_digests(stage(tmp_path, 0, *ids)))
    assert sum(len(digests) for _, digests in parts.values()) == 8 * len(ids)
    assert set(parts) <= set(range(RANGES))
    assert len(parts) > 1


def test_results_pass_without_their_digests(tmp_path: pathlib.Path) -> None:
    results = [stage(tmp_path, 0, "a", "b"), stage(tmp_path, 1, "c")]

    def check(passed: list[ShardResult]) -> None:
        assert sorted((r.shard.index, r.rows, r.id_digests) for r in passed) == [
            (0, 2, b""),
            (1, 1, b""),
        ]

    with _TestPipeline() as pipeline:
        assert_that(pipeline | beam.Create(results) | CheckUniqueIds(), check)


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
@pytest.mark.parametrize(("first", "second"), [(("a", "b"), ("b", "c")), (("a", "b", "b"), ("c",))])
def test_an_id_in_two_places_fails_the_run(
    tmp_path: pathlib.Path, output_format: str, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    results = [
        stage(tmp_path, index, *ids, output_format=output_format)
        for index, ids in enumerate((first, second))
    ]
    pipeline = _TestPipeline()
    _ = pipeline | beam.Create(results) | CheckUniqueIds()
    with pytest.raises(RunError, match="'b' is not unique: /photos/b and /photos/b both"):
        pipeline.run()


def test_two_ids_that_share_a_digest_are_no_error(tmp_path: pathlib.Path) -> None:
    first, second = stage(tmp_path, 0, "a"), stage(tmp_path, 1, "b")
    check_unique((0, [(first.data.path, b"12345678"), (second.data.path, b"12345678")]))
