"""Carried columns that get other names, because the output has their own."""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import verify
from tests.support.runs import (
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    solid,
    write_examples,
    write_photos,
)
from tests.support.tars import write_tar


def write_parquet(path: pathlib.Path) -> None:
    columns = {"image_id": ["a", "b"], "width": [640, 800], "score": [3, 5]}
    pq.write_table(pa.table({"image": [solid(1, 0, 0), solid(2, 0, 0)], **columns}), path)


def test_columns_of_parquet_and_manifests_get_the_names_that_they_are_given(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_parquet(tmp_path / "a.parquet")
    (name,) = write_photos(tmp_path / "photos", 1)
    row = {"uri": f"photos/{name}", "image_id": "c", "width": 320, "score": 0.5}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    argv = ["--input", str(tmp_path / "a.parquet"), "--manifest", str(tmp_path / "m.jsonl")]
    argv += ["--carry_columns", "width=orig_width", "score=judged"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    made = {row["image_id"]: row for row in read(tmp_path / "out").to_pylist()}
    found = [(made[key]["orig_width"], made[key]["judged"]) for key in "abc"]
    assert found == [(640, 3.0), (800, 5.0), (320, 0.5)]
    columns = read_record(tmp_path / "out")["columns"]
    assert columns["carry_columns"] == {"orig_width": "int64", "judged": "double"}
    assert columns["carried_from"] == {"orig_width": "width", "judged": "score"}
    assert verify.main([str(tmp_path / "out")]) == 0


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_features_get_the_names_that_they_are_given(
    tmp_path: pathlib.Path, mean_color: str, output_format: str
) -> None:
    write_examples(tmp_path / "a.tfrecord", [solid(n, 9, 9) for n in range(3)], names=False)
    argv = ["--input", str(tmp_path / "a.tfrecord"), "--carry_columns", "label=n"]
    argv += ["--output_format", output_format]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert verify.main([str(tmp_path / "out")]) == 0
    if output_format == "parquet":
        assert read(tmp_path / "out").column("n").to_pylist() == [[0], [1], [2]]


def test_fields_of_a_tar_get_the_names_that_they_are_given(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    members = {"a.png": solid(1, 0, 0), "a.cls": b"7", "a.txt": b"red"}
    write_tar(tmp_path / "a.tar", members)
    argv = ["--input", str(tmp_path / "a.tar"), "--carry_columns", "cls=label", "txt"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    (row,) = read(tmp_path / "out").to_pylist()
    assert (row["label"], row["txt"]) == (7, "red")


def test_a_refresh_follows_a_name_that_is_given_to_another_column(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_parquet(tmp_path / "a.parquet")
    argv = ["--input", str(tmp_path / "a.parquet"), "--carry_columns"]
    assert run_refresh(mean_color, tmp_path / "root", *argv, "width=n") == 0
    assert read(latest(tmp_path / "root")).column("n").to_pylist() == [640, 800]
    assert run_refresh(mean_color, tmp_path / "root", *argv, "score=n") == 0
    assert read(latest(tmp_path / "root")).column("n").to_pylist() == [3, 5]
    assert read_record(latest(tmp_path / "root"))["changes"]["reused"] == 2


def test_a_name_that_the_output_has_is_refused_with_the_cure(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parquet(tmp_path / "a.parquet")
    argv = ["--input", str(tmp_path / "a.parquet"), "--carry_columns"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "width") == 2
    assert (
        "--carry_columns width: the output has a column width; width=NAME carries it as NAME"
        in capsys.readouterr().err
    )
    assert run_embed(mean_color, tmp_path / "out", *argv, "WIDTH") == 2
    assert "has a column width; WIDTH=NAME carries it as NAME" in capsys.readouterr().err
    assert run_embed(mean_color, tmp_path / "out", *argv, "width=uri") == 2
    assert "has a column " in capsys.readouterr().err
    assert run_embed(mean_color, tmp_path / "out", *argv, "height=h") == 2
    assert "no column 'height' (--carry_columns), or several" in capsys.readouterr().err


def test_a_list_without_rows_has_nothing_to_rename(tmp_path: pathlib.Path, mean_color: str) -> None:
    (tmp_path / "m.json").write_text("[]")
    write_photos(tmp_path / "photos", 1)
    argv = ["--manifest", str(tmp_path / "m.json"), "--carry_columns", "width=w"]
    assert run_embed(mean_color, tmp_path / "out", "--input", f"{tmp_path}/photos", *argv) == 0
    assert "w" not in read(tmp_path / "out").column_names
