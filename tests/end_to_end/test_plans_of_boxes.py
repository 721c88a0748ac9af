"""--plan beside --boxes: rows are boxes, foretold and then counted in the run."""

import json
import pathlib
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.support.images import encode, photo
from tests.support.runs import latest, read_record, run_embed, run_refresh
from tests.support.tars import write_tar

Boxes = list[tuple[int, int, int, int]]
Capsys = pytest.CaptureFixture[str]

IMAGE = encode(photo(30, 40), "JPEG")


def draw_boxes(images: int, seed: int = 0) -> list[Boxes]:
    """Draws 0 to 6 boxes an image; some of them are outside of it."""
    chance = random.Random(seed)
    return [
        [(chance.randrange(45), 5, 10, 12) for _ in range(chance.randrange(7))]
        for _ in range(images)
    ]


def write_parquet(path: pathlib.Path, boxes: list[Boxes]) -> list[str]:
    columns = {
        "image": [IMAGE] * len(boxes),
        "image_id": [f"{path.stem}-{n}" for n in range(len(boxes))],
        "bbox": pa.array(boxes, pa.list_(pa.list_(pa.int64()))),
    }
    pq.write_table(pa.table(columns), path, row_group_size=100)
    return ["--boxes", "xywh=bbox"]


def write_records(path: pathlib.Path, boxes: list[Boxes]) -> list[str]:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, own in enumerate(boxes):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(IMAGE)
            feature["image/filename"].bytes_list.value.append(f"{path.stem}-{number}".encode())
            for x, y, width, height in own:
                for side, share in {
                    "xmin": x / 40,
                    "ymin": y / 30,
                    "xmax": (x + width) / 40,
                    "ymax": (y + height) / 30,
                }.items():
                    feature[f"image/object/bbox/{side}"].float_list.value.append(share)
            writer.write(example.SerializeToString())
    return ["--boxes", "yxyx=image/object/bbox"]


def write_samples(path: pathlib.Path, boxes: list[Boxes]) -> list[str]:
    members = {}
    for number, own in enumerate(boxes):
        members[f"{path.stem}-{number}.jpg"] = IMAGE
        members[f"{path.stem}-{number}.json"] = json.dumps({"bbox": own}).encode()
    write_tar(path, members)
    return ["--boxes", "xywh=json.bbox"]


WRITERS = {"tar": write_samples, "parquet": write_parquet, "tfrecord": write_records}


def rows_of(run: pathlib.Path) -> int:
    """Returns how many rows a run made, written or failed."""
    counts = read_record(run)["counts"]
    return counts["written"] + counts["failed"]


def foretell(model: str, output: pathlib.Path, argv: list[str], capsys: Capsys) -> dict[str, Any]:
    """Plans a run, which writes nothing; returns the facts."""
    capsys.readouterr()
    assert run_embed(model, output, *argv, "--plan", "--json") == 0
    assert not output.exists()
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


@pytest.mark.parametrize("kind", WRITERS)
def test_small_files_are_counted(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys, kind: str
) -> None:
    boxes = draw_boxes(40)
    argv = WRITERS[kind](tmp_path / f"x.{kind}", boxes)
    argv += ["--input", str(tmp_path / f"x.{kind}"), "--max_failed_fraction", "0.5"]
    out = tmp_path / "out"
    said = foretell(mean_color, out, argv, capsys)
    rows = sum(map(len, boxes))
    assert (said["images"], said["rows"], said["images_to_compute"]) == (40, rows, rows)
    assert said["rows_are_counted"]
    assert said["sample"]["images"] == rows
    assert run_embed(mean_color, out, *argv, "--plan") == 0
    assert f"matched   {rows} boxes of 40 images, " in (text := capsys.readouterr().out)
    assert f"sample    {rows} boxes here, " in text
    assert run_embed(mean_color, out, *argv) == 0
    assert rows_of(out) == rows
    record = read_record(out)
    assert record["counts"]["failed"] == said["sample"]["failed"] > 0
    size_bytes = sum(entry["size_bytes"] for entry in record["files"])
    assert said["output_bytes"] == pytest.approx(size_bytes, rel=0.05)


@pytest.mark.parametrize("kind", WRITERS)
def test_large_files_are_estimated(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys, kind: str
) -> None:
    every = [draw_boxes(900, seed) for seed in range(2)]
    for number, boxes in enumerate(every):
        argv = WRITERS[kind](tmp_path / f"{number}.{kind}", boxes)
    argv += ["--input", str(tmp_path / f"*.{kind}"), "--max_failed_fraction", "1"]
    argv += ["--direct_num_workers", "2"]  # A sample grows with the threads.
    said = foretell(mean_color, tmp_path / "out", argv, capsys)
    rows = sum(len(own) for boxes in every for own in boxes)
    assert not said["rows_are_counted"]
    assert said["rows"] == pytest.approx(rows, rel=0.1)
    assert said["images"] == pytest.approx(1800, rel=0.02)
    # A sample is of so many boxes, not of the boxes of so many images.
    assert 512 <= said["sample"]["images"] < rows / 3
    assert said["seconds"] > said["rows"] / said["sample"]["images_per_second"]


