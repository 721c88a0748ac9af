"""Runs that are damaged in one way each, and the lines that say so."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines import classify, refresh
from pipelines.verify import main
from tests.support.cloud import Cloud
from tests.support.models import save_logits, save_mean_color
from tests.support.runs import run_embed, solid, write_photos
from transforms.files.tf_record import write_record

FIRST, SECOND = (f"embeddings-0000{n}-of-00002.parquet" for n in (0, 1))
FIRST_INPUTS, SECOND_INPUTS = (f"_inputs/0000{n}-of-00002.arrow" for n in (0, 1))
FIRST_TFRECORD = "embeddings-00000-of-00002.tfrecord"
FIRST_CLASSES = "classifications-00000-of-00002.parquet"
CARRIED = "embeddings-00000-of-00001.parquet"
CARRIED_TFRECORD = "embeddings-00000-of-00001.tfrecord"
ROWS = 40
BAD = "bad.png"
OTHER_SHA256 = "0" * 64


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of good runs of the same images, one of which fails."""
    folder = tmp_path_factory.mktemp("verify")
    model, logits = save_mean_color(folder / "model"), save_logits(folder / "logits")
    write_photos(folder / "photos", ROWS)
    (folder / "photos" / BAD).write_bytes(b"no image")
    pq.write_table(
        pa.table(
            {
                "image": [{"bytes": solid(n + 1, 0, 0), "path": f"{n}.png"} for n in range(5)]
                + [{"bytes": b"no image", "path": BAD}],
                "label": [0, 1, 2, 3, 4, 5],
                "tags": [["a", None], [], None, ["b"], [], []],
            }
        ),
        folder / "train.parquet",
    )
    some = ["--max_failed_fraction", "0.5"]
    photos = ["--input", str(folder / "photos"), "--image_id_from", "filename", *some]
    rows = ["--input", str(folder / "train.parquet"), "--carry_columns", "label", "tags", *some]
    for output_format in ("parquet", "tfrecord"):
        form = ["--output_format", output_format]
        assert run_embed(model, folder / f"vectors-{output_format}", *photos, *form) == 0
        assert run_embed(model, folder / f"carried-{output_format}", *rows, *form) == 0
        to = ["--model", logits, "--output", str(folder / f"classes-{output_format}")]
        assert classify.main([*to, *photos, *form]) == 0
    for name in ("a", "b"):
        write_examples_with_lists(folder / f"{name}.tfrecord", name)
    lists = ["--input", str(folder / "*.tfrecord"), "--carry_columns", "list"]
    assert run_embed(model, folder / "lists-parquet", *lists) == 0
    half = ["--embedding_dtype", "float16", "--normalize", "l2"]
    assert run_embed(model, folder / "half", *photos, *half) == 0
    retried = ["--retry_failed", str(folder / "vectors-parquet"), "--max_image_pixels", "1000"]
    assert run_embed(model, folder / "retried", *retried, *some) == 0
    root = ["--model", model, "--output_root", str(folder / "root"), *photos]
    assert refresh.main(root) == 0
    (folder / "photos" / "new.png").write_bytes(solid(1, 2, 3))
    assert refresh.main(root) == 0
    return folder


def write_examples_with_lists(path: pathlib.Path, name: str) -> None:
    """Writes three images with a list of integers each."""
    with path.open("wb") as file:
        for n in range(3):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(solid(n + 1, 0, 0))
            feature["image/filename"].bytes_list.value.append(f"{name}{n}.png".encode())
            feature["list"].int64_list.value.extend(range(n))
            write_record(file, example.SerializeToString())


