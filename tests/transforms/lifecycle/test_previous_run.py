"""What of an earlier run may be built on: its recipe, and the columns that its rows have."""

import dataclasses
import pathlib

import pyarrow as pa
import pytest

from tests.support.batches import output_rows
from transforms.lifecycle.previous_rows import load_previous
from transforms.lifecycle.previous_run import why_recomputed
from transforms.records import Predecessor, Shard, ShardKey, ShardKind, ShardResult, WrittenFile
from transforms.runs.data_writer import OutputFile
from transforms.runs.inputs_file import write_inputs
from transforms.runs.record import PublishedRun
from transforms.schemas import computed_columns

RECIPE = {"program": "embed", "preprocessing": {"max_image_bytes": 9}}


def write_shard(folder: pathlib.Path, output_format: str, *lacking: str) -> ShardResult:
    """Writes the rows a and b, without some columns."""
    rows = output_rows("a", "b").rows.drop_columns(list(lacking))
    data = OutputFile(str(folder / f"data.{output_format}"), rows.schema, output_format)
    data.write(rows)
    key, kind = ShardKey(0, 1), ShardKind.IMAGES
    inputs = write_inputs(str(folder / "inputs.arrow"), Shard(key, kind), (), pa.schema([]))
    return ShardResult(
        shard=key,
        kind=kind,
        file=None,
        fingerprint="",
        data=WrittenFile(data.path, *data.close()),
        inputs=inputs,
        rows=2,
        failures={},
    )


def published(*results: ShardResult) -> PublishedRun:
    return PublishedRun("/run", {"recipe": RECIPE}, results)


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_column_that_an_earlier_run_did_not_write_is_a_reason_to_compute_again(
    tmp_path: pathlib.Path, output_format: str
) -> None:
    whole = write_shard(tmp_path, output_format)
    assert why_recomputed(published(whole), RECIPE, limits=True) == {}
    lacking = write_shard(tmp_path, output_format, "height", "embedding")
    reason = "was not written, is written"
    assert why_recomputed(published(lacking), RECIPE, limits=True) == {
        "column height": reason,
        "column embedding": reason,
    }


def test_a_damaged_or_an_empty_file_says_nothing_of_columns(tmp_path: pathlib.Path) -> None:
    lacking = write_shard(tmp_path, "parquet", "height")
    damaged = dataclasses.replace(lacking, data=dataclasses.replace(lacking.data, sha256="another"))
    empty = dataclasses.replace(lacking, rows=0)
    assert why_recomputed(published(damaged, empty), RECIPE, limits=True) == {}
    assert why_recomputed(published(damaged, empty, lacking), RECIPE, limits=True)


def test_limits_count_only_where_failures_do(tmp_path: pathlib.Path) -> None:
    run = published(write_shard(tmp_path, "parquet"))
    stricter = {**RECIPE, "preprocessing": {"max_image_bytes": 8}}
    assert why_recomputed(run, stricter, limits=False) == {}
    assert why_recomputed(run, stricter, limits=True) == {
        "preprocessing.max_image_bytes": "was 9, is 8"
    }


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_rows_without_a_column_of_now_are_known_and_not_reusable(
    tmp_path: pathlib.Path, output_format: str
) -> None:
    columns = computed_columns("embeddings")
    whole = write_shard(tmp_path, output_format)
    previous = load_previous(Predecessor((whole.data,), (whole.inputs,)), columns)
    assert previous.is_reusable
    assert previous.stored.take([1]).schema.names == list(columns)
    assert previous.row_of_content == {"sha256 of a": 0, "sha256 of b": 1}
    lacking = write_shard(tmp_path, output_format, "width")
    previous = load_previous(Predecessor((lacking.data,), (lacking.inputs,)), columns)
    assert not previous.is_reusable
    assert previous.row_of_id == {"a": 0, "b": 1}
    assert (previous.stored.take([]).num_columns, previous.row_of_content) == (0, {})
