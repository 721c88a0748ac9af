"""--boxes: a row for each box, of lists of images and of files that hold images."""

import collections
import json
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

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
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

Boxes = list[tuple[int, int, int, int]]
"""Of an image: x, y, width and height, in pixels."""

IMAGES: dict[str, Boxes] = {
    "a.png": [(0, 0, 80, 60), (20, 10, 30, 40), (50, 5, 20, 20)],
    "b.png": [(10, 10, 10, 10)],
    "c.png": [],
    "d.png": [(60, 40, 100, 100), (5, 5, 0, 9), (80, 0, 10, 10)],
}
"""Images of 60 x 80 pixels. Of d.png the first box is partly outside, the others are not right."""


def pixels_of(name: str) -> npt.NDArray[Any]:
    return photo(60, 80, seed=ord(name[0]))


def write_images(folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in IMAGES:
        (folder / name).write_bytes(encode(pixels_of(name)))


def write_list(path: pathlib.Path, images: dict[str, Boxes]) -> str:
    """Writes a csv whose images take turns, so that their boxes do not follow one another."""
    lines = ["uri,x,y,width,height,label"]
    most = max(map(len, images.values()))
    for number in range(most):
        for name, boxes in images.items():
            if number < len(boxes):
                lines.append(",".join(map(str, (name, *boxes[number], f"{name[0]}{number}"))))
            elif number == 0:
                lines.append(f"{name},,,,,none")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def expected_vectors(images: dict[str, Boxes]) -> dict[str, npt.NDArray[Any]]:
    """Returns what the model of mean colours makes of ready crops, by the end of the image_id."""
    preprocess = Preprocessor(Preprocessing(image_size=(24, 24)))
    found = {}
    for name, boxes in images.items():
        for number, (x, y, width, height) in enumerate(boxes):
            crop = pixels_of(name)[y : y + height, x : x + width]
            if crop.size:
                pixels = preprocess([encode(np.ascontiguousarray(crop))]).pixels
                found[f"{name}#box-{number}"] = pixels.mean((0, 1, 2))
    return found


def check_rows(run: pathlib.Path, images: dict[str, Boxes]) -> pa.Table:
    """Checks that the rows are the boxes, and their vectors those of ready crops."""
    table = read(run)
    expected = expected_vectors(images)
    names = [image_id.rpartition("/")[2] for image_id in table["image_id"].to_pylist()]
    assert sorted(names) == sorted(expected)
    for name, vector in zip(names, vectors_of(table), strict=True):
        assert abs(vector - expected[name]).max() < 1e-5
    return table


def test_each_box_of_a_list_is_a_row(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path)
    out = tmp_path / "out"
    listed = write_list(tmp_path / "list.csv", IMAGES)
    argv = ["--manifest", listed, "--boxes", "x,y,width,height", "--carry_columns", "label"]
    assert run_embed(mean_color, out, *argv, "--max_failed_fraction", "0.5") == 0
    table = check_rows(out, IMAGES)
    rows = {row["image_id"].rpartition("/")[2]: row for row in table.to_pylist()}
    second = rows["a.png#box-1"]
    assert second["label"] == "a1"
    assert [second[f"box_{side}"] for side in ("x", "y", "width", "height")] == [20, 10, 30, 40]
    assert (second["height"], second["width"]) == (60, 80)
    assert second["uri"] == str(tmp_path / "a.png")
    assert len(set(table["content_sha256"].to_pylist())) == table.num_rows
    failed = {failure["image_id"][-5:]: failure["error_type"] for failure in read_failures(out)}
    assert failed == {"box-1": "EmptyBox", "box-2": "BoxOutside"}
    record = read_record(out)
    assert record["counts"]["matched"] == 8
    assert (record["counts"]["written"], record["counts"]["failed"]) == (5, 2)
    assert "1 without boxes" in capsys.readouterr().out


def test_an_image_that_cannot_be_read_fails_each_of_its_boxes(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_images(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no image")
    (tmp_path / "b.png").unlink()
    listed = write_list(tmp_path / "list.csv", IMAGES)
    argv = ["--manifest", listed, "--boxes", "x,y,width,height", "--max_failed_fraction", "1"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    reasons = collections.Counter(
        f"{failure['step']}/{failure['error_type']}" for failure in read_failures(tmp_path / "out")
    )
    assert reasons == {
        "decode/UnsupportedFormat": 3,
        "read/NotFound": 1,
        "decode/EmptyBox": 1,
        "decode/BoxOutside": 1,
    }


@pytest.mark.parametrize("batch_size", ["1", "2", "32"])
def test_batches_and_workers_change_nothing(
    tmp_path: pathlib.Path, mean_color: str, batch_size: str
) -> None:
    write_images(tmp_path)
    good = {name: boxes[:1] if name == "d.png" else boxes for name, boxes in IMAGES.items()}
    listed = write_list(tmp_path / "list.csv", good)
    argv = ["--manifest", listed, "--boxes", "x,y,width,height", "--batch_size", batch_size]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    check_rows(tmp_path / "out", good)


def write_records(path: pathlib.Path, images: dict[str, Boxes]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, boxes in images.items():
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(encode(pixels_of(name)))
            feature["image/filename"].bytes_list.value.append(name.encode())
            for number, (x, y, width, height) in enumerate(boxes):
                side = "image/object/bbox/"
                feature[f"{side}xmin"].float_list.value.append(x / 80)
                feature[f"{side}ymin"].float_list.value.append(y / 60)
                feature[f"{side}xmax"].float_list.value.append((x + width) / 80)
                feature[f"{side}ymax"].float_list.value.append((y + height) / 60)
                feature["image/object/class/label"].int64_list.value.append(number)
            writer.write(example.SerializeToString())


def test_each_box_of_a_record_is_a_row(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_records(tmp_path / "x.tfrecord", IMAGES)
    argv = ["--input", str(tmp_path / "x.tfrecord"), "--boxes", "yxyx=image/object/bbox"]
    argv += ["--carry_columns", "image/object/class/label", "image/filename=name"]
    out = tmp_path / "out"
    assert run_embed(mean_color, out, *argv, "--max_failed_fraction", "0.5") == 0
    table = check_rows(out, IMAGES)
    rows = {row["image_id"]: row for row in table.to_pylist()}
    second = rows["a.png#box-1"]
    assert second["image/object/class/label"] == [1]
    assert second["name"] == [b"a.png"]
    assert second["uri"] == f"{tmp_path}/x.tfrecord#0"
    assert second["box_xmax"] == pytest.approx(50 / 80)
    failed = {failure["image_id"]: failure["error_type"] for failure in read_failures(out)}
    assert failed == {"d.png#box-1": "EmptyBox", "d.png#box-2": "BoxOutside"}
    assert read_record(out)["counts"] == {"matched": 8, "written": 5, "failed": 2, "skipped": 1}


@pytest.mark.parametrize("form", ["lists", "lists of lists", "one a row"])
def test_each_box_of_a_row_of_parquet_is_a_row(
    tmp_path: pathlib.Path, mean_color: str, form: str
) -> None:
    good = {name: boxes[:1] if name == "d.png" else boxes for name, boxes in IMAGES.items()}
    images = [encode(pixels_of(name)) for name in good]
    labels = [[f"{name[0]}{n}" for n in range(len(boxes))] for name, boxes in good.items()]
    columns: dict[str, Any] = {"image": images, "image_id": list(good), "label": labels}
    match form:
        case "lists":
            columns |= {
                side: [[box[place] for box in boxes] for boxes in good.values()]
                for place, side in enumerate(("x", "y", "width", "height"))
            }
        case "lists of lists":
            columns["bbox"] = [[list(map(float, box)) for box in b] for b in good.values()]
        case "one a row":
            good = {name: boxes[:1] for name, boxes in good.items()}
            columns["label"] = [name[0] + "0" for name in good]
            columns["bbox"] = [list(boxes[0]) if boxes else None for boxes in good.values()]
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    boxes = "x,y,width,height" if form == "lists" else "xywh=bbox"
    argv = ["--input", str(tmp_path / "x.parquet"), "--boxes", boxes, "--carry_columns", "label"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    table = check_rows(tmp_path / "out", good)
    for row in table.to_pylist():
        name, _, number = row["image_id"].rpartition("#box-")
        assert row["label"] == f"{name[0]}{number}"


def test_an_image_whose_boxes_and_labels_differ_in_number_is_one_failure(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    columns = {
        "image": [encode(pixels_of("a"))] * 2,
        "image_id": ["good", "bad"],
        "bbox": [[[0.0, 0.0, 9.0, 9.0]], [[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 5.0, 5.0]]],
        "label": [["cat"], ["cat"]],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    argv = ["--input", str(tmp_path / "x.parquet"), "--boxes", "xywh=bbox"]
    argv += ["--carry_columns", "label", "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    (failure,) = read_failures(tmp_path / "out")
    assert failure["image_id"] == "bad"
    assert "2 boxes, and 1 values of 'label'" in failure["message"]


def test_boxes_in_json_may_be_lists_and_tfrecord_holds_them(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_images(tmp_path)
    good = {name: boxes[:1] if name == "d.png" else boxes for name, boxes in IMAGES.items()}
    lines = [json.dumps({"uri": name, "bbox": boxes}) for name, boxes in good.items()]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    argv = ["--manifest", str(tmp_path / "list.jsonl"), "--boxes", "xywh=bbox"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    check_rows(tmp_path / "out", good)
    again = tmp_path / "again"
    assert run_embed(mean_color, again, *argv, "--output_format", "tfrecord") == 0
    assert read_record(again)["counts"]["written"] == read(tmp_path / "out").num_rows


def test_boxes_of_a_list_are_numbered_in_its_order(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_images(tmp_path)
    images: dict[str, Boxes] = {"a.png": [(9, 0, 20, 20), (10, 0, 20, 20), (3, 0, 20, 20)]}
    lines = [{"uri": "a.png", "bbox": images["a.png"]}, {"uri": "a.png", "bbox": [1, 1, 9, 9]}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)))
    argv = ["--manifest", str(tmp_path / "list.jsonl"), "--boxes", "xywh=bbox"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    check_rows(tmp_path / "out", {"a.png": [*images["a.png"], (1, 1, 9, 9)]})


def test_a_refresh_computes_the_boxes_that_moved_and_keeps_the_others(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_images(tmp_path)
    root = tmp_path / "root"
    argv = ["--manifest", str(tmp_path / "list.csv"), "--boxes", "x,y,width,height"]
    argv += ["--carry_columns", "label"]
    first: dict[str, Boxes] = {
        "a.png": [(0, 0, 80, 60), (20, 10, 30, 40), (50, 5, 20, 20)],
        "b.png": [(10, 10, 10, 10), (1, 1, 9, 9)],
    }
    write_list(tmp_path / "list.csv", first)
    assert run_refresh(mean_color, root, *argv) == 0
    check_rows(latest(root), first)
    # One more in front, one that moved, one that is gone; of b.png the two have changed places.
    second: dict[str, Boxes] = {
        "a.png": [(3, 3, 20, 20), (0, 0, 80, 60), (20, 10, 30, 41)],
        "b.png": [(1, 1, 9, 9), (10, 10, 10, 10)],
    }
    write_list(tmp_path / "list.csv", second)
    assert run_refresh(mean_color, root, *argv) == 0
    check_rows(latest(root), second)
    changes = read_record(latest(root))["changes"]
    assert changes["reused"] == 3
    write_list(tmp_path / "list.csv", second)
    assert run_refresh(mean_color, root, *argv) == 0
    changes = read_record(latest(root))["changes"]
    assert (changes["unchanged"], changes["reused"]) == (5, 5)
    # Another margin is another recipe.
    assert run_refresh(mean_color, root, *argv, "--box_margin", "0.2") == 0
    assert read_record(latest(root))["changes"]["reused"] == 0


def test_a_refresh_of_records_keeps_and_moves_boxes(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    root, argv = tmp_path / "root", ["--input", str(tmp_path / "x.tfrecord")]
    argv += ["--boxes", "yxyx=image/object/bbox", "--carry_columns", "image/object/class/label"]
    first = {name: boxes for name, boxes in IMAGES.items() if name != "d.png"}
    write_records(tmp_path / "x.tfrecord", first)
    assert run_refresh(mean_color, root, *argv) == 0
    second = first | {"b.png": [(11, 10, 10, 10), (10, 10, 10, 10)]}
    write_records(tmp_path / "x.tfrecord", second)
    assert run_refresh(mean_color, root, *argv) == 0
    table = check_rows(latest(root), second)
    assert table["image_id"].to_pylist() == [
        *(f"a.png#box-{n}" for n in range(3)),
        *(f"b.png#box-{n}" for n in range(2)),
    ]
    assert read_record(latest(root))["changes"]["reused"] == 4


def test_equal_boxes_of_equal_images_share_one_inference(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encode(pixels_of("a.png")))
    same: Boxes = [(0, 0, 20, 20), (5, 5, 20, 20)]
    listed = write_list(tmp_path / "list.csv", {"a.png": same, "b.png": [*same, same[0]]})
    argv = ["--manifest", listed, "--boxes", "x,y,width,height"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--deduplicate") == 0
    assert run_embed(mean_color, tmp_path / "plain", *argv) == 0
    assert read_record(tmp_path / "out")["changes"]["duplicate"] == 3
    made, expected = (
        read(run).sort_by("image_id") for run in (tmp_path / "out", tmp_path / "plain")
    )
    assert made["image_id"].equals(expected["image_id"])
    assert abs(vectors_of(made) - vectors_of(expected)).max() < 1e-6


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--box_margin", "0.1"], "--box_margin is of --boxes"),
        (["--boxes", "x,y,width,height", "--box_margin", "-1"], "must be from 0 to 10"),
        (["--boxes", "bbox"], "wanted four columns"),
        (["--boxes", "xywh=left,top,w,h"], "no column 'left'"),
        (["--boxes", "x,y,width,height", "--carry_columns", "label=box_x"], "box_x"),
    ],
)
def test_flags_that_cannot_work_say_why(
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    said: str,
) -> None:
    write_images(tmp_path)
    listed = write_list(tmp_path / "list.csv", IMAGES)
    assert run_embed(mean_color, tmp_path / "out", "--manifest", listed, *argv) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_images_of_a_directory_have_no_boxes(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "photos")
    argv = ["--input", str(tmp_path / "photos"), "--boxes", "x,y,width,height"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "have no boxes of their own" in capsys.readouterr().err


def test_the_same_boxes_give_the_same_files(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_images(tmp_path)
    listed = write_list(tmp_path / "list.csv", IMAGES)
    argv = ["--manifest", listed, "--boxes", "x,y,width,height", "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert run_embed(mean_color, tmp_path / "again", *argv, "--direct_num_workers", "1") == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--boxes", "yxyx=bbox"], "--boxes yxyx=bbox: the first files cannot be read"),
        (["--carry_columns", "label"], "the types of --carry_columns are not known"),
    ],
)
def test_files_that_cannot_be_read_tell_no_columns(
    argv: list[str],
    said: str,
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.tfrecord").write_bytes(b"damaged" * 9)
    inputs = ["--input", str(tmp_path / "*.tfrecord")]
    assert run_embed(mean_color, tmp_path / "out", *inputs, *argv) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "b.tfrecord" in told
