"""What of an earlier run may be built on: its recipe, and the columns that its rows have."""

import dataclasses
import json
import pathlib

import pyarrow as pa
import pytest

from tests.support.batches import output_rows
from transforms.lifecycle.previous_rows import load_previous
from transforms.lifecycle.previous_run import Previous, PreviousShards, why_recomputed
from transforms.lifecycle.stored_rows import StoredRows, read_table
from transforms.records import InputFile, Predecessor, Shard, ShardKey, ShardKind, WrittenFile
from transforms.results import FileAccount, ShardResult
from transforms.runs.data_writer import OutputFile
from transforms.runs.inputs_file import write_inputs
from transforms.runs.record import PublishedRun, format_version, result_to_dict
from transforms.schemas import STATISTICS_FIELDS, computed_columns
from transforms.span import Span

RECIPE = {"program": "embed", "outputs": {}, "preprocessing": {"max_image_bytes": 9}}


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
        files=(),
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


def test_rows_serve_a_run_that_measures_less_and_not_one_that_measures_more(
    tmp_path: pathlib.Path,
) -> None:
    run = published(write_shard(tmp_path, "parquet"))
    measuring = {**RECIPE, "outputs": {"image_statistics": True}}
    assert list(why_recomputed(run, measuring, limits=True)) == [
        f"column {field.name}" for field in STATISTICS_FIELDS
    ]
    measured = PublishedRun("/run", {"recipe": measuring}, run.results)
    assert why_recomputed(measured, RECIPE, limits=True) == {}


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


FILE = InputFile(ShardKind.TAR, "/in/a.tar", "/in", 1000, "version 1")
SPANS = (Span(0, 2, 0, 500), Span(2, None, 500, None))


def divided(folder: pathlib.Path, *reasons: str) -> PreviousShards:
    """Publishes a run of a file of two spans, of which the second failed for some reasons."""
    results = [
        dataclasses.replace(
            write_shard(folder, "parquet"),
            shard=ShardKey(index, 2),
            kind=FILE.kind,
            files=(FileAccount(dataclasses.replace(FILE, span=span), 2),),
            failures=dict.fromkeys(reasons, 1) if index else {},
        )
        for index, span in enumerate(SPANS)
    ]
    files = [result_to_dict(result, str(folder)) for result in results]
    record = {"run_format_version": format_version(results), "files": files}
    (folder / "_run.json").write_text(json.dumps(record))
    (folder / "_SUCCESS").touch()
    return PreviousShards(Previous(str(folder), has_same_recipe=True))


def shard_of(span: Span, version: str | None = FILE.version) -> Shard:
    return Shard(ShardKey(0, 2), FILE.kind, files=(InputFile(*_listed(version), span),))


def _listed(version: str | None) -> tuple[ShardKind, str, str, int, str | None]:
    return FILE.kind, FILE.uri, FILE.root, FILE.size_bytes, version


def test_a_file_keeps_its_spans_while_it_is_as_it_was(tmp_path: pathlib.Path) -> None:
    shards = divided(tmp_path)
    assert [file.span for file in shards.as_divided(FILE)] == list(SPANS)
    assert shards.as_divided(InputFile(*_listed("version 2"))) == []
    assert shards.as_divided(InputFile(*_listed(None))) == []
    other_recipe = PreviousShards(Previous(str(tmp_path), has_same_recipe=False))
    assert other_recipe.as_divided(FILE) == []


def test_a_file_of_which_a_span_could_not_be_opened_is_divided_anew(
    tmp_path: pathlib.Path,
) -> None:
    assert divided(tmp_path, "read/PermissionDenied").as_divided(FILE) == []
    assert len(divided(tmp_path, "read/TruncatedFile").as_divided(FILE)) == 2


def test_a_span_has_one_parent_and_all_of_them_once_its_file_has_changed(
    tmp_path: pathlib.Path,
) -> None:
    shards = divided(tmp_path)
    assert [parent.shard.index for parent in shards.parents_of(shard_of(SPANS[1]))] == [1]
    assert len(shards.parents_of(shard_of(SPANS[1], "version 2"))) == 2
    assert len(shards.parents_of(shard_of(SPANS[1], None))) == 2
    assert len(shards.parents_of(shard_of(Span(0, None, 0, None)))) == 2
    # A run that completes it has its shards, whatever a listing says.
    completing = PreviousShards(Previous(str(tmp_path), has_same_recipe=True, keeps_all=True))
    assert [parent.shard.index for parent in completing.parents_of(shard_of(SPANS[0]))] == [0]


def test_rows_of_several_files_come_in_the_order_asked_for(tmp_path: pathlib.Path) -> None:
    path = write_shard(tmp_path, "parquet").data.path
    stored = StoredRows([path] * 3, [2, 2, 2], read_table(path, ["image_id", "width"]))
    assert stored.take([5, 0, 2])["image_id"].to_pylist() == ["b", "a", "a"]
    assert stored.take([]).schema.names == ["image_id", "width"]
