"""--boxes of tar files: boxes in the JSON of a sample, as WebDataset has detection sets."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.images import encode, photo
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    vectors_of,
)
from tests.support.tars import write_tar

BOXES: dict[str, list[list[float]]] = {
    "empty": [],
    "a": [[0, 0, 80, 60], [20, 10, 30, 40], [50.5, 5, 20, 20]],
    "b": [[10, 10, 10, 10]],
    "none": [],
    "c": [[60, 40, 100, 100], [5, 5, 0, 9], [80, 0, 10, 10]],
}
"""Boxes by the key of a sample; its image has 60 x 80 pixels. Of c the last two are not right."""


def image_of(key: str) -> bytes:
    return encode(photo(60, 80, seed=ord(key[0])))


def labels_of(key: str) -> list[str]:
    return [f"{key}{number}" for number in range(len(BOXES[key]))]


def ids_of(key: str) -> list[int]:
    return list(range(len(BOXES[key])))


def as_lists(key: str) -> object:
    return {"boxes": BOXES[key], "label": labels_of(key), "id": ids_of(key), "source": f"set-{key}"}


def as_objects(key: str) -> object:
    """As COCO has its annotations."""
    every = zip(BOXES[key], labels_of(key), ids_of(key), strict=True)
    objects = [{"boxes": box, "label": label, "id": own} for box, label, own in every]
    return {"objects": objects, "source": f"set-{key}"}


def as_columns(key: str) -> object:
    sides = zip(*BOXES[key], strict=True) if BOXES[key] else [[]] * 4
    columns = dict(zip(("x", "y", "width", "height"), map(list, sides), strict=True))
    return {**columns, "label": labels_of(key), "id": ids_of(key), "source": f"set-{key}"}


FORMS: dict[str, tuple[Any, str, str]] = {
    "lists": (as_lists, "xywh=json.boxes", "json."),
    "objects": (as_objects, "xywh=json.objects.boxes", "json.objects."),
    "columns": (as_columns, "json.x,json.y,json.width,json.height", "json."),
}
"""How samples are written, --boxes of it, and where labels are."""


def write_samples(path: pathlib.Path, contents: dict[str, object], field: str = "json") -> None:
    """Writes an image and JSON a sample; what is bytes is written as it is, None not at all."""
    members: dict[str, bytes] = {}
    for key, content in contents.items():
        members[f"{key}.png"] = image_of(key)
        if isinstance(content, bytes):
            members[f"{key}.{field}"] = content
        elif content is not None:
            members[f"{key}.{field}"] = json.dumps(content).encode()
    write_tar(path, members)


def write_rows(path: pathlib.Path, keys: list[str]) -> None:
    """Writes the same as Parquet."""
    columns = {
        "image": [image_of(key) for key in keys],
        "image_id": keys,
        "boxes": pa.array([BOXES[key] for key in keys], pa.list_(pa.list_(pa.float64()))),
        "label": [labels_of(key) for key in keys],
        "id": [ids_of(key) for key in keys],
        "source": [f"set-{key}" for key in keys],
    }
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize("form", FORMS)
def test_boxes_of_a_tar_are_those_of_parquet(
    tmp_path: pathlib.Path, mean_color: str, form: str
) -> None:
    make, boxes, before = FORMS[form]
    write_samples(tmp_path / "x.tar", {key: make(key) for key in BOXES})
    write_rows(tmp_path / "x.parquet", list(BOXES))
    carried = [f"{before}label=label", f"{before}id=id", "json.source=source"]
    argv = ["--input", str(tmp_path / "x.tar"), "--boxes", boxes, "--carry_columns", *carried]
    argv += ["--max_failed_fraction", "0.5", "--batch_size", "2"]
    tar, parquet = tmp_path / "tar", tmp_path / "parquet"
    assert run_embed(mean_color, tar, *argv) == 0
    argv = ["--input", str(tmp_path / "x.parquet"), "--boxes", "xywh=boxes"]
    argv += ["--carry_columns", "label", "id", "source", "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, parquet, *argv, "--batch_size", "2") == 0
    made, expected = (read(run).drop_columns("uri") for run in (tar, parquet))
    assert made.equals(expected)
    assert made["label"].to_pylist() == ["a0", "a1", "a2", "b0", "c0"]
    assert made["id"].to_pylist() == [0, 1, 2, 0, 0]
    assert made["source"].to_pylist() == ["set-a"] * 3 + ["set-b", "set-c"]
    assert read_record(tar)["counts"] == read_record(parquet)["counts"]
    assert read_record(tar)["counts"]["skipped"] == 2
    failed = {failure["image_id"]: failure["error_type"] for failure in read_failures(tar)}
    assert failed == {"c#box-1": "EmptyBox", "c#box-2": "BoxOutside"}
    # The first is the whole image.
    whole = tmp_path / "whole"
    write_tar(tmp_path / "whole.tar", {"a.png": image_of("a")})
    assert run_embed(mean_color, whole, "--input", str(tmp_path / "whole.tar")) == 0
    assert np.abs(vectors_of(read(whole))[0] - vectors_of(made)[0]).max() < 1e-6


def test_a_sample_that_is_not_right_is_one_failure(tmp_path: pathlib.Path, mean_color: str) -> None:
    deep = b'{"boxes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    contents: dict[str, object] = {
        "good": {"boxes": [[1, 2, 30, 40]], "label": ["cat"]},
        "broken": b'{"boxes": [[1, 2, 30,',
        "deep": deep,
        "latin": '{"boxes": [], "label": ["\u00e9"]}'.encode("latin-1"),
        "scalar": {"boxes": 3, "label": ["cat"]},
        "text": {"boxes": "none", "label": ["cat"]},
        "three": {"boxes": [[1, 2, 30]], "label": ["cat"]},
        "fewer": {"boxes": [[1, 2, 30, 40], [1, 2, 30, 40]], "label": ["cat"]},
        "letters": {"boxes": [[1, 2, 30, 40]] * 3, "label": "cat"},
        "number": {"boxes": [[1, 2, 30, 40]], "label": [3]},
        "surrogate": b'{"boxes": [[1, 2, 30, 40]], "label": ["\\ud800"]}',
        "huge": {"boxes": [[10**400, 2, 30, 40]], "label": ["cat"]},
        "flat": b"3",
        "absent": {"label": []},
        "alone": None,
        "null": {"boxes": [[1, 2, 30, 40]], "label": None},
        "last": {"boxes": [[1, 2, 30, 40]], "label": ["dog"]},
    }
    write_samples(tmp_path / "x.tar", contents)
    argv = ["--input", str(tmp_path / "x.tar"), "--boxes", "xywh=json.boxes"]
    argv += ["--carry_columns", "json.label", "--max_failed_fraction", "1"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    table = read(tmp_path / "out")
    labels = dict(zip(table["image_id"].to_pylist(), table["json.label"].to_pylist(), strict=True))
    assert labels == {"good#box-0": "cat", "null#box-0": None, "last#box-0": "dog"}
    failures = {failure["image_id"]: failure for failure in read_failures(tmp_path / "out")}
    well = {"good", "absent", "alone", "null", "last"}
    assert failures.keys() == contents.keys() - well
    assert {failure["error_type"] for failure in failures.values()} == {"CorruptRecord"}
    assert "its json is not JSON" in failures["broken"]["message"]
    assert "2 boxes, and 1 values of 'json.label'" in failures["fewer"]["message"]
    assert "'none' is no list<item: list<item: double>>" in failures["text"]["message"]
    skipped = read_record(tmp_path / "out")["skipped_by_reason"]
    assert skipped == {"without boxes": 2}


def test_values_in_json_are_carried_and_make_ids_without_boxes(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    first = {"uid": 7, "score": 1, "size": {"height": 60}, "tags": [], "json": True}
    second = {"uid": "x", "score": 0.5, "size": {"height": 61}, "tags": ["new"], "json": None}
    write_samples(tmp_path / "x.tar", {"a": first, "b": second})
    names = ["json.score", "json.size.height=high", "json.tags", "json.json", "json"]
    argv = ["--input", str(tmp_path / "x.tar"), "--image_id_from", "json.uid"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--carry_columns", *names) == 0
    table = read(tmp_path / "out")
    assert table["image_id"].to_pylist() == ["7", "x"]
    assert table["json.score"].to_pylist() == [1.0, 0.5]
    assert table["high"].to_pylist() == [60, 61]
    assert table["json.tags"].to_pylist() == [[], ["new"]]
    assert table["json.json"].to_pylist() == [True, None]
    assert json.loads(table["json"].to_pylist()[0]) == first


def test_types_in_json_are_those_that_hold_all_first_files(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_samples(tmp_path / "0.tar", {"a": {"n": 1}})
    write_samples(tmp_path / "1.tar", {"b": {"n": 1.5}})
    argv = ["--input", str(tmp_path / "*.tar"), "--carry_columns", "json.n"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out")["json.n"].to_pylist() == [1.0, 1.5]
    write_samples(tmp_path / "1.tar", {"b": {"n": "one"}})
    assert run_embed(mean_color, tmp_path / "again", *argv) == 2
    said = capsys.readouterr().err
    assert "0.tar has int64" in said
    assert "1.tar has string" in said


def test_a_file_whose_first_samples_have_no_boxes_does_not_tell_types(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_samples(tmp_path / "0.tar", {"empty": as_lists("empty"), "none": as_lists("none")})
    write_samples(tmp_path / "1.tar", {"a": as_lists("a")})
    argv = ["--input", str(tmp_path / "*.tar"), "--boxes", "xywh=json.boxes"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--carry_columns", "json.label") == 0
    assert read(tmp_path / "out")["json.label"].to_pylist() == ["a0", "a1", "a2"]


def test_a_tar_without_such_a_key_is_passed_over_while_another_has_boxes(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_samples(tmp_path / "0.tar", {"empty": {"caption": "no boxes"}})
    argv = ["--input", str(tmp_path / "*.tar"), "--boxes", "xywh=json.boxes"]
    argv += ["--carry_columns", "json.label"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "0.tar: its first samples have no json.label" in capsys.readouterr().err
    write_samples(tmp_path / "1.tar", {"a": as_lists("a")})
    write_samples(tmp_path / "2.tar", {"none": None})
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out")["json.label"].to_pylist() == ["a0", "a1", "a2"]
    assert read_record(tmp_path / "out")["skipped_by_reason"] == {"without boxes": 2}


def test_fields_and_names_may_have_dots(tmp_path: pathlib.Path, mean_color: str) -> None:
    objects = {"my.boxes": BOXES["a"], "Label": labels_of("a")}
    write_samples(tmp_path / "x.tar", {"a": {"all.objects": objects}}, "ann.json")
    argv = ["--input", str(tmp_path / "x.tar"), "--boxes", "xywh=ann.json.all.objects.my.boxes"]
    argv += ["--carry_columns", "ann.json.all.objects.Label=label"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out")["label"].to_pylist() == labels_of("a")


@pytest.mark.parametrize(
    ("content", "boxes", "said"),
    [
        (as_lists("a"), "xywh=json.bbox", "json.boxes, json.id"),
        (as_lists("a"), "xywh=json.label", "hold list<item: string> there"),
        (as_lists("a"), "xywh=json", "numbers inside of JSON, as json.boxes"),
        (as_lists("none"), "xywh=json.boxes", "hold list<item: null> there"),
        (b"no json", "xywh=json.boxes", "have no json.boxes"),
    ],
)
def test_what_has_no_boxes_is_refused_before_any_work(
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
    content: object,
    boxes: str,
    said: str,
) -> None:
    write_samples(tmp_path / "x.tar", {"a": content})
    argv = ["--input", str(tmp_path / "x.tar"), "--boxes", boxes]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert said in capsys.readouterr().err


def test_a_zip_has_no_boxes(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\5\6" + bytes(18))
    argv = ["--input", str(tmp_path / "x.zip"), "--boxes", "x,y,width,height"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "x.zip: boxes are taken of manifests, and of TFRecord, Parquet or tar" in (
        capsys.readouterr().err
    )


def test_a_refresh_of_tars_keeps_and_moves_boxes(tmp_path: pathlib.Path, mean_color: str) -> None:
    root, path = tmp_path / "root", tmp_path / "x.tar"
    argv = ["--input", str(path), "--boxes", "xywh=json.boxes", "--carry_columns", "json.label"]
    good = {key: as_lists(key) for key in ("empty", "a", "b")}
    write_samples(path, good)
    assert run_refresh(mean_color, root, *argv) == 0
    more = {"boxes": [[1, 1, 9, 9], [10, 10, 10, 10]], "label": ["new", "b0"]}
    write_samples(path, {**good, "b": more})
    assert run_refresh(mean_color, root, *argv) == 0
    assert read(latest(root))["json.label"].to_pylist() == ["a0", "a1", "a2", "new", "b0"]
    assert read_record(latest(root))["changes"]["reused"] == 4


def test_the_same_boxes_of_a_tar_give_the_same_files(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_samples(tmp_path / "x.tar", {key: as_lists(key) for key in BOXES})
    argv = ["--input", str(tmp_path / "x.tar"), "--boxes", "xywh=json.boxes"]
    argv += ["--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert run_embed(mean_color, tmp_path / "again", *argv, "--direct_num_workers", "1") == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "again")