def test_boxes_of_a_list_are_its_rows_and_images_count_once(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    boxes = draw_boxes(30)
    lines = []
    for number, own in enumerate(boxes):
        (tmp_path / f"{number}.jpg").write_bytes(IMAGE)
        lines.append(json.dumps({"uri": f"{number}.jpg", "bbox": own}))
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    argv = ["--manifest", str(tmp_path / "list.jsonl"), "--boxes", "xywh=bbox"]
    argv += ["--max_failed_fraction", "0.5"]
    said = foretell(mean_color, tmp_path / "out", argv, capsys)
    with_boxes = sum(1 for own in boxes if own)
    assert (said["images"], said["rows"]) == (with_boxes, sum(map(len, boxes)))
    assert said["input_bytes"] == with_boxes * len(IMAGE)
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert rows_of(tmp_path / "out") == said["rows"]
    # Beside a file: of both together.
    argv += ["--input", str(tmp_path / "x.parquet")]
    write_parquet(tmp_path / "x.parquet", draw_boxes(20, seed=1))
    said = foretell(mean_color, tmp_path / "both", argv, capsys)
    assert run_embed(mean_color, tmp_path / "both", *argv) == 0
    assert rows_of(tmp_path / "both") == said["rows"]
    assert said["images"] == with_boxes + 20


def test_a_refresh_of_a_list_foretells_the_boxes_that_moved(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    (tmp_path / "a.jpg").write_bytes(IMAGE)
    root, listed = tmp_path / "root", tmp_path / "list.jsonl"
    argv = ["--manifest", str(listed), "--boxes", "xywh=bbox"]
    listed.write_text(json.dumps({"uri": "a.jpg", "bbox": [(9, 0, 9, 9), (10, 0, 9, 9)]}))
    assert run_refresh(mean_color, root, *argv) == 0
    boxes = [(9, 0, 9, 9), (10, 1, 9, 9), (0, 0, 9, 9)]
    listed.write_text(json.dumps({"uri": "a.jpg", "bbox": boxes}))
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv, "--plan", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["images"], said["rows"], said["images_to_compute"]) == (1, 3, 2)
    wanted = {"unchanged": 1, "changed": 1, "new": 1}
    assert wanted.items() <= said["changes"].items()
    assert run_refresh(mean_color, root, *argv) == 0
    assert wanted.items() <= read_record(latest(root))["changes"].items()


def test_a_refresh_foretells_boxes(tmp_path: pathlib.Path, mean_color: str, capsys: Capsys) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    photos.mkdir()
    first, second = draw_boxes(40), draw_boxes(30, seed=1)
    argv = write_parquet(photos / "a.parquet", first)
    argv += ["--input", str(photos), "--max_failed_fraction", "0.5", "--rows_per_file", "50"]
    assert run_refresh(mean_color, root, *argv) == 0
    write_parquet(photos / "b.parquet", second)
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv, "--plan", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    old, new = (sum(map(len, boxes)) for boxes in (first, second))
    assert (said["images"], said["rows"], said["images_to_compute"]) == (70, old + new, new)
    assert (said["changes"]["unchanged"], said["changes"]["new"]) == (old, new)
    assert run_refresh(mean_color, root, *argv) == 0
    assert rows_of(latest(root)) == said["rows"]


def test_a_plan_of_images_without_boxes_ends_as_the_run_does(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    argv = write_parquet(tmp_path / "x.parquet", [[]] * 10)
    argv += ["--input", str(tmp_path / "x.parquet")]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 1
    said = capsys.readouterr().err
    assert run_embed(mean_color, tmp_path / "out", *argv) == 1
    assert said == capsys.readouterr().err
    assert "no boxes found: the 10 images that were read have none" in said


def test_a_plan_says_that_the_first_images_have_no_boxes(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    argv = write_parquet(tmp_path / "x.parquet", [*[[]] * 1500, [(1, 2, 9, 9)]])
    argv += ["--input", str(tmp_path / "x.parquet")]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 1
    assert "that were read have none; nothing is published" in capsys.readouterr().err
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert rows_of(tmp_path / "out") == 1


def test_a_manifest_without_boxes_says_so(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    (tmp_path / "list.csv").write_text("uri,x,y,width,height\na.jpg,,,,")
    argv = ["--manifest", str(tmp_path / "list.csv"), "--boxes", "x,y,width,height"]
    for more in ([], ["--plan"]):
        assert run_embed(mean_color, tmp_path / "out", *argv, *more) == 2
        assert "holds any (with --boxes: any that has a box)" in capsys.readouterr().err
