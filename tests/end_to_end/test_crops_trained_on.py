"""Crops from end to end: vectors of boxes, a classifier trained on them, and what it says of them.

All images have the same mean colour, so that only the crops tell the labels apart.
"""

import json
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pipelines import classify, train_classifier
from tests.support.images import exif, save
from tests.support.runs import read, read_record, run_embed
from tests.support.trainable_models import save_gray_vision
from transforms.inference.settled_model import settle_model

COLOURS = {"red": (240, 0, 0), "green": (0, 240, 0), "blue": (0, 0, 240)}
IMAGES = 20


def stripes(number: int) -> tuple[PIL.Image.Image, list[str]]:
    """Draws three stripes, 20 wide and 30 high, in an order of the number's own; names them."""
    names = np.random.default_rng(number).permutation(list(COLOURS)).tolist()
    colours = np.array([[COLOURS[name] for name in names]], np.uint8)
    return PIL.Image.fromarray(colours.repeat(20, 1).repeat(30, 0)), names


def write_list(folder: pathlib.Path) -> list[str]:
    """Writes images, of which every other one is stored on its side; returns flags for them."""
    lines = ["image_id,uri,x,y,width,height,label"]
    for number in range(IMAGES):
        image, names = stripes(number)
        turned = image.transpose(PIL.Image.Transpose.ROTATE_90)
        file = save(turned, exif=exif(6)) if number % 2 else save(image)
        (folder / f"{number}.png").write_bytes(file)
        lines += [f"{number},{number}.png,{20 * n},0,20,30,{name}" for n, name in enumerate(names)]
    (folder / "list.csv").write_text("\n".join(lines))
    argv = ["--manifest", str(folder / "list.csv"), "--boxes", "x,y,width,height"]
    return [*argv, "--carry_columns", "label"]


def write_record(folder: pathlib.Path) -> list[str]:
    """Writes the same images into a TFRecord; returns flags for it."""
    with tf.io.TFRecordWriter(str(folder / "x.tfrecord")) as writer:
        for number in range(IMAGES):
            image, names = stripes(number)
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(save(image))
            feature["image/filename"].bytes_list.value.append(f"{number}.png".encode())
            for n, name in enumerate(names):
                sides = {"ymin": 0, "xmin": n / 3, "ymax": 1, "xmax": (n + 1) / 3}
                for side, value in sides.items():
                    feature[f"image/object/bbox/{side}"].float_list.value.append(value)
                feature["image/object/label"].bytes_list.value.append(name.encode())
            writer.write(example.SerializeToString())
    argv = ["--input", str(folder / "x.tfrecord"), "--boxes", "yxyx=image/object/bbox"]
    return [*argv, "--carry_columns", "image/object/label=label"]


WRITE = {"list": write_list, "record": write_record}
TUNE = ["--fine_tune", "--body_learning_rate", "0.1", "--learning_rate", "0.1"]
TUNE += ["--fine_tune_epochs", "8", "--fine_tune_batch_size", "8"]


def train(run: pathlib.Path, output: pathlib.Path, *argv: str) -> dict[str, Any]:
    """Trains a classifier; returns what it measured."""
    argv = ("--embeddings", str(run), "--output", str(output), "--label_from", "label", *argv)
    assert train_classifier.main(argv) == 0
    return json.loads((output / "metrics.json").read_text())


def check_labels(classifier: pathlib.Path, output: pathlib.Path, *argv: str) -> None:
    """Classifies the same boxes, and checks that each is given its own label."""
    assert classify.main(["--model", str(classifier), "--output", str(output), *argv]) == 0
    rows = read(output).to_pylist()
    assert len(rows) == 3 * IMAGES
    for row in rows:
        label = row["label"] if isinstance(row["label"], str) else row["label"][0].decode()
        assert row["class_label"][0] == label


@pytest.mark.parametrize("kind", ["list", "record"])
def test_a_classifier_of_crops_is_right_of_all(
    tmp_path: pathlib.Path, mean_color: str, kind: str
) -> None:
    argv = WRITE[kind](tmp_path)
    assert run_embed(mean_color, tmp_path / "run", *argv) == 0
    assert train(tmp_path / "run", tmp_path / "classifier")["accuracy"] == 1
    check_labels(tmp_path / "classifier", tmp_path / "labels", *argv)


@pytest.mark.parametrize("kind", ["list", "record"])
def test_fine_tuning_reads_the_crops_again(
    tmp_path: pathlib.Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = WRITE[kind](tmp_path)
    gray = save_gray_vision(tmp_path / "gray")
    assert run_embed(gray, tmp_path / "run", *argv, "--box_margin", "0.1") == 0
    metrics = train(tmp_path / "run", tmp_path / "classifier", *TUNE)
    assert metrics["accuracy"] == 1
    assert metrics["fine_tune"]["images"] == 3 * IMAGES
    source, boxes = {
        "list": ("--manifest boxes.csv", "x,y,width,height"),
        "record": ("--input photos/", "yxyx=image/object/bbox"),
    }[kind]
    next_step = f"pipelines.classify {source} --boxes {boxes} --model "
    assert next_step in capsys.readouterr().out
    check_labels(tmp_path / "classifier", tmp_path / "labels", *argv)
    assert read_record(tmp_path / "labels")["preprocessing"]["box_margin"] == 0.1


def test_a_classifier_has_the_margin_of_its_crops(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = write_list(tmp_path)
    assert run_embed(mean_color, tmp_path / "run", *argv, "--box_margin", "0.2") == 0
    classifier = tmp_path / "classifier"
    train(tmp_path / "run", classifier)
    capsys.readouterr()

    check_labels(classifier, tmp_path / "noted", *argv)
    assert "image_model.json of the model says --box_margin 0.2\n" in capsys.readouterr().out
    assert read_record(tmp_path / "noted")["preprocessing"]["box_margin"] == 0.2

    check_labels(classifier, tmp_path / "given", *argv, "--box_margin", "0")
    assert "--box_margin 0.2, which your flags overrule" in capsys.readouterr().out
    assert read_record(tmp_path / "given")["preprocessing"]["box_margin"] == 0

    whole = ["--input", str(tmp_path / "0.png"), "--output", str(tmp_path / "whole")]
    assert classify.main(["--model", str(classifier), *whole]) == 0
    assert "box_margin" not in read_record(tmp_path / "whole")["preprocessing"]
    whole_images = settle_model(
        str(classifier),
        signature=None,
        output_key=None,
        image_size=None,
        preprocessing={},
        engine="tensorflow",
        precision="float32",
        num_threads=None,
        batch_size=8,
    )
    assert whole_images.policy.box_margin is None
