"""What is found out of tars, Parquet and TFRecord before the work, and kept where it is not."""

import hashlib
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import embed
from tests.support.runs import (
    contents,
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    solid,
    vectors_of,
    write_examples,
)
from tests.support.tars import write_tar


def write_shards(folder: pathlib.Path, *, clash: int) -> None:
    """Writes two tars of 8 images; the keys of their images from `clash` on are the same."""
    folder.mkdir(exist_ok=True)
    for shard in range(2):
        keys = [f"{n if n >= clash else 10 * (shard + 1) + n:03d}" for n in range(8)]
        images = {f"{key}.png": solid(20 * n, 99 * shard, 7) for n, key in enumerate(keys)}
        write_tar(folder / f"{shard}.tar", {**images, "zzz.png": b"no image"})


def mark_vectors(staging: pathlib.Path) -> int:
    """Negates the vectors of all that is committed, so that those computed again are told."""
    rows = 0
    for path in staging.glob("*-of-*.json"):
        record = json.loads(path.read_text())
        data = staging / record["path"]
        table = pq.read_table(data)
        place = table.schema.get_field_index("embedding")
        vectors = pa.array([[-x for x in v] for v in table["embedding"].to_pylist()])
        field = table.schema.field("embedding")
        data.unlink()  # It may be linked to the file of an earlier run.
        pq.write_table(table.set_column(place, field, vectors.cast(field.type)), data)
        content = data.read_bytes()
        record["size_bytes"] = len(content)
        record["sha256"] = hashlib.sha256(content).hexdigest()
        path.write_text(json.dumps(record))
        rows += table.num_rows
    return rows


