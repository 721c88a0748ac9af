"""From image files to vectors to a classifier of images, and what is refused on the way."""

import csv
import hashlib
import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines import classify, train_classifier
from tests.support.colours import COLOURS, IMAGES, write_colours
from tests.support.models import save_logits, save_mean_color
from tests.support.runs import read, run_embed, vectors_of
from transforms.models.class_names import read_labels
from transforms.models.inspection import inspect_saved_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with photos by colour, a model, and a run of their vectors."""
    folder = tmp_path_factory.mktemp("train")
    save_mean_color(folder / "model")
    write_colours(folder / "photos")
    embed(folder, "vectors", "--resize_mode", "crop")
    return folder


def embed(folder: pathlib.Path, name: str, *flags: str) -> None:
    """Embeds the photos."""
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), folder / name, *photos, *flags) == 0


def train(folder: pathlib.Path, run: str, output: pathlib.Path, *flags: str) -> int:
    """Trains on a run of the folder; returns the exit code."""
    argv = ["--embeddings", str(folder / run), "--output", str(output)]
    return train_classifier.main([*argv, *flags])


@pytest.fixture(scope="module")
def classifier(folder: pathlib.Path) -> pathlib.Path:
    """A classifier trained on the run."""
    assert train(folder, "vectors", folder / "classifier", "--label_smoothing", "0.05") == 0
    return folder / "classifier"


def read_metrics(classifier: pathlib.Path) -> dict[str, Any]:
    return json.loads((classifier / "metrics.json").read_text())


def validates(image_id: str, fraction: float = 0.2) -> bool:
    """The documented split, written anew."""
    digest = hashlib.blake2b(image_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


def last_error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().split("\n")[-1]


def test_the_classifier_classifies_the_image_files_as_it_was_measured(
    folder: pathlib.Path, classifier: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    output = folder / "labels"
    assert classify.main([*argv, "--model", str(classifier), "--output", str(output)]) == 0
    assert "image_model.json of the model says --resize_mode crop\n" in capsys.readouterr().out
    rows = [row for row in read(output).to_pylist() if validates(row["image_id"])]
    metrics = read_metrics(classifier)
    assert len(rows) == metrics["rows"]
    right = [row["class_label"][0] == row["image_id"].split("/")[0] for row in rows]
    assert sum(right) == metrics["right"]
    assert metrics["accuracy"] == metrics["right"] / metrics["rows"] > 0.8
    for place, entry in enumerate(metrics["classes"]):
        best = [row["class_label"][0] for row in rows if row["image_id"].startswith(entry["name"])]
        counts = [best.count(name) for name in COLOURS]
        assert metrics["confusion"][place] == counts
        assert entry["rows"] == sum(counts)
        assert entry["training_rows"] == IMAGES - entry["rows"]


def test_class_names_that_begin_with_numbers_are_given_back_unchanged(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    names = {colour: f"{place} {colour}" for place, colour in enumerate(COLOURS)}
    ids = read(folder / "vectors")["image_id"].to_pylist()
    lines = [f"{image_id},{names[image_id.split('/')[0]]}\n" for image_id in ids]
    (tmp_path / "labels.csv").write_text("image_id,label\n" + "".join(lines))
    output = tmp_path / "classifier"
    assert train(folder, "vectors", output, "--labels_csv", str(tmp_path / "labels.csv")) == 0
    labels = inspect_saved_model(str(output)).labels
    assert labels is not None
    assert read_labels(labels) == ("0 blue", "1 green", "2 red")


def test_the_directory_says_what_it_is(classifier: pathlib.Path, folder: pathlib.Path) -> None:
    spec = inspect_saved_model(str(classifier))
    assert (spec.image_size, spec.output_dim, spec.endpoint) == ((24, 24), 3, "__call__")
    assert pathlib.Path(spec.labels or "").read_text() == "blue\ngreen\nred\n"
    names = {path.name for path in classifier.iterdir()}
    assert {"saved_model.pb", "metrics.json", "confusion.svg", "image_model.json"} <= names
    assert not any(name.startswith(".") for name in [path.name for path in folder.iterdir()])
    metrics = read_metrics(classifier)
    assert metrics["split"] == {"by": "image_id", "validation_fraction": 0.2}
    assert metrics["training"]["label_smoothing"] == 0.05
    assert metrics["embeddings"][0]["directory"] == str(folder / "vectors")


def test_it_is_reusable_and_can_be_trained_on(
    classifier: pathlib.Path, folder: pathlib.Path
) -> None:
    model = tf.saved_model.load(str(classifier))
    assert len(model.variables) == len(model.trainable_variables) == 3
    images = tf.random.stateless_uniform([5, 24, 24, 3], (1, 2))
    logits = model(images)
    means = tf.reduce_mean(images, axis=[1, 2]).numpy()
    kernel, bias = (variable.numpy() for variable in model.variables[1:])
    np.testing.assert_allclose(logits, means @ kernel + bias, atol=1e-4)
    np.testing.assert_array_equal(model(images, training=True), logits)
    served = model.signatures["serving_default"](images=images)
    np.testing.assert_allclose(served["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(served["probabilities"], tf.nn.softmax(logits), atol=1e-6)
    (decay,) = model.regularization_losses
    vectors = vectors_of(read(folder / "vectors"))
    ids = read(folder / "vectors")["image_id"].to_pylist()
    training = vectors[[not validates(image_id) for image_id in ids]]
    wanted = 1e-4 * np.square(kernel * training.std(axis=0)[:, None]).sum()
    assert float(decay()) == pytest.approx(wanted, rel=1e-3)


# tensorflow_hub imports pkg_resources, which is deprecated.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_keras_layer_loads_it_and_one_step_moves_every_variable(classifier: pathlib.Path) -> None:
    import tensorflow_hub
    import tf_keras

    layer = tensorflow_hub.KerasLayer(str(classifier), trainable=True)
    network = tf_keras.Sequential([tf_keras.layers.InputLayer((24, 24, 3)), layer])
    before = [variable.numpy() for variable in layer.trainable_variables]
    assert len(before) == 3
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf_keras.optimizers.SGD(0.1), loss)
    images = np.random.default_rng(0).random((6, 24, 24, 3), np.float32)
    network.fit(images, np.arange(6) % 3, verbose=0)
    after = [variable.numpy() for variable in layer.trainable_variables]
    assert all((old != new).any() for old, new in zip(before, after, strict=True))


def test_the_same_vectors_give_the_same_weights(
    folder: pathlib.Path, classifier: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert train(folder, "vectors", tmp_path / "again", "--label_smoothing", "0.05") == 0
    first, second = (tf.saved_model.load(str(p)) for p in (classifier, tmp_path / "again"))
    for old, new in zip(first.variables, second.variables, strict=True):
        assert old.numpy().tobytes() == new.numpy().tobytes()
    for name in ("metrics.json", "confusion.svg", "image_model.json"):
        assert (classifier / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_labels_and_groups_come_from_carried_columns(
    folder: pathlib.Path, tmp_path: pathlib.Path, output_format: str
) -> None:
    paths = sorted((folder / "photos").rglob("*.png"))
    table: dict[str, list[Any]] = {
        "image": [path.read_bytes() for path in paths],
        "image_id": [f"{number}" for number in range(len(paths))],
        "kind": [10 if path.parent.name == "red" else 9 for path in paths],
        "person": [f"person-{int(path.stem) // 2}" for path in paths],
    }
    pq.write_table(pa.table(table), tmp_path / "train.parquet")
    flags = ["--input", str(tmp_path / "train.parquet"), "--output_format", output_format]
    flags += ["--carry_columns", "kind", "person", "--normalize", "l2"]
    assert run_embed(str(folder / "model"), tmp_path / "vectors", *flags) == 0
    flags = ["--label_from", "kind", "--split_by", "person", "--class_weights", "balanced"]
    flags += ["--validation_fraction", "0.5"]
    assert train(tmp_path, "vectors", tmp_path / "classifier", *flags) == 0
    assert (tmp_path / "classifier/assets/labels.txt").read_text() == "9\n10\n"
    metrics = read_metrics(tmp_path / "classifier")
    assert metrics["accuracy"] > 0.8
    people = {name for name in table["person"] if validates(name, 0.5)}
    assert metrics["rows"] == sum(name in people for name in table["person"])
    # Vectors were of length 1, so the classifier makes them so, too.
    model = tf.saved_model.load(str(tmp_path / "classifier"))
    images = tf.random.stateless_uniform([5, 24, 24, 3], (1, 2))
    means = tf.math.l2_normalize(tf.reduce_mean(images, axis=[1, 2]), axis=1)
    kernel, bias = model.variables[1:]
    np.testing.assert_allclose(model(images), means @ kernel + bias, atol=1e-4)
    assert np.isfinite(model(tf.zeros([1, 24, 24, 3]))).all()


def test_a_csv_gives_several_labels_an_image(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "label"])
        for colour in COLOURS:
            for number in range(1, IMAGES):
                image_id = f"{colour}/{number:03d}.png"
                writer.writerow([image_id, colour])
                if colour != "blue":
                    writer.writerow([image_id, "warm"])
        writer.writerow(["gone.png", "red"])
    flags = ["--labels_csv", str(tmp_path / "labels.csv"), "--activation", "sigmoid"]
    assert train(folder, "vectors", tmp_path / "classifier", *flags) == 0
    said = capsys.readouterr().out
    assert f"1 image_ids of {tmp_path / 'labels.csv'} have no vector: gone.png" in said
    assert "3 images have no label, such as " in said
    metrics = read_metrics(tmp_path / "classifier")
    assert [entry["name"] for entry in metrics["classes"]] == ["blue", "green", "red", "warm"]
    assert sum(e["rows"] + e["training_rows"] for e in metrics["classes"]) == 5 * (IMAGES - 1)
    assert metrics["accuracy"] > 0.6
    argv = ["--input", str(folder / "photos" / "red" / "005.png"), "--top_k", "4"]
    argv += ["--model", str(tmp_path / "classifier"), "--output", str(tmp_path / "labels")]
    assert classify.main(argv) == 0
    (row,) = read(tmp_path / "labels").to_pylist()
    scores = dict(zip(row["class_label"], row["score"], strict=True))
    assert scores["red"] > 0.5
    assert scores["warm"] > 0.5  # A softmax would have to choose.


def test_two_runs_are_trained_on_together(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for half, others in (("a", ("red/",)), ("b", ("blue/", "green/"))):
        embed(folder, str(tmp_path / half), "--resize_mode", "crop", "--exclude", *others)
    argv = ["--embeddings", str(tmp_path / "a"), str(tmp_path / "b")]
    assert train_classifier.main([*argv, "--output", str(tmp_path / "classifier")]) == 0
    metrics = read_metrics(tmp_path / "classifier")
    assert [e["rows"] + e["training_rows"] for e in metrics["classes"]] == [IMAGES] * 3


def test_vectors_of_two_makings_are_refused_with_both_values(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--resize_mode", "crop", "--normalize", "l2", "--exif", "ignore"]
    embed(folder, "otherwise", *flags)
    argv = ["--embeddings", str(folder / "vectors"), str(folder / "otherwise")]
    assert train_classifier.main([*argv, "--output", str(tmp_path / "out")]) == 2
    said = last_error(capsys)
    assert 'outputs.normalize was "none", is "l2"' in said
    assert 'preprocessing.exif was "apply", is "ignore"' in said


def test_too_low_an_accuracy_writes_nothing(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--assert_accuracy_at_least", "1", "--epochs", "1"]
    assert train(folder, "vectors", tmp_path / "out", *flags) == 1
    assert "--assert_accuracy_at_least is 1; nothing was written" in last_error(capsys)
    assert list(tmp_path.iterdir()) == []
    flags = ["--assert_accuracy_at_least", "0.5"]
    assert train(folder, "vectors", tmp_path / "out", *flags) == 0


def test_a_classifier_that_does_not_give_what_the_vectors_do_is_not_written(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "vectors"
    shutil.copytree(folder / "vectors", run)
    for path in run.glob("*.parquet"):
        table = pq.read_table(path)
        column = table["embedding"].combine_chunks()
        moved = pa.FixedSizeListArray.from_arrays(
            pa.array(column.flatten().to_numpy() + np.float32(0.05)), type=column.type
        )
        place = table.schema.get_field_index("embedding")
        pq.write_table(table.set_column(place, table.schema.field(place), moved), path)
    assert train(tmp_path, "vectors", tmp_path / "out") == 1
    assert "the classifier does not give what the stored vectors do" in last_error(capsys)
    assert not (tmp_path / "out").exists()


def test_images_that_are_gone_are_said(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "photos", tmp_path / "photos")
    flags = ["--input", str(tmp_path / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(str(folder / "model"), tmp_path / "v", *flags) == 0
    shutil.rmtree(tmp_path / "photos")
    assert train(tmp_path, "v", tmp_path / "out") == 0
    assert "NOT COMPARED: none of the images" in capsys.readouterr().out


def _no_success(run: pathlib.Path) -> None:
    (run / "_SUCCESS").unlink()


def _classification(run: pathlib.Path) -> None:
    _edit(run, lambda record: record["recipe"].update(program="classify"))


def _other_model(run: pathlib.Path) -> None:
    _edit(run, lambda record: record["model"].update(fingerprint="f" * 64))


def _other_decoder(run: pathlib.Path) -> None:
    _edit(run, lambda record: record["preprocessing"].update(fingerprint="e" * 64))


def _gone_model(run: pathlib.Path) -> None:
    _edit(run, lambda record: record["model"].update(handle="/nowhere"))


def _edit(run: pathlib.Path, change: Any) -> None:  # noqa: ANN401
    record = json.loads((run / "_run.json").read_text())
    change(record)
    (run / "_run.json").write_text(json.dumps(record))


def _not_finite(run: pathlib.Path) -> None:
    path = min(run.glob("*.parquet"))
    table = pq.read_table(path)
    column = table["embedding"].combine_chunks()
    values = column.flatten().to_numpy().copy()
    values[4] = np.nan
    moved = pa.FixedSizeListArray.from_arrays(pa.array(values), type=column.type)
    place = table.schema.get_field_index("embedding")
    pq.write_table(table.set_column(place, table.schema.field(place), moved), path)


def _other_footer(run: pathlib.Path) -> None:
    path = min(run.glob("*.parquet"))
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"model_fingerprint": b"d" * 64}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def _lost_file(run: pathlib.Path) -> None:
    min(run.glob("*.parquet")).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_no_success, "holds no complete run: no _SUCCESS in it"),
        (_classification, "is a run of pipelines.classify, wanted one of embed"),
        (_other_model, f"the vectors were made by {'f' * 64}; give that model with --model"),
        (_other_decoder, f"has the preprocessing {'e' * 64} .*, the same flags now give"),
        (_gone_model, "no model /nowhere: .*; name the model of .* with --model"),
        (_not_finite, r"the vector of \S+\.png holds NaN or infinity"),
        (_other_footer, f"model_fingerprint in the footer, got {'d' * 64}, wanted"),
        (_lost_file, r"00000-of-\d+.parquet cannot be read: "),
    ],
)
def test_a_run_that_cannot_be_used_is_refused(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    damage: Any,  # noqa: ANN401
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(folder / "vectors", tmp_path / "vectors")
    damage(tmp_path / "vectors")
    assert train(tmp_path, "vectors", tmp_path / "out") == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(last_error(capsys))
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--label_from", "kind"], "has no column kind; it has content_sha256, height, image_id"),
        (["--split_by", "group"], "has no column group; it has"),
        (["--label_from", "height"], "1 classes .30., wanted at least 2"),
        (["--validation_fraction", "0.001"], "3 of 3 classes have no validation images: blue"),
        (["--validation_fraction", "0.999"], "3 of 3 classes have no training images: blue"),
        (["--split_by", "height"], "have no .* images: blue, green, red"),
        (["--validation_fraction", "1"], "must be between 0 and 1, got 1"),
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--l2=-1"], "--l2 must be at least 0, got -1"),
        (["--learning_rate", "0"], "--learning_rate must be over 0"),
        (["--label_smoothing", "1"], "--label_smoothing must be at least 0 and below 1, got 1"),
        (["--assert_accuracy_at_least", "97"], "must be from 0 to 1, got 97"),
        (["--labels_csv", "a.csv", "--label_from", "kind"], "both say the labels; give one"),
        (["--labels_csv", "a.csv"], "cannot read labels a.csv"),
        (["--model", "elsewhere/"], "no model elsewhere/"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--augmentation", "crop"], "--augmentation does nothing without --fine_tune"),
        (["--model_arguments", "a=1"], "--model_arguments does nothing without --fine_tune"),
        (["--fine_tune", "--fine_tune_epochs", "0"], "--fine_tune_epochs must be at least 1"),
        (["--fine_tune", "--body_learning_rate", "0"], "--body_learning_rate must be over 0, got"),
        (["--fine_tune", "--model_arguments", "a"], "--model_arguments are NAME=VALUE, got a"),
        (["--fine_tune", "--model_arguments", "a=1"], "a=1: the model takes no such argument"),
        (["--output", "OCCUPIED"], "is there already; choose an empty or new directory"),
    ],
)
def test_flags_that_cannot_work_are_refused_on_one_line(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [str(folder / "photos") if flag == "OCCUPIED" else flag for flag in flags]
    assert train(folder, "vectors", tmp_path / "out", *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("train_classifier: ")
    assert error.count("\n") == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error)


def test_another_model_is_refused_with_both_fingerprints(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transforms.models.handle import fingerprint_model

    other = save_logits(tmp_path / "other")
    assert train(folder, "vectors", tmp_path / "out", "--model", other) == 2
    error = last_error(capsys)
    assert fingerprint_model(other) in error
    assert fingerprint_model(str(folder / "model")) in error
    moved = shutil.copytree(folder / "model", tmp_path / "moved")
    assert train(folder, "vectors", tmp_path / "out", "--model", str(moved)) == 0


def test_an_image_in_two_runs_is_refused(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(folder / "vectors")
    argv = ["--embeddings", run, run, "--output", str(tmp_path / "out")]
    assert train_classifier.main(argv) == 2
    assert "120 image_ids are there more than once: " in last_error(capsys)
