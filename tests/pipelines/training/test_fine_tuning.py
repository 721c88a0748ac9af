"""A model trained itself together with its classifier, and what is refused on the way."""

import json
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines import classify, convert_model, train_classifier
from tests.support.colours import COLOURS, IMAGES, write_colours
from tests.support.runs import read, run_embed
from tests.support.trainable_models import LOSS_WEIGHT, save_gray_vision, save_without_gradient
from transforms.training.hash_split import is_validation

FASTER = ["--body_learning_rate", "0.1", "--learning_rate", "0.1"]
FASTER += ["--fine_tune_epochs", "8", "--fine_tune_batch_size", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with photos by colour, a model that hardly sees colours, and their vectors."""
    folder = tmp_path_factory.mktemp("tune")
    save_gray_vision(folder / "model")
    write_colours(folder / "photos")
    embed(folder, folder / "vectors", "--resize_mode", "crop")
    return folder


def embed(folder: pathlib.Path, run: pathlib.Path, *flags: str) -> None:
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), run, *photos, *flags) == 0


def tune(run: pathlib.Path, output: pathlib.Path, *flags: str) -> int:
    """Fine-tunes on a run; returns the exit code."""
    argv = ["--embeddings", str(run), "--output", str(output), "--fine_tune", *FASTER, *flags]
    return train_classifier.main(argv)


@pytest.fixture(scope="module")
def classifier(folder: pathlib.Path) -> pathlib.Path:
    """A fine-tuned classifier."""
    assert tune(folder / "vectors", folder / "classifier") == 0
    return folder / "classifier"


def read_metrics(classifier: pathlib.Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads((classifier / "metrics.json").read_text(), parse_constant=refuse)


def values_of(model: pathlib.Path) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the variables of a SavedModel by name."""
    loaded = tf.saved_model.load(str(model))
    return {item.name.partition(":")[0]: item.numpy() for item in loaded.variables}


def last_error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().split("\n")[-1]


def classified_right(
    folder: pathlib.Path, classifier: pathlib.Path, output: pathlib.Path
) -> list[bool]:
    """Classifies the photos; tells which of those that validate are right."""
    argv = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert classify.main([*argv, "--model", str(classifier), "--output", str(output)]) == 0
    table = read(output)
    validates = is_validation(table["image_id"], 0.2).tolist()
    rows = zip(table.to_pylist(), validates, strict=True)
    return [row["class_label"][0] == row["image_id"].split("/")[0] for row, own in rows if own]


def test_it_learns_what_no_head_can_and_classify_gives_what_was_measured(
    folder: pathlib.Path, classifier: pathlib.Path
) -> None:
    metrics = read_metrics(classifier)
    start, *passes = metrics["fine_tune"]["passes"]
    assert start["validation_accuracy"] < 0.75
    assert metrics["accuracy"] > 0.9
    best = metrics["fine_tune"]["best"]
    assert passes[best - 1]["number"] == best
    assert passes[best - 1]["validation_accuracy"] == metrics["accuracy"]
    assert best == 1 + int(np.argmin([entry["validation_loss"] for entry in passes]))
    right = classified_right(folder, classifier, folder / "labels")
    assert (len(right), sum(right)) == (metrics["rows"], metrics["right"])
    for entry in metrics["classes"]:
        assert entry["rows"] + entry["training_rows"] == IMAGES


def test_the_start_is_the_linear_classifier(
    folder: pathlib.Path, classifier: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    argv = ["--embeddings", str(folder / "vectors"), "--output", str(tmp_path / "linear")]
    assert train_classifier.main(argv) == 0
    start = read_metrics(classifier)["fine_tune"]["passes"][0]
    assert start["loss"] is None
    assert start["validation_accuracy"] == read_metrics(tmp_path / "linear")["accuracy"]


def test_the_directory_is_one_reusable_classifier_whose_body_has_moved(
    folder: pathlib.Path, classifier: pathlib.Path
) -> None:
    model = tf.saved_model.load(str(classifier))
    before, after = values_of(folder / "model"), values_of(classifier)
    assert after.keys() - before.keys() == {"head/kernel", "head/bias"}
    assert len(model.trainable_variables) == 4
    # Of the body all moves, the averages of its batch normalisation too.
    for name, old in before.items():
        assert np.abs(old - after[name]).max() > 1e-3, name
    losses = [float(loss()) for loss in model.regularization_losses]
    wanted = LOSS_WEIGHT * np.square(after["body/kernel"]).sum()
    assert losses[0] == pytest.approx(wanted, rel=1e-5)
    assert len(losses) == 2
    images = tf.random.stateless_uniform([5, 24, 24, 3], (1, 2))
    served = model.signatures["serving_default"](images=images)
    np.testing.assert_allclose(served["logits"], model(images), atol=1e-5)
    assert np.abs(model(images, training=True) - model(images)).max() > 1e-3
    names = {path.name for path in classifier.iterdir()}
    assert {"saved_model.pb", "metrics.json", "confusion.svg", "image_model.json"} <= names
    assert not any(path.name.startswith(".") for path in folder.iterdir())


def test_the_terminal_says_what_happens(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(folder / "vectors", tmp_path / "out", "--fine_tune_epochs", "2") == 0
    said = capsys.readouterr().out
    metrics = read_metrics(tmp_path / "out")
    start, first, second = metrics["fine_tune"]["passes"]
    for pattern in (
        r"model     2 of its 4 variables are trained, with 1 regularization losses$",
        rf"linear    {start['validation_accuracy']:.4f}, \d+ of \d+ validation images right",
        r"images    \d+ to train, \d+ to validate; \d.\d MB read again in \d.\d s",
        rf"start     validation loss {start['validation_loss']:.4f}, accuracy ",
        rf"epoch 1   loss {first['loss']:.4f}, validation loss {first['validation_loss']:.4f}, "
        rf"accuracy {first['validation_accuracy']:.4f}; \d+.\d s, [\d,]+.\d images/s",
        rf"tuned     2 epochs, the best is number \d: accuracy .* before, "
        rf"{metrics['accuracy']:.4f} now",
        r"compared  \d+ images, logits within \S+ of those of the trained model",
    ):
        assert re.search(f"^{pattern}", said, re.MULTILINE), pattern
    assert second["number"] == 2


def test_the_same_images_and_flags_give_the_same_bytes(
    folder: pathlib.Path, classifier: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert tune(folder / "vectors", tmp_path / "again") == 0
    first, second = values_of(classifier), values_of(tmp_path / "again")
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    names = ("metrics.json", "confusion.svg", "image_model.json")
    for name in names:
        assert (classifier / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_steps_that_only_harm_leave_the_linear_classifier_and_say_so(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--body_learning_rate", "1e30", "--fine_tune_epochs", "2"]
    assert tune(folder / "vectors", tmp_path / "out", *flags) == 0
    assert "NO BETTER: after none of 2 epochs is the validation loss below" in (
        capsys.readouterr().out
    )
    metrics = read_metrics(tmp_path / "out")
    start = metrics["fine_tune"]["passes"][0]
    assert metrics["fine_tune"]["best"] == 0
    assert metrics["accuracy"] == start["validation_accuracy"]
    after = values_of(tmp_path / "out")
    for name, value in values_of(folder / "model").items():
        assert value.tobytes() == after[name].tobytes(), name


def test_arguments_reach_the_model_in_training_alone(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    # With a momentum of 1 the averages of the batch normalisation stay.
    flags = ["--model_arguments", "batch_norm_momentum=1", "--fine_tune_epochs", "1"]
    assert tune(folder / "vectors", tmp_path / "stays", *flags) == 0
    before, after = values_of(folder / "model"), values_of(tmp_path / "stays")
    np.testing.assert_array_equal(after["body/mean"], before["body/mean"])
    assert np.abs(after["body/kernel"] - before["body/kernel"]).max() > 1e-3
    # A head that is trained on the opposite of what it is then given gets worse.
    flags = ["--model_arguments", "inverted=TRUE", "batch_norm_momentum=0.5"]
    assert tune(folder / "vectors", tmp_path / "out", *flags) == 0
    notes = read_metrics(tmp_path / "out")["fine_tune"]
    assert notes["model_arguments"] == {"inverted": True, "batch_norm_momentum": 0.5}
    assert notes["best"] == 0
    assert notes["passes"][1]["loss"] < 1.2 < 1.5 < notes["passes"][1]["validation_loss"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("dropout=0.2", "the model takes batch_norm_momentum=0.*, inverted=False$"),
        ("batch_norm_momentum=low", "batch_norm_momentum is a number, got 'low'"),
        ("inverted=1", "inverted is true or false, got '1'"),
        ("inverted=true inverted=true", "gives inverted twice"),
    ],
)
def test_arguments_that_the_model_does_not_take_are_refused(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    argument: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--model_arguments", *argument.split()]
    assert tune(folder / "vectors", tmp_path / "out", *flags) == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(last_error(capsys))


def test_vectors_of_length_1_stay_so(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    embed(folder, tmp_path / "vectors", "--normalize", "l2")
    assert tune(tmp_path / "vectors", tmp_path / "out", "--augmentation", "none") == 0
    metrics = read_metrics(tmp_path / "out")
    assert metrics["fine_tune"]["best"] > 0
    right = classified_right(folder, tmp_path / "out", tmp_path / "labels")
    assert (len(right), sum(right)) == (metrics["rows"], metrics["right"])
    model = tf.saved_model.load(str(tmp_path / "out"))
    assert np.isfinite(model(tf.zeros([1, 24, 24, 3]))).all()


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_images_inside_files_are_read_again(
    folder: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    paths = sorted((folder / "photos").rglob("*.png"))
    path = tmp_path / f"photos.{kind}"
    if kind == "parquet":
        table = {
            "image": [item.read_bytes() for item in paths],
            "colour": [item.parent.name for item in paths],
        }
        pq.write_table(pa.table(table), path)
    else:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for item in paths:
                example = tf.train.Example()
                features = example.features.feature
                features["image/encoded"].bytes_list.value.append(item.read_bytes())
                features["colour"].bytes_list.value.append(item.parent.name.encode())
                writer.write(example.SerializeToString())
    # Ids without this directory, for a split that is the same every time.
    flags = ["--input", str(path), "--carry_columns", "colour", "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    assert tune(tmp_path / "vectors", tmp_path / "out", "--label_from", "colour") == 0
    metrics = read_metrics(tmp_path / "out")
    assert metrics["fine_tune"]["images"] == len(COLOURS) * IMAGES
    assert metrics["accuracy"] > metrics["fine_tune"]["passes"][0]["validation_accuracy"]


def test_images_that_are_gone_or_have_changed_are_left_out_and_said(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "photos", tmp_path / "photos")
    shutil.copytree(folder / "model", tmp_path / "model")
    embed(tmp_path, tmp_path / "vectors")
    (tmp_path / "photos/red/000.png").unlink()
    changed = tmp_path / "photos/blue/001.png"
    changed.write_bytes((tmp_path / "photos/green/001.png").read_bytes())
    assert tune(tmp_path / "vectors", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "left out  2 images that are gone or have changed since they were embedded" in said
    metrics = read_metrics(tmp_path / "out")
    assert metrics["fine_tune"]["lost_images"] == 2
    counts = {e["name"]: e["rows"] + e["training_rows"] for e in metrics["classes"]}
    assert counts == {"blue": IMAGES - 1, "green": IMAGES, "red": IMAGES - 1}
    shutil.rmtree(tmp_path / "photos/green")
    assert tune(tmp_path / "vectors", tmp_path / "out2") == 2
    with pytest.raises(
        AssertionError,
        match="42 of 120 images are gone or have changed since they were embedded, such as "
        r"\S+.png; more than 10% is too many: embed again$",
    ):
        raise AssertionError(last_error(capsys))
    assert not (tmp_path / "out2").exists()


def test_too_low_an_accuracy_writes_nothing(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--fine_tune_epochs", "1", "--assert_accuracy_at_least", "1"]
    assert tune(folder / "vectors", tmp_path / "out", *flags) == 1
    assert "--assert_accuracy_at_least is 1; nothing was written" in last_error(capsys)
    assert list(tmp_path.iterdir()) == []


def _not_for_training(directory: str) -> str:
    return save_gray_vision(directory, trains=False)


def test_a_converted_model_can_be_fine_tuned(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    argv = ["--model", str(folder / "model"), "--output", str(tmp_path / "model")]
    assert convert_model.main(argv) == 0
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(tmp_path / "model"), tmp_path / "vectors", *photos) == 0
    assert tune(tmp_path / "vectors", tmp_path / "out") == 0
    assert read_metrics(tmp_path / "out")["accuracy"] > 0.9


@pytest.mark.parametrize("name", ["fixed_batch", "uint8", "tf_keras_saved", "keras_wrapped"])
def test_models_of_many_kinds_can_be_fine_tuned(
    folder: pathlib.Path, tmp_path: pathlib.Path, saved_model: Callable[[str], str], name: str
) -> None:
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(saved_model(name), tmp_path / "vectors", *photos) == 0
    flags = ["--body_learning_rate", "1e-3", "--epochs", "2"]
    assert tune(tmp_path / "vectors", tmp_path / "out", *flags) == 0
    metrics = read_metrics(tmp_path / "out")
    passes = metrics["fine_tune"]["passes"]
    assert len(passes) > 1
    # Not the least of all: one that is smaller by next to nothing is no progress.
    least = min(one["validation_loss"] for one in passes)
    best = passes[metrics["fine_tune"]["best"]]
    assert least <= best["validation_loss"] <= least / (1 - 1e-3) ** len(passes)
    assert metrics["accuracy"] == best["validation_accuracy"]
    right = classified_right(folder, tmp_path / "out", tmp_path / "labels")
    assert (len(right), sum(right)) == (metrics["rows"], metrics["right"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("signature_only", "it is called by its signature embed, a graph for inference; leave"),
        ("tf1_hub", "it is in the format of TF1 Hub, whose graphs are for inference; leave out"),
        ("not_for_training", "it was not saved for training=True; leave out --fine_tune to train"),
        ("nothing_trainable", "the model has no trainable variables; leave out --fine_tune"),
        ("no_gradient", "no gradient reaches any of the model's trainable variables; leave out"),
    ],
)
def test_a_model_that_cannot_be_fine_tuned_is_refused_before_any_work(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    saved_model: Callable[[str], str],
    name: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = {
        "not_for_training": _not_for_training,
        "nothing_trainable": lambda path: save_without_gradient(path, ()),
        "no_gradient": save_without_gradient,
    }
    model = own[name](str(tmp_path / "model")) if name in own else saved_model(name)
    photos = ["--input", str(folder / "photos"), "--exclude", "green/"]
    photos += ["--image_id_from", "relative_path"]
    assert run_embed(model, tmp_path / "vectors", *photos) == 0
    capsys.readouterr()
    assert tune(tmp_path / "vectors", tmp_path / "out") == 2
    captured = capsys.readouterr()
    # The labels are read before; no vector is.
    assert [line.split()[0] for line in captured.out.splitlines()] == ["vectors", "classes"]
    assert f"cannot be fine-tuned: {message}" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