def test_equal_first_keys_are_told_before_any_work(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, out = tmp_path / "shards", tmp_path / "out"
    write_shards(shards, clash=0)
    argv = ["--input", str(shards), "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, out, *argv) == 2
    message = capsys.readouterr().err
    assert f"'000' is not unique: {shards}/0.tar#0 and {shards}/1.tar#0 both have it" in message
    assert "--image_id_from uri" in message
    assert list(tmp_path.iterdir()) == [shards]
    assert run_embed(mean_color, out, *argv, "--image_id_from", "uri") == 0


def test_equal_keys_found_late_cost_nothing_that_is_computed(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, out, full = (tmp_path / name for name in ("shards", "out", "full"))
    write_shards(shards, clash=6)
    argv = ["--input", str(shards), "--max_failed_fraction", "0.5"]
    more = ["--resume", "--image_id_from", "uri"]
    assert run_embed(mean_color, full, *argv, "--image_id_from", "uri") == 0
    for is_marked in (False, True):
        assert run_embed(mean_color, out, *argv) == 1
        message = capsys.readouterr().err
        assert "not unique" in message
        assert "--resume and another key, such as --image_id_from uri" in message
        if is_marked:
            assert mark_vectors(tmp_path / ".out.staging") == 16
        assert run_embed(mean_color, out, *argv, *more) == 0
        if is_marked:
            table = read(out)
            assert table["image_id"].to_pylist() == read(full)["image_id"].to_pylist()
            assert (vectors_of(table) == -vectors_of(read(full))).all()
        else:
            assert contents(out) == contents(full)
            assert "changes" not in read_record(out)
            assert read_record(out)["columns"]["image_id_from"] == "uri"
            for path in sorted(out.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()


def test_a_key_that_is_forgotten_is_not_dropped(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "shards", clash=8)
    argv = ["--input", str(tmp_path / "shards"), "--max_failed_fraction", "0"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--image_id_from", "uri") == 1
    argv[3] = "1"
    assert run_embed(mean_color, tmp_path / "out", *argv, "--resume") == 2
    assert 'columns.image_id_from was "uri", is null' in capsys.readouterr().err


def test_a_refresh_keeps_what_it_computed_too(tmp_path: pathlib.Path, mean_color: str) -> None:
    shards, root = tmp_path / "shards", tmp_path / "root"
    argv = ["--input", str(shards), "--max_failed_fraction", "0.5"]
    shards.mkdir()
    write_tar(shards / "earlier.tar", {"earlier.png": solid(1, 2, 3)})
    assert run_refresh(mean_color, root, *argv) == 0
    write_shards(shards, clash=6)
    assert run_refresh(mean_color, root, *argv) == 1
    assert mark_vectors(root / ".refresh.staging") == 17
    more = ["--resume", "--image_id_from", "uri", "--max_deleted_fraction", "1"]
    assert run_refresh(mean_color, root, *argv, *more) == 0
    table = read(latest(root))
    assert table["image_id"].to_pylist() == table["uri"].to_pylist()
    signs = dict(zip(table["uri"].to_pylist(), vectors_of(table).max(1) > 0, strict=True))
    # earlier.tar is taken from the earlier run, by which changes are counted.
    assert [uri for uri, positive in signs.items() if positive] == [f"{shards}/earlier.tar#0"]
    changes = read_record(latest(root))["changes"]
    assert (changes["new"], changes["deleted"]) == (19, 1)


def write_columns(folder: pathlib.Path, *columns: pa.Array) -> None:
    folder.mkdir(exist_ok=True)
    for number, column in enumerate(columns):
        images = [solid(n, 10 * number, 5) for n in range(len(column))]
        pq.write_table(pa.table({"image": images, "c": column}), folder / f"{number}.parquet")


def types_of(run: pathlib.Path) -> list[pa.DataType]:
    return [pq.read_schema(path).field("c").type for path in sorted(run.glob("*.parquet"))]


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_carried_column_has_one_type_in_every_file(
    tmp_path: pathlib.Path, mean_color: str, output_format: str
) -> None:
    write_columns(tmp_path / "in", pa.array([1, 2]), pa.nulls(2), pa.array([1.5, None]))
    argv = ["--input", str(tmp_path / "in"), "--carry_columns", "c"]
    out = tmp_path / "out"
    assert run_embed(mean_color, out, *argv, "--output_format", output_format) == 0
    assert read_record(out)["columns"]["carry_columns"] == {"c": "double"}
    if output_format == "parquet":
        assert types_of(out) == [pa.float64()] * 3
        assert read(out)["c"].to_pylist() == [1.0, 2.0, None, None, 1.5, None]


def test_a_refresh_and_a_resumed_run_have_the_type_of_now_in_every_file(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    folder, root, out = tmp_path / "in", tmp_path / "root", tmp_path / "out"
    write_columns(folder, pa.array([1, 2]), pa.nulls(1, pa.int64()))
    (folder / "damaged.parquet").write_bytes(b"no Parquet")
    argv = ["--input", str(folder), "--carry_columns", "c"]
    damaged = ["--max_failed_fraction", "0.5", "--allow_truncated_files"]
    assert run_refresh(mean_color, root, *argv, *damaged) == 0
    assert types_of(latest(root)) == [pa.int64()] * 3
    assert run_embed(mean_color, out, *argv) == 1
    assert mark_vectors(tmp_path / ".out.staging") == 3
    (folder / "damaged.parquet").unlink()
    write_columns(folder, pa.array([1, 2]), pa.nulls(1, pa.int64()), pa.array([0.5]))
    assert run_refresh(mean_color, root, *argv) == 0
    assert types_of(latest(root)) == [pa.float64()] * 3
    assert read_record(latest(root))["changes"]["reused"] == 3
    assert run_embed(mean_color, out, *argv, "--resume") == 0
    assert types_of(out) == [pa.float64()] * 3
    assert [value > 0 for value in vectors_of(read(out)).max(1)] == [False, False, False, True]


def test_columns_that_do_not_fit_together_are_told_before_any_work(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_columns(folder, pa.array([1, 2]), pa.array(["a"]))
    argv = ["--input", str(folder), "--carry_columns", "c"]
    assert run_embed(mean_color, out, *argv) == 2
    error = capsys.readouterr().err
    assert f"c: {folder}/0.parquet has int64, {folder}/1.parquet has string" in error
    write_columns(folder, pa.array([1, 2**53 + 1]), pa.array([0.5]))
    assert run_embed(mean_color, out, *argv) == 2
    assert f"{folder}/0.parquet has 9007199254740993, and" in capsys.readouterr().err
    pq.write_table(pa.table({"image": [solid(1, 1, 1)]}), folder / "1.parquet")
    assert run_embed(mean_color, out, *argv) == 2
    assert f"{folder}/1.parquet: no column 'c' (--carry_columns)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


def test_types_of_tars_and_tfrecords_are_not_those_of_the_first_file_alone(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, label in enumerate(("3", "cat")):
        members = {f"{n}.cls": label.encode(), f"{n}.png": solid(n, n, n)}
        write_tar(tmp_path / f"{n}.tar", members)
    write_tar(tmp_path / "2.tar", {"2.png": solid(2, 2, 2)})
    out = tmp_path / "out"
    carry = ["--carry_columns", "cls"]
    assert run_embed(mean_color, out, "--input", f"{tmp_path}/*.tar", *carry) == 0
    assert read(out)["cls"].to_pylist() == ["3", "cat", None]
    write_examples(tmp_path / "0.tfrecord", [solid(1, 1, 1)], names=False)
    write_examples(tmp_path / "1.tfrecord", [solid(2, 2, 2)], names=False, label=0.5)
    argv = ["--input", f"{tmp_path}/*.tfrecord", "--carry_columns", "label"]
    assert run_embed(mean_color, tmp_path / "none", *argv) == 2
    assert f"{tmp_path}/1.tfrecord has label: list<item: float>" in capsys.readouterr().err


@pytest.mark.parametrize("empty", [pa.table({}), pa.table({"image": pa.nulls(0), "c": [""][:0]})])
def test_a_table_without_rows_says_nothing_of_columns(
    tmp_path: pathlib.Path, mean_color: str, empty: pa.Table
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_columns(folder, pa.array([1]), pa.array([2]))
    pq.write_table(empty, folder / "0.parquet")
    assert run_embed(mean_color, out, "--input", str(folder), "--carry_columns", "c") == 0
    assert read(out)["c"].to_pylist() == [2]
    assert run_embed(mean_color, tmp_path / "plain", "--input", str(folder)) == 0


def test_the_first_file_may_lack_what_a_later_one_has(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tar(tmp_path / "0.tar", {"0.png": solid(0, 0, 0), "0.json": b'{"c": null}'})
    write_tar(tmp_path / "1.tar", {"1.png": solid(1, 1, 1), "1.json": b'{"c": "cat"}'})
    argv = ["--input", f"{tmp_path}/*.tar", "--carry_columns", "json.c"]
    assert run_embed(mean_color, tmp_path / "tars", *argv) == 0
    assert read(tmp_path / "tars")["json.c"].to_pylist() == [None, "cat"]
    write_examples(tmp_path / "0.tfrecord", [solid(1, 1, 1)], names=False)
    write_examples(tmp_path / "1.tfrecord", [solid(2, 2, 2)])
    argv = ["--input", f"{tmp_path}/*.tfrecord", "--carry_columns", "image/filename"]
    assert run_embed(mean_color, tmp_path / "records", *argv, "--image_id_from", "uri") == 0
    names = read(tmp_path / "records")["image/filename"].to_pylist()
    assert [len(name or ()) for name in names] == [0, 1]
    assert run_embed(mean_color, tmp_path / "none", *argv[:-1], "nothing") == 2
    assert "0.tfrecord: its first tf.Examples have no value for nothing" in capsys.readouterr().err


def test_a_manifest_of_nulls_has_the_type_that_another_says(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, value in enumerate((None, "cat", 3)):
        (tmp_path / f"{n}.png").write_bytes(solid(n, n, n))
        line = json.dumps({"uri": f"{n}.png", "c": value})
        (tmp_path / f"{n}.jsonl").write_text(line + "\n")
    (tmp_path / "empty.json").write_text("[]")
    argv = ["--carry_columns", "c", "--manifest", f"{tmp_path}/empty.json", f"{tmp_path}/0.jsonl"]
    assert run_embed(mean_color, tmp_path / "out", *argv, f"{tmp_path}/1.jsonl") == 0
    assert read(tmp_path / "out")["c"].to_pylist() == [None, "cat"]
    assert run_embed(mean_color, tmp_path / "none", *argv) == 2
    assert "column 'c' cannot be carried: its first 1000 rows hold" in capsys.readouterr().err


def test_records_without_the_image_key_are_told_before_any_work(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_examples(folder / "0.tfrecord", [solid(1, 1, 1)])
    argv = ["--input", str(folder), "--image_key", "image"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    error = capsys.readouterr().err
    assert "no value for image; they have image/encoded, image/filename, label" in error
    assert list(tmp_path.iterdir()) == [folder]


def test_a_run_is_not_completed_with_columns_of_another_type(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_columns(folder, pa.array([1, 2]), pa.array([3]))
    (folder / "damaged.parquet").write_bytes(b"no Parquet")
    argv = ["--input", str(folder), "--carry_columns", "c", "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, out, *argv, "--allow_truncated_files") == 0
    write_columns(folder, pa.array([1, 2]), pa.array([3.5]))
    assert embed.main(["--retry_failed", str(out), "--output", str(tmp_path / "new")]) == 2
    assert 'carry_columns.c was "int64", is "double"' in capsys.readouterr().err


def test_metadata_beside_tars_is_counted_as_skipped(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "laion", tmp_path / "out"
    write_shards(folder, clash=8)
    pq.write_table(pa.table({"url": ["u"], "key": ["k"]}), folder / "0.parquet")
    argv = ["--input", str(folder), "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, out, *argv) == 0
    assert read_record(out)["skipped_by_reason"] == {"Parquet without images": 1}
    assert "1 Parquet without images" in capsys.readouterr().out
    for n in range(2):
        (folder / f"{n}.tar").unlink()
    assert run_embed(mean_color, tmp_path / "none", *argv) == 2
    assert f"{folder}/0.parquet: no column 'image' (--image_key)" in capsys.readouterr().err