class Run:
    """A copy of a run, to damage."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def path(self, name: str) -> pathlib.Path:
        return self.directory / name

    def record(self) -> dict[str, Any]:
        return json.loads(self.path("_run.json").read_text())

    def change_record(self, change: Callable[[dict[str, Any]], object]) -> None:
        record = self.record()
        change(record)
        self.path("_run.json").write_text(json.dumps(record))

    def seal(self, name: str) -> None:
        """Makes _run.json name a file as it is now."""
        content = self.path(name).read_bytes()

        def change(record: dict[str, Any]) -> None:
            entries = [*record["files"], *(entry["inputs"] for entry in record["files"])]
            (entry,) = (entry for entry in entries if entry["path"] == name)
            entry["size_bytes"] = len(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()

        self.change_record(change)

    def table(self, name: str) -> pa.Table:
        return pq.ParquetFile(self.path(name)).read()

    def write_table(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.path(name))
        self.seal(name)

    def set_cells(self, name: str, column: str, cells: dict[int, Any]) -> list[str]:
        """Puts values into rows of a column; returns the image_ids of those rows."""
        table = self.table(name)
        place = table.schema.get_field_index(column)
        field = table.schema.field(column)
        values = table[column].to_pylist()
        for row, value in cells.items():
            values[row] = value
        self.write_table(name, table.set_column(place, field, pa.array(values, field.type)))
        return [table["image_id"][row].as_py() for row in cells]

    def examples(self, name: str) -> list[tf.train.Example]:
        dataset = tf.data.TFRecordDataset(str(self.path(name)))
        return [tf.train.Example.FromString(record.numpy()) for record in dataset]

    def write_examples(self, name: str, examples: Sequence[tf.train.Example]) -> None:
        with self.path(name).open("wb") as file:
            for example in examples:
                write_record(file, example.SerializeToString())
        self.seal(name)

    def inputs(self, name: str) -> list[dict[str, Any]]:
        return pa.ipc.open_file(self.path(name).read_bytes()).read_all().to_pylist()

    def write_inputs(self, name: str, rows: list[dict[str, Any]]) -> None:
        schema = pa.ipc.open_file(self.path(name).read_bytes()).schema
        table = pa.Table.from_pylist(rows, schema=schema)
        with pa.ipc.new_file(str(self.path(name)), schema) as writer:
            writer.write_table(table)
        self.seal(name)


Damage = Callable[[Run], list[str]]
"""Damages a run and returns the lines that are to say so."""


def truncated_file(run: Run) -> list[str]:
    content = run.path(FIRST).read_bytes()
    run.path(FIRST).write_bytes(content[:-100])
    sizes = f"got {len(content) - 100} bytes, wanted {len(content)}, by _run.json"
    return [f"{FIRST}: size, {sizes}"]


def flipped_byte(run: Run) -> list[str]:
    content = bytearray(run.path(FIRST).read_bytes())
    wanted = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    run.path(FIRST).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    return [f"{FIRST}: sha256, got {found}, wanted {wanted}, by _run.json"]


def flipped_byte_of_the_inputs(run: Run) -> list[str]:
    content = bytearray(run.path(SECOND_INPUTS).read_bytes())
    wanted = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    run.path(SECOND_INPUTS).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    return [f"{SECOND_INPUTS}: sha256, got {found}, wanted {wanted}, by _run.json"]


def missing_file(run: Run) -> list[str]:
    size = run.path(SECOND).stat().st_size
    run.path(SECOND).unlink()
    return [f"{SECOND}: missing, got no file, wanted one of {size} bytes"]


def missing_inputs(run: Run) -> list[str]:
    size = run.path(FIRST_INPUTS).stat().st_size
    run.path(FIRST_INPUTS).unlink()
    return [f"{FIRST_INPUTS}: missing, got no file, wanted one of {size} bytes"]


def extra_files(run: Run) -> list[str]:
    for name in ("embeddings-00002-of-00003.parquet", ".hidden", "_inputs/x.arrow.partial"):
        run.path(name).write_bytes(b"123")
    wanted = "got 3 bytes, wanted only files that _run.json names"
    return [
        f".hidden: foreign, {wanted}",
        f"_inputs/x.arrow.partial: foreign, {wanted}",
        f"embeddings-00002-of-00003.parquet: foreign, {wanted}",
    ]


def missing_success(run: Run) -> list[str]:
    run.path("_SUCCESS").unlink()
    return ["_SUCCESS: missing, got no file, wanted one: without it this is no published run"]


def missing_record(run: Run) -> list[str]:
    run.path("_run.json").unlink()
    return ["_run.json: missing, got no file, wanted one: nothing else can be checked"]


def cut_record(run: Run) -> list[str]:
    run.path("_run.json").write_text('{"files": [')
    reason = "Expecting value: line 1 column 12 (char 11)"
    return [f"_run.json: unreadable, got {reason}, wanted JSON: nothing else can be checked"]


def record_that_is_no_object(run: Run) -> list[str]:
    run.path("_run.json").write_text("[]")
    return ["_run.json: unreadable, got no object, wanted JSON: nothing else can be checked"]


def record_of_another_version(run: Run) -> list[str]:
    run.change_record(lambda record: record.update(run_format_version=1))
    return ["_run.json: run_format_version, got 1, wanted 2, 3, 4 or 5"]


def record_without_what_is_needed(run: Run) -> list[str]:
    def change(record: dict[str, Any]) -> None:
        del record["counts"]["written"], record["model"]["fingerprint"]
        record["failures_by_reason"] = {"decode/UnsupportedFormat": "1"}
        record["recipe"]["outputs"] |= {"format": "orc", "embedding_dtype": 5}

    run.change_record(change)
    return [
        "_run.json: counts.written, got None, wanted a whole number",
        "_run.json: model.fingerprint, got None, wanted a string",
        "_run.json: failures_by_reason, got {'decode/UnsupportedFormat': '1'}, wanted a count for "
        "each reason",
        "_run.json: recipe.outputs.format, got 'orc', wanted parquet or tfrecord",
        "_run.json: recipe.outputs.embedding_dtype, got 5, wanted float32 or float16",
    ]


def entry_without_rows(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"][1].pop("rows"))
    return ["_run.json: files[1], got no 'rows', wanted an entry as a run writes it"]


def entry_with_a_negative_size(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"][0].update(size_bytes=-1))
    reason = "rows, failed, failures or size_bytes that are no counts"
    return [f"_run.json: files[0], got {reason}, wanted an entry as a run writes it"]


def entry_with_a_bad_hash(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"][0]["inputs"].update(sha256="abc"))
    reason = "a sha256 that is not 64 hexadecimal digits"
    return [f"_run.json: files[0], got {reason}, wanted an entry as a run writes it"]


def entry_with_seconds_of_another_form(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"][0].update(seconds=[1]))
    reason = "'list' object has no attribute 'items'"
    return [f"_run.json: files[0], got {reason}, wanted an entry as a run writes it"]


def entry_of_another_place(run: Run) -> list[str]:
    run.path(FIRST).rename(run.path("elsewhere.parquet"))
    run.change_record(lambda record: record["files"][0].update(path="elsewhere.parquet"))
    reason = f"path 'elsewhere.parquet' instead of '{FIRST}'"
    return [f"_run.json: files[0], got {reason}, wanted an entry as a run writes it"]


def entries_swapped(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"].reverse())
    return [
        f"_run.json: files[{n}], got shard [{1 - n}, 2] instead of [{n}, 2], wanted an entry as a "
        "run writes it"
        for n in (0, 1)
    ]


def changed_matched(run: Run) -> list[str]:
    run.change_record(lambda record: record["counts"].update(matched=99))
    return ["_run.json: counts.matched, got 99, wanted 41, written + failed + skipped"]


def changed_written(run: Run) -> list[str]:
    run.change_record(lambda record: record["counts"].update(written=41, matched=42))
    return ["_run.json: counts.written, got 41, wanted 40, the sum over files"]


def changed_skipped(run: Run) -> list[str]:
    run.change_record(lambda record: record["counts"].update(skipped=1, matched=42))
    return ["_run.json: counts.skipped, got 1, wanted 0, the sum of skipped_by_reason"]


def changed_failed(run: Run) -> list[str]:
    run.change_record(lambda record: record["counts"].update(failed=2, matched=42))
    return [
        "_run.json: counts.failed, got 2, wanted 1, the sum over files",
        "_failures.jsonl: lines, got 1, wanted 2, _run.json's failed",
    ]


def changed_reasons(run: Run) -> list[str]:
    run.change_record(lambda record: record.update(failures_by_reason={"read/NotFound": 1}))
    return [
        "_run.json: failures_by_reason, got read/NotFound 1, wanted decode/UnsupportedFormat 1, "
        "the sums over files",
        "_failures.jsonl: reasons, got decode/UnsupportedFormat 1, wanted read/NotFound 1, "
        "by _run.json",
    ]


def changed_failed_of_a_file(run: Run) -> list[str]:
    run.change_record(lambda record: record["files"][0].update(failed=3))
    return ["_run.json: files[0].failed, got 3, wanted 0, the sum of its failures"]


def changed_reasons_of_a_file(run: Run) -> list[str]:
    def change(record: dict[str, Any]) -> None:
        record["files"][1]["failures"] = {"read/NotFound": 1}
        record["failures_by_reason"] = {"read/NotFound": 1}

    run.change_record(change)
    return [
        f"{SECOND_INPUTS}: failures, got decode/UnsupportedFormat 1, wanted read/NotFound 1, "
        "by _run.json",
        "_failures.jsonl: reasons, got decode/UnsupportedFormat 1, wanted read/NotFound 1, "
        "by _run.json",
    ]


def changed_rows_of_a_file(run: Run) -> list[str]:
    rows = run.table(FIRST).num_rows

    def change(record: dict[str, Any]) -> None:
        record["files"][0]["rows"] += 1
        record["counts"] |= {"written": ROWS + 1, "matched": ROWS + 2}

    run.change_record(change)
    return [
        f"{FIRST_INPUTS}: rows, got {rows}, wanted {rows + 1}, the rows and failures by _run.json",
        f"{FIRST}: rows, got {rows}, wanted {rows + 1}, by _run.json",
    ]


def removed_row(run: Run) -> list[str]:
    table = run.table(FIRST)
    rows = table.num_rows
    run.write_table(FIRST, table.slice(1))
    lost = table["image_id"][0].as_py()
    return [
        f"{FIRST}: rows, got {rows - 1}, wanted {rows}, by _run.json",
        f"{FIRST_INPUTS}: image_ids, got 1 (first {lost!r}) without a row, wanted a row in {FIRST} "
        "for each",
    ]


def renamed_row(run: Run) -> list[str]:
    (before,) = run.set_cells(FIRST, "image_id", {0: "aaa.png"})
    return [
        f"{FIRST_INPUTS}: image_ids, got 1 (first {before!r}) without a row, wanted a row in "
        f"{FIRST} for each",
        f"{FIRST}: image_ids, got 1 (first 'aaa.png') not given to it, wanted those of "
        f"{FIRST_INPUTS}",
    ]


def id_in_two_files(run: Run) -> list[str]:
    shared = run.table(FIRST)["image_id"][0].as_py()
    (before,) = run.set_cells(SECOND, "image_id", {0: shared})
    rows = run.inputs(SECOND_INPUTS)
    (row,) = (row for row in rows if row["image_id"] == before)
    row["image_id"] = shared
    run.write_inputs(SECOND_INPUTS, rows)
    return [
        f"{SECOND}: image_ids, got 1 that an earlier row has, first {shared!r} after {FIRST}, "
        "wanted each in one row"
    ]


def file_in_place_of_another(run: Run) -> list[str]:
    first, second = run.table(FIRST), run.table(SECOND)
    shutil.copy(run.path(FIRST), run.path(SECOND))
    run.seal(SECOND)
    name = first["image_id"][0].as_py()
    mine = second["image_id"].to_pylist()
    return [
        f"{SECOND}: rows, got {len(first)}, wanted {len(second)}, by _run.json",
        f"{SECOND_INPUTS}: image_ids, got {len(mine)} (first {mine[0]!r}) without a row, wanted a "
        f"row in {SECOND} for each",
        f"{SECOND}: image_ids, got {len(first)} (first {name!r}) not given to it, wanted those of "
        f"{SECOND_INPUTS}",
        f"{SECOND}: image_ids, got {len(first)} that an earlier row has, first {name!r} after "
        f"{FIRST}, wanted each in one row",
    ]


def rows_out_of_order(run: Run) -> list[str]:
    table = run.table(FIRST)
    run.write_table(FIRST, table.take([1, 0, *range(2, table.num_rows)]))
    first = table["image_id"][0].as_py()
    return [
        f"{FIRST}: out of order, got 1 row, first {first!r}, wanted rows in order of image_id",
    ]


def vectors_not_finite(run: Run) -> list[str]:
    ids = run.set_cells(FIRST, "embedding", {2: [0, np.nan, 1], 5: [np.inf, 0, 1]})
    return [
        f"{FIRST}: embedding not finite, got 2 rows, first {ids[0]!r}, wanted no NaN and no Inf"
    ]


def zero_vector(run: Run) -> list[str]:
    (first,) = run.set_cells(SECOND, "embedding", {3: [0, -0.0, 0]})
    return [
        f"{SECOND}: embedding all zero, got 1 row, first {first!r}, wanted vectors that are not 0 "
        "(or --allow_zero_vectors)"
    ]


def sizes_not_positive(run: Run) -> list[str]:
    (narrow,) = run.set_cells(FIRST, "width", {4: 0})
    (low,) = run.set_cells(FIRST, "height", {1: -5})
    return [
        f"{FIRST}: width not positive, got 1 row, first {narrow!r}, wanted at least 1 pixel",
        f"{FIRST}: height not positive, got 1 row, first {low!r}, wanted at least 1 pixel",
    ]


def hashes_malformed(run: Run) -> list[str]:
    bad = {0: "", 1: "0" * 63, 2: "G" * 64, 3: "0" * 64 + "\n"}
    ids = run.set_cells(FIRST, "content_sha256", bad)
    return [
        f"{FIRST}: content_sha256 malformed, got 4 rows, first {ids[0]!r}, wanted 64 hexadecimal "
        "digits"
    ]


def wrong_dimension(run: Run, name: str = SECOND) -> list[str]:
    table = run.table(name)
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ones(4 * len(table)), pa.float32()),
        type=pa.list_(pa.field("element", pa.float32(), nullable=False), 4),
    )
    field = pa.field("embedding", vectors.type, nullable=False)
    run.write_table(name, table.set_column(2, field, vectors))
    return [f"{name}: embedding dimension, got 4, wanted 3 as in the model or files before"]


def wrong_dimension_of_the_first_file(run: Run) -> list[str]:
    return wrong_dimension(run, FIRST)


def wrong_dimension_of_a_model_that_declares_none(run: Run) -> list[str]:
    run.change_record(lambda record: record["model"].update(output_dim=None))
    return wrong_dimension(run)


def wrong_type(run: Run) -> list[str]:
    table = run.table(FIRST)
    field = pa.field("width", pa.int64())
    run.write_table(FIRST, table.set_column(3, field, table["width"].cast(pa.int64())))
    return [f"{FIRST}: type of width, got int64, wanted int32 not null"]


def wrong_order_of_columns(run: Run) -> list[str]:
    names = run.table(FIRST).column_names
    run.write_table(FIRST, run.table(FIRST).select([*names[1::-1], *names[2:]]))
    wanted = "image_id, uri, embedding, width, height, content_sha256"
    return [
        f"{FIRST}: columns, got uri, image_id, embedding, width, height, content_sha256, "
        f"wanted {wanted}"
    ]


def other_footer(run: Run) -> list[str]:
    table = run.table(FIRST)
    model = table.schema.metadata[b"model_fingerprint"].decode()
    policy = table.schema.metadata[b"preprocessing_fingerprint"].decode()
    metadata = {**table.schema.metadata, b"model_fingerprint": policy.encode()}
    del metadata[b"preprocessing_fingerprint"]
    run.write_table(FIRST, table.replace_schema_metadata(metadata))
    return [
        f"{FIRST}: model_fingerprint in the footer, got {policy}, wanted {model}, _run.json's "
        "model.fingerprint",
        f"{FIRST}: preprocessing_fingerprint in the footer, got none, wanted {policy}, _run.json's "
        "preprocessing.fingerprint",
    ]


def no_parquet(run: Run) -> list[str]:
    run.path(FIRST).write_bytes(b"PAR1" + b"\0" * 100)
    run.seal(FIRST)
    reason = (
        "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a "
        "parquet file."
    )
    return [f"{FIRST}: unreadable, got {reason}, wanted a file that can be read whole"]


def no_arrow(run: Run) -> list[str]:
    run.path(FIRST_INPUTS).write_bytes(b"123")
    run.seal(FIRST_INPUTS)
    return [f"{FIRST_INPUTS}: unreadable, got File is too small: 3, wanted an Arrow file"]


def inputs_without_a_column(run: Run) -> list[str]:
    table = pa.ipc.open_file(run.path(FIRST_INPUTS).read_bytes()).read_all().drop_columns("step")
    with pa.ipc.new_file(str(run.path(FIRST_INPUTS)), table.schema) as writer:
        writer.write_table(table)
    run.seal(FIRST_INPUTS)
    names = "image_id, uri, size_bytes, version"
    return [
        f"{FIRST_INPUTS}: columns, got {names}, error_type, message, wanted {names}, step, "
        "error_type, message"
    ]


def input_that_is_lost(run: Run) -> list[str]:
    rows = run.inputs(FIRST_INPUTS)
    lost = rows.pop(0)["image_id"]
    run.write_inputs(FIRST_INPUTS, rows)
    return [
        f"{FIRST_INPUTS}: rows, got {len(rows)}, wanted {len(rows) + 1}, the rows and failures by "
        "_run.json",
        f"{FIRST}: image_ids, got 1 (first {lost!r}) not given to it, wanted those of "
        f"{FIRST_INPUTS}",
    ]


def missing_failures(run: Run) -> list[str]:
    run.path("_failures.jsonl").unlink()
    return ["_failures.jsonl: missing, got no file, wanted one, empty if nothing failed"]


def removed_failure(run: Run) -> list[str]:
    run.path("_failures.jsonl").write_text("")
    return [
        "_failures.jsonl: lines, got 0, wanted 1, _run.json's failed",
        f"_failures.jsonl: image_ids, got 1 (first {BAD!r}) left out, wanted each failure in "
        "_inputs",
    ]


def renamed_failure(run: Run) -> list[str]:
    path = run.path("_failures.jsonl")
    path.write_text(path.read_text().replace(f'"image_id": "{BAD}"', '"image_id": "good.png"'))
    return [
        f"_failures.jsonl: image_ids, got 1 (first {BAD!r}) left out, wanted each failure in "
        "_inputs",
        "_failures.jsonl: image_ids, got 1 (first 'good.png') that did not fail, wanted failures "
        "only",
    ]


def cut_failure(run: Run) -> list[str]:
    path = run.path("_failures.jsonl")
    path.write_text(path.read_text()[:50])
    return [
        "_failures.jsonl: malformed lines, got 1 of them, first line 1, wanted failures as JSON "
        "objects"
    ]


def many_things_at_once(run: Run) -> list[str]:
    return [*missing_success(run), *missing_inputs(run), *zero_vector(run), *missing_failures(run)]


VECTORS: list[Damage] = [
    truncated_file,
    flipped_byte,
    flipped_byte_of_the_inputs,
    missing_file,
    missing_inputs,
    extra_files,
    missing_success,
    missing_record,
    cut_record,
    record_that_is_no_object,
    record_of_another_version,
    record_without_what_is_needed,
    entry_without_rows,
    entry_with_a_negative_size,
    entry_with_a_bad_hash,
    entry_with_seconds_of_another_form,
    entry_of_another_place,
    entries_swapped,
    changed_matched,
    changed_written,
    changed_skipped,
    changed_failed,
    changed_reasons,
    changed_failed_of_a_file,
    changed_reasons_of_a_file,
    changed_rows_of_a_file,
    removed_row,
    renamed_row,
    id_in_two_files,
    file_in_place_of_another,
    rows_out_of_order,
    vectors_not_finite,
    zero_vector,
    sizes_not_positive,
    hashes_malformed,
    wrong_dimension,
    wrong_dimension_of_the_first_file,
    wrong_dimension_of_a_model_that_declares_none,
    wrong_type,
    wrong_order_of_columns,
    other_footer,
    no_parquet,
    no_arrow,
    inputs_without_a_column,
    input_that_is_lost,
    missing_failures,
    removed_failure,
    renamed_failure,
    cut_failure,
    many_things_at_once,
]


def lists_of_other_lengths(run: Run) -> list[str]:
    (first,) = run.set_cells(FIRST_CLASSES, "class_label", {3: [None, None]})
    return [
        f"{FIRST_CLASSES}: class lists of other lengths, got 1 row, first {first!r}, wanted as "
        "many indices, labels and scores"
    ]


def no_classes(run: Run) -> list[str]:
    for column in ("class_index", "class_label", "score"):
        (first,) = run.set_cells(FIRST_CLASSES, column, {3: []})
    return [
        f"{FIRST_CLASSES}: class lists of other lengths, got 1 row, first {first!r}, wanted as "
        "many indices, labels and scores"
    ]


def indices_negative_or_null(run: Run) -> list[str]:
    ids = run.set_cells(FIRST_CLASSES, "class_index", {1: [0, -1, 2], 2: [None, 0, 1]})
    return [
        f"{FIRST_CLASSES}: class_index negative, got 2 rows, first {ids[0]!r}, wanted at least 0"
    ]


def indices_repeated(run: Run) -> list[str]:
    (first,) = run.set_cells(FIRST_CLASSES, "class_index", {5: [2, 0, 2]})
    return [
        f"{FIRST_CLASSES}: class_index repeated, got 1 row, first {first!r}, wanted each class "
        "once a row"
    ]


def scores_not_finite(run: Run) -> list[str]:
    cells = {0: [0.5, None, 0.1], 7: [np.inf, 0.5, 0.1], 8: [0.5, 0.2, np.nan]}
    ids = run.set_cells(FIRST_CLASSES, "score", cells)
    return [
        f"{FIRST_CLASSES}: score not finite, got 3 rows, first {ids[0]!r}, wanted no NaN and no Inf"
    ]


def scores_out_of_order(run: Run) -> list[str]:
    (first,) = run.set_cells(FIRST_CLASSES, "score", {9: [0.2, 0.3, 0.1]})
    return [
        f"{FIRST_CLASSES}: scores out of order, got 1 row, first {first!r}, wanted the best first"
    ]


CLASSES: list[Damage] = [
    lists_of_other_lengths,
    no_classes,
    indices_negative_or_null,
    indices_repeated,
    scores_not_finite,
    scores_out_of_order,
]


def carried_column_left_out(run: Run) -> list[str]:
    run.write_table(CARRIED, run.table(CARRIED).drop_columns("label"))
    own = "image_id, uri, embedding, width, height, content_sha256"
    return [f"{CARRIED}: columns, got {own}, tags, wanted {own}, label, tags"]


def carried_column_of_another_type(run: Run) -> list[str]:
    table = run.table(CARRIED)
    column = table["label"].cast(pa.string())
    run.write_table(CARRIED, table.set_column(6, "label", column))
    return [f"{CARRIED}: type of label, got string, wanted int64"]


def failure_of_a_file_lost(run: Run) -> list[str]:
    name = "_inputs/00000-of-00001.arrow"
    run.write_inputs(name, [])
    failed = run.path("_failures.jsonl").read_text()
    image_id = json.loads(failed)["image_id"]
    return [
        f"{name}: rows, got 0, wanted 1, the failures by _run.json",
        f"{name}: failures, got none, wanted decode/UnsupportedFormat 1, by _run.json",
        f"_failures.jsonl: image_ids, got 1 (first {image_id!r}) that did not fail, "
        "wanted failures only",
    ]


def id_twice_in_a_file(run: Run) -> list[str]:
    run.set_cells(CARRIED, "image_id", {3: "0.png", 4: "0.png"})
    return [
        f"{CARRIED}: image_ids, got 2 that an earlier row has, first '0.png' after {CARRIED}, "
        "wanted each in one row"
    ]


def carried_column_of_two_types(run: Run) -> list[str]:
    table = run.table(SECOND)
    column = table["list"].cast(pa.list_(pa.int32()))
    run.write_table(SECOND, table.set_column(6, "list", column))
    return [f"{SECOND}: type of list, got list<element: int32>, wanted list<element: int64>"]


CARRYING: list[Damage] = [
    carried_column_left_out,
    carried_column_of_another_type,
    failure_of_a_file_lost,
    id_twice_in_a_file,
]


def vector_of_another_length(run: Run) -> list[str]:
    examples = run.examples(FIRST_TFRECORD)
    examples[4].features.feature["embedding"].float_list.value.append(1)
    run.write_examples(FIRST_TFRECORD, examples)
    (first,) = examples[4].features.feature["image_id"].bytes_list.value
    return [
        f"{FIRST_TFRECORD}: embedding of another dimension, got 1 row, first "
        f"{first.decode()!r}, wanted 3 values"
    ]


def vector_of_another_length_than_the_first(run: Run) -> list[str]:
    run.change_record(lambda record: record["model"].update(output_dim=None))
    return vector_of_another_length(run)


def vectors_of_nan_and_zero(run: Run) -> list[str]:
    examples = run.examples(FIRST_TFRECORD)
    ids = []
    for row, values in ((2, [np.nan, 1, 1]), (3, [0, 0, 0])):
        feature = examples[row].features.feature
        feature["embedding"].float_list.value[:] = values
        ids.append(feature["image_id"].bytes_list.value[0].decode())
    run.write_examples(FIRST_TFRECORD, examples)
    return [
        f"{FIRST_TFRECORD}: embedding not finite, got 1 row, first {ids[0]!r}, wanted no NaN and "
        "no Inf",
        f"{FIRST_TFRECORD}: embedding all zero, got 1 row, first {ids[1]!r}, wanted vectors that "
        "are not 0 (or --allow_zero_vectors)",
    ]


def record_without_a_vector(run: Run) -> list[str]:
    examples = run.examples(FIRST_TFRECORD)
    del examples[1].features.feature["embedding"]
    run.write_examples(FIRST_TFRECORD, examples)
    return [
        f"{FIRST_TFRECORD}: unreadable, got 1 records have no feature embedding, wanted a file "
        "that can be read whole"
    ]


def record_with_a_wrong_checksum(run: Run) -> list[str]:
    content = bytearray(run.path(FIRST_TFRECORD).read_bytes())
    content[20] ^= 1
    run.path(FIRST_TFRECORD).write_bytes(content)
    run.seal(FIRST_TFRECORD)
    return [
        f"{FIRST_TFRECORD}: unreadable, got the checksum of the record's data is wrong, wanted a "
        "file that can be read whole"
    ]


TFRECORDS: list[Damage] = [
    vector_of_another_length,
    vector_of_another_length_than_the_first,
    vectors_of_nan_and_zero,
    record_without_a_vector,
    record_with_a_wrong_checksum,
]


def feature_that_is_foreign(run: Run) -> list[str]:
    examples = run.examples(CARRIED_TFRECORD)
    examples[2].features.feature["extra"].int64_list.value.append(1)
    run.write_examples(CARRIED_TFRECORD, examples)
    return [
        f"{CARRIED_TFRECORD}: features, got content_sha256, embedding, extra, height, image_id, "
        "label, tags, uri, width, wanted content_sha256, embedding, height, image_id, label, tags, "
        "uri, width"
    ]


def feature_that_is_left_out(run: Run) -> list[str]:
    examples = run.examples(CARRIED_TFRECORD)
    for example in examples:
        del example.features.feature["label"]
    run.write_examples(CARRIED_TFRECORD, examples)
    return [
        f"{CARRIED_TFRECORD}: features, got content_sha256, embedding, height, image_id, tags, "
        "uri, width, wanted content_sha256, embedding, height, image_id, label, tags, uri, width"
    ]


def feature_of_two_kinds(run: Run) -> list[str]:
    examples = run.examples(CARRIED_TFRECORD)
    examples[3].features.feature["label"].bytes_list.value.append(b"x")
    run.write_examples(CARRIED_TFRECORD, examples)
    reason = (
        "INVALID_ARGUMENT: Feature had wrong type, expected int64_list, found bytes_list for "
        'feature "label"'
    )
    return [f"{CARRIED_TFRECORD}: unreadable, got {reason}, wanted a file that can be read whole"]


CARRYING_TFRECORDS: list[Damage] = [
    feature_that_is_foreign,
    feature_that_is_left_out,
    feature_of_two_kinds,
]

CASES: dict[str, list[Damage]] = {
    "vectors-parquet": VECTORS,
    "classes-parquet": CLASSES,
    "carried-parquet": CARRYING,
    "lists-parquet": [carried_column_of_two_types],
    "vectors-tfrecord": TFRECORDS,
    "carried-tfrecord": CARRYING_TFRECORDS,
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name, damages in CASES.items() for damage in damages],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_each_damage_is_found_and_nothing_else(
    runs: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Damage,
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(runs / name, run.directory)
    wanted = damage(run)
    assert main([str(run.directory)]) == 1
    output = capsys.readouterr()
    assert output.out.splitlines() == [f"{run.directory}/{line}" for line in wanted]
    assert output.err == ""


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("vectors-parquet", "files 2, rows 40, failures 1, bytes {}, dimension 3"),
        ("vectors-tfrecord", "files 2, rows 40, failures 1, bytes {}, dimension 3"),
        ("half", "files 2, rows 40, failures 1, bytes {}, dimension 3"),
        ("retried", "files 2, rows 40, failures 1, bytes {}, dimension 3"),
        ("lists-parquet", "files 2, rows 6, failures 0, bytes {}, dimension 3"),
        ("carried-parquet", "files 1, rows 5, failures 1, bytes {}, dimension 3"),
        ("carried-tfrecord", "files 1, rows 5, failures 1, bytes {}, dimension 3"),
        ("classes-parquet", "files 2, rows 40, failures 1, bytes {}"),
        ("classes-tfrecord", "files 2, rows 40, failures 1, bytes {}"),
    ],
)
def test_a_good_run_is_one_line(
    runs: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, wanted: str
) -> None:
    size = sum(path.stat().st_size for path in (runs / name).glob("*-of-*"))
    assert main([f"{runs / name}/"]) == 0
    summary = wanted.format(f"{size:,}")
    assert capsys.readouterr() == (f"{runs / name}: all is well, {summary}\n", "")


def test_zero_vectors_may_be_allowed(
    runs: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(runs / "vectors-parquet", run.directory)
    zero_vector(run)
    assert main([str(run.directory), "--allow_zero_vectors"]) == 0
    assert "all is well" in capsys.readouterr().out


def test_of_a_refresh_root_the_run_is_checked_that_latest_names(
    runs: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(runs / "root", root)
    earlier, latest = sorted(path.name for path in root.iterdir() if path.is_dir())
    (root / earlier / "_SUCCESS").unlink()
    assert main([str(root)]) == 0
    line = f"{root}/{latest}: LATEST of {root}, all is well, files 2, rows 41, failures 1, bytes "
    assert capsys.readouterr().out.startswith(line)
    (root / "LATEST").write_text(f"{earlier}\n")
    assert main([str(root)]) == 1
    assert capsys.readouterr().out.startswith(f"{root}/{earlier}/_SUCCESS: missing, ")
    (root / "LATEST").write_text("the newest")
    assert main([str(root)]) == 1
    line = f"{root}/LATEST: content, got 'the newest', wanted the name of a run\n"
    assert capsys.readouterr().out == line


def test_files_that_a_refresh_has_linked_are_checked_too(
    runs: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, latest = sorted(path for path in (runs / "root").iterdir() if path.is_dir())
    linked = [name for name in (FIRST, SECOND) if (earlier / name).samefile(latest / name)]
    assert len(linked) == 1
    assert main([str(earlier), str(latest)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_every_run_is_checked_whatever_is_wrong_with_the_first(
    runs: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(runs / "vectors-parquet", run.directory)
    missing_success(run)
    good = runs / "classes-parquet"
    assert main([str(run.directory), str(good)]) == 1
    bad_line, good_line = capsys.readouterr().out.splitlines()
    assert bad_line.startswith(f"{run.directory}/_SUCCESS: missing")
    assert good_line.startswith(f"{good}: all is well, files 2")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (
            ["{runs}/half", "--allow_zero"],
            "unknown flag or argument --allow_zero; did you mean --allow_zero_vectors",
        ),
        (["{runs}/half", "{runs}/none"], "{runs}/none is no directory; wanted a run or a"),
        (["{runs}/train.parquet"], "{runs}/train.parquet is no directory; wanted a run or a"),
        (["{runs}/*"], "{runs}/* is no directory; here *, ? and [ are a name's own"),
        (["foo://bucket/run"], "foo://bucket/run cannot be listed: no file system is known"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(
    runs: pathlib.Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert main([word.format(runs=runs) for word in argv]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"verify: {message.format(runs=runs)}")
    assert (output.out, len(output.err.splitlines())) == ("", 1)


def test_a_run_in_a_bucket_is_checked_alike(
    runs: pathlib.Path, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    source = runs / "vectors-parquet"
    for path in source.rglob("*"):
        if path.is_file():
            cloud.put(f"run/{path.relative_to(source)}", path.read_bytes())
    uri = f"{cloud.uri}/run"
    assert main([uri]) == 0
    assert capsys.readouterr().out.startswith(f"{uri}: all is well, files 2, rows 40, failures 1")
    content = (source / FIRST).read_bytes()
    cloud.put(f"run/{FIRST}", content[:-1])
    cloud.put("run/notes.txt", b"123")
    assert main([f"{uri}/"]) == 1
    sizes = f"got {len(content) - 1} bytes, wanted {len(content)}"
    assert capsys.readouterr().out.splitlines() == [
        f"{uri}/notes.txt: foreign, got 3 bytes, wanted only files that _run.json names",
        f"{uri}/{FIRST}: size, {sizes}, by _run.json",
    ]
    assert main([f"{cloud.uri}/none"]) == 2
    assert "is no directory" in capsys.readouterr().err


def test_a_verification_imports_no_tensorflow(runs: pathlib.Path) -> None:
    code = f"""if True:
        import sys
        from pipelines.verify import main
        assert main([{str(runs / "vectors-tfrecord")!r}]) == 0
        assert "tensorflow" not in sys.modules"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
