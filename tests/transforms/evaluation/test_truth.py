"""What images are: by a file, by directories, by columns of both formats; and copies."""

import pathlib

import numpy as np
import pytest

from tests.support.runs import run_embed, solid, write_examples
from transforms.errors import InputError
from transforms.evaluation.truth import Truth, read_truth, without_copies
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run, take_rows


def spelled(run: PublishedRun, truth: Truth) -> dict[str, str]:
    """Returns the label of each image."""
    ids = take_rows(run, truth.rows, ["image_id"])["image_id"].to_pylist()
    return {name: truth.names[label] for name, label in zip(ids, truth.labels, strict=True)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("truth")
    for place, name in enumerate(("cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(solid(100 + 10 * (place % 3), 50, 20))
    return folder


@pytest.fixture(scope="module")
def run(photos: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> str:
    out = tmp_path_factory.mktemp("run") / "run"
    flags = ["--input", str(photos), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, out, *flags) == 0
    return str(out)


def test_directories_are_labels(run: str) -> None:
    opened = open_run(run)
    truth = read_truth(opened, None, None)
    assert truth.names == ("cat", "dog")
    assert spelled(opened, truth) == {
        "cat/1.png": "cat",
        "cat/2.png": "cat",
        "dog/3.png": "dog",
        "dog/4.png": "dog",
    }
    assert truth.notes == ()


def test_numbers_are_in_order_of_their_value(run: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("image_id,label\ndog/4.png,9\ncat/1.png,10\ncat/2.png,9\n")
    opened = open_run(run)
    truth = read_truth(opened, str(path), None)
    assert truth.names == ("9", "10")
    assert spelled(opened, truth) == {"cat/1.png": "10", "cat/2.png": "9", "dog/4.png": "9"}
    assert truth.notes == ("images without a label, not counted: 1: dog/3.png",)


def test_of_copies_the_first_counts(run: str) -> None:
    """cat/1.png and dog/4.png have the same bytes."""
    opened = open_run(run)
    truth = read_truth(opened, None, None)
    distinct = without_copies(opened, truth)
    assert len(distinct) == 3
    assert (np.diff(distinct.rows) > 0).all()
    assert {"cat/2.png", "dog/3.png"} < set(spelled(opened, distinct))
    assert distinct.notes[0].endswith("not counted: 1, under another label: 1")
    assert without_copies(opened, distinct) is distinct


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_carried_column_of_lists_is_one_label_each(
    tmp_path: pathlib.Path, mean_color: str, output_format: str
) -> None:
    write_examples(tmp_path / "a.tfrecord", [solid(n, 0, 0) for n in range(3)])
    flags = ["--input", str(tmp_path / "a.tfrecord"), "--carry_columns", "label"]
    flags += ["--output_format", output_format]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    opened = open_run(str(tmp_path / "run"))
    truth = read_truth(opened, None, "label")
    assert truth.names == ("0", "1", "2")
    assert truth.labels.tolist() == [0, 1, 2]
    assert truth.origin == "the column label"


def test_several_labels_an_image_are_refused(tmp_path: pathlib.Path, mean_color: str) -> None:
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(solid(1, 2, 3))
    example.features.feature["tags"].bytes_list.value.extend([b"cat", b"sofa"])
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(example.SerializeToString())
    flags = ["--input", str(tmp_path / "a.tfrecord"), "--carry_columns", "tags"]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    with pytest.raises(InputError, match=r"the labels cat, sofa, .* wanted one label an image"):
        read_truth(open_run(str(tmp_path / "run")), None, "tags")
