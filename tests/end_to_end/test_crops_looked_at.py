"""Runs whose rows are boxes, looked at, searched, verified, tried again and trained on."""

import io
import pathlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pipelines import embed, report, search, verify
from tests.support.images import exif, save
from tests.support.runs import read, read_failures, run_embed, vectors_of
from transforms.explore.thumbnails import read_thumbnails, thumbnail_columns
from transforms.images.policy import Preprocessing
from transforms.runs.embedding_runs import open_embedding_runs
from transforms.runs.rows import open_run, take_rows
from transforms.training.stored_images import read_stored_images

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
"""Of three stripes side by side, 30 x 20 pixels each: a box a stripe."""


def stripes() -> PIL.Image.Image:
    return PIL.Image.fromarray(np.repeat(np.array([COLOURS], np.uint8), 20, 1).repeat(30, 0))


def write_list(folder: pathlib.Path, count: int = 4) -> list[str]:
    """Writes images, and their boxes; returns the flags that read them."""
    lines = ["uri,x,y,width,height,label"]
    for number in range(count):
        # Every other one is stored on its side.
        turned = stripes().transpose(PIL.Image.Transpose.ROTATE_90)
        file = save(turned, exif=exif(6)) if number % 2 else save(stripes())
        (folder / f"{number}.png").write_bytes(file)
        lines += [f"{number}.png,{20 * n},0,20,30,{'rgb'[n]}" for n in range(3)]
    (folder / "list.csv").write_text("\n".join(lines))
    argv = ["--manifest", str(folder / "list.csv"), "--boxes", "x,y,width,height"]
    return [*argv, "--carry_columns", "label"]


def write_record(folder: pathlib.Path) -> list[str]:
    with tf.io.TFRecordWriter(str(folder / "x.tfrecord")) as writer:
        for number in range(4):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(save(stripes()))
            feature["image/filename"].bytes_list.value.append(f"{number}.png".encode())
            for n in range(3):
                sides = {"ymin": 0, "xmin": n / 3, "ymax": 1, "xmax": (n + 1) / 3}
                for side, value in sides.items():
                    feature[f"image/object/bbox/{side}"].float_list.value.append(value)
                feature["image/object/label"].bytes_list.value.append("rgb"[n].encode())
            writer.write(example.SerializeToString())
    argv = ["--input", str(folder / "x.tfrecord"), "--boxes", "yxyx=image/object/bbox"]
    return [*argv, "--carry_columns", "image/object/label=label"]


def write_inputs(folder: pathlib.Path, kind: str) -> list[str]:
    return write_list(folder) if kind == "list" else write_record(folder)


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
@pytest.mark.parametrize("kind", ["list", "record"])
def test_thumbnails_show_the_crops(
    tmp_path: pathlib.Path, mean_color: str, kind: str, output_format: str
) -> None:
    argv = [*write_inputs(tmp_path, kind), "--output_format", output_format]
    assert run_embed(mean_color, tmp_path / "run", *argv) == 0
    run = open_run(str(tmp_path / "run"))
    table = take_rows(run, np.arange(12), ["image_id", *thumbnail_columns(run.record)])
    drawn = read_thumbnails(run.record, table, 96)
    assert [picture.note for picture in drawn] == [""] * 12
    for image_id, picture in zip(table["image_id"].to_pylist(), drawn, strict=True):
        image = PIL.Image.open(io.BytesIO(picture.jpeg))
        assert image.size == (20, 30)
        mean = np.asarray(image).mean((0, 1))
        assert abs(mean - COLOURS[int(image_id[-1])]).max() < 6


@pytest.mark.parametrize("kind", ["list", "record"])
def test_report_search_and_verify_take_them(
    tmp_path: pathlib.Path, mean_color: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert run_embed(mean_color, tmp_path / "run", *write_inputs(tmp_path, kind)) == 0
    assert report.main([run, "--output", str(tmp_path / "report.html")]) == 0
    assert "changed since the run" not in (tmp_path / "report.html").read_text()
    first = read(tmp_path / "run")["image_id"][0].as_py()
    argv = [run, "--image_id", first, "--top_k", "3", "--output", str(tmp_path / "found.html")]
    capsys.readouterr()
    assert search.main(argv) == 0
    assert capsys.readouterr().out.count("#box-0") == 4  # The query, and its like in each image.
    assert verify.main([run]) == 0


@pytest.mark.parametrize("kind", ["list", "record"])
def test_training_reads_the_crops_again(tmp_path: pathlib.Path, mean_color: str, kind: str) -> None:
    assert run_embed(mean_color, tmp_path / "run", *write_inputs(tmp_path, kind)) == 0
    runs = open_embedding_runs([str(tmp_path / "run")])
    policy = Preprocessing(image_size=(24, 24), box_margin=0.0)
    stored = read_stored_images(runs, policy)
    assert len(stored.vectors) >= 4
    assert abs(stored.pixels.mean((1, 2)) - stored.vectors).max() < 1e-5


def test_what_failed_is_tried_again_with_its_boxes(tmp_path: pathlib.Path, mean_color: str) -> None:
    argv = write_list(tmp_path)
    (tmp_path / "2.png").rename(tmp_path / "away.png")
    run, again = tmp_path / "run", tmp_path / "again"
    assert run_embed(mean_color, run, *argv, "--max_failed_fraction", "0.5") == 0
    assert len(read_failures(run)) == 3
    (tmp_path / "away.png").rename(tmp_path / "2.png")
    assert embed.main(["--retry_failed", str(run), "--output", str(again)]) == 0
    assert run_embed(mean_color, tmp_path / "whole", *argv) == 0
    made, expected = read(again), read(tmp_path / "whole")
    assert made.drop_columns(["embedding"]).equals(expected.drop_columns(["embedding"]))
    assert abs(vectors_of(made) - vectors_of(expected)).max() < 1e-6


def test_a_resumed_run_of_records_has_each_box_once(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    argv = write_record(tmp_path)
    run, again = tmp_path / "run", tmp_path / "again"
    bad = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(tmp_path / "y.tfrecord")) as writer:
        example = tf.train.Example()
        feature = example.features.feature
        feature["image/encoded"].bytes_list.value.append(b"no image")
        feature["image/filename"].bytes_list.value.append(b"bad.png")
        for side, value in {"ymin": 0.0, "xmin": 0.0, "ymax": 1.0, "xmax": 0.5}.items():
            feature[f"image/object/bbox/{side}"].float_list.value.extend([value, value])
        feature["image/object/label"].bytes_list.value.extend([b"r", b"g"])
        writer.write(example.SerializeToString())
    bad.write_bytes(bad.read_bytes() + (tmp_path / "y.tfrecord").read_bytes())
    (tmp_path / "y.tfrecord").unlink()
    assert run_embed(mean_color, run, *argv, "--max_failed_fraction", "0.5") == 0
    failed = {failure["image_id"] for failure in read_failures(run)}
    assert failed == {"bad.png#box-0", "bad.png#box-1"}
    argv = ["--retry_failed", str(run), "--output", str(again), "--max_failed_fraction", "0.5"]
    assert embed.main(argv) == 0
    assert read(again).equals(read(run))
    assert {failure["image_id"] for failure in read_failures(again)} == failed
