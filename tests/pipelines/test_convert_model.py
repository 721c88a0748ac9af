"""pipelines.convert_model on every kind of model, by the answers of runs before and after."""

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from pipelines import classify
from pipelines.convert_model import main
from tests.support.images import encode, photo
from tests.support.models import MODELS, save_logits, save_network, save_output
from tests.support.runs import read, run_embed
from transforms.images.policy import INPUT_DTYPES
from transforms.models.class_names import read_labels
from transforms.models.inspection import inspect_saved_model
from transforms.models.notes import encode_notes, read_notes

SavedModel = Callable[[str], str]

KINDS = {
    "mean_color": "--input_range 0,255",
    "logits": "--input_range imagenet",
    "dynamic_module": "--image_size 30x20 --input_range -1,1",
    "training_required": "--input_range -1,1",
    "fixed_batch": "--input_range 0,255",
    "several_sizes": "--image_size 32x16 --input_range imagenet",
    "uint8": "",
    "dict_output": "--output_key probabilities",
    "features_and_logits": "--output_key feature_vector",
    "tuple_output": "--output_key 0 --input_range 0,255",
    "rank_4_output": "--input_range -1,1",
    "map_of_one": "--input_range -1,1",
    "ragged_output": "--input_range 0,255",
    "channels_first": "--input_range -1,1",
    "gray": "--input_range imagenet",
    "float16_output": "",
    "softmax": "--input_range 0,255",
    "loop_and_table": "--input_range imagenet",
    "constant": "",
    "fails_beyond_one": "",
    "signature_only": "--signature embed --input_range 0,255",
    "nested": "--signature front --input_range caffe",
    "keras_export": "--input_range 0,255",
    "keras_export_archive": "--signature embed --input_range imagenet",
    "keras_saved": "--input_range -1,1",
    "keras_wrapped": "--input_range 0,255",
    "tf_keras_saved": "--input_range imagenet",
    "tf_keras_export": "--signature serve --input_range -1,1",
    "tf1_serving": "--input_range 0,255",
    "tf1_hub": "--signature image_feature_vector --output_key hidden --input_range imagenet",
}
"""Every kind that a run accepts, with flags that it needs or could need."""

REFUSED = {
    "training_only": "traced with training=True only",
    "untraced": "was never traced",
    "undecorated": "cannot be given images alone",
    "bytes_signature": "takes strings",
    "feature_map": "want one row of numbers an image",
    "class_output": "want one row of numbers an image",
    "dependent_rows": "depends on the rest of the batch",
    "not_finite": "not finite",
    "one_row": "want one row of numbers an image",
    "out_of_memory": "no memory for more than two images",
}
"""Every other kind, and what is said of it."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("photos")
    for seed in range(5):
        (directory / f"{seed}.png").write_bytes(encode(photo(61 + seed, 47, seed)))
    (directory / "small.png").write_bytes(encode(photo(24, 24)))
    return str(directory)


def convert(model: str, output: pathlib.Path, *flags: str) -> None:
    assert main(["--model", model, "--output", str(output), *flags]) == 0


def vectors(model: str, photos: str, output: pathlib.Path, *flags: str) -> list[bytes]:
    assert run_embed(model, output, "--input", photos, *flags) == 0
    return [np.array(row, np.float32).tobytes() for row in read(output)["embedding"].to_pylist()]


def test_every_kind_of_model_is_converted_or_refused_here() -> None:
    assert KINDS.keys() | REFUSED.keys() == MODELS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_run_needs_no_flags_and_gives_the_same_vectors(
    saved_model: SavedModel,
    photos: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    flags = KINDS[name].split()
    convert(saved_model(name), tmp_path / "reusable", *flags)
    assert "greatest difference 0\n" in capsys.readouterr().out
    before = vectors(saved_model(name), photos, tmp_path / "before", *flags)
    after = vectors(str(tmp_path / "reusable"), photos, tmp_path / "after")
    assert before == after
    assert len(set(after)) > 1 or name == "constant"


@pytest.mark.parametrize("dtype", INPUT_DTYPES)
def test_a_network_of_any_dtype_gives_the_same_vectors(
    photos: str, tmp_path: pathlib.Path, dtype: str
) -> None:
    network = save_network(tmp_path / "network", dtype)
    flags = () if dtype == "uint8" else ("--input_range", "-1,1")
    convert(network, tmp_path / "reusable", *flags)
    before = vectors(network, photos, tmp_path / "before", *flags)
    assert before == vectors(str(tmp_path / "reusable"), photos, tmp_path / "after")


def test_brackets_and_stars_in_the_names_of_models_stand_for_themselves(
    tmp_path: pathlib.Path, logits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = tmp_path / "[2021] *? trip"
    shutil.copytree(logits, trip / "mod[e]l")
    (trip / "mod[e]l" / "labels.txt").write_text("a\nb\nc\n")
    (tmp_path / "photo.png").write_bytes(encode(photo(24, 24)))
    monkeypatch.chdir(trip)
    assert main(["--model", "mod[e]l", "--output", "co[n]v*"]) == 0
    photos = ["--input", str(tmp_path / "photo.png")]
    for model in ("mod[e]l", "co[n]v*"):
        out = tmp_path / f"of_{model}"
        assert classify.main([*photos, "--model", model, "--output", str(out)]) == 0
    first, second = (read(tmp_path / f"of_{model}") for model in ("mod[e]l", "co[n]v*"))
    assert first.column("class_label").to_pylist() == second.column("class_label").to_pylist()
    assert sorted(path.name for path in trip.iterdir()) == ["co[n]v*", "mod[e]l"]


# tensorflow_hub imports pkg_resources, which is deprecated.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "moves"), [("keras_export", True), ("tf_keras_saved", True), ("tf1_serving", False)]
)
def test_tensorflow_hub_fine_tunes_what_can_be(
    saved_model: SavedModel, tmp_path: pathlib.Path, name: str, moves: bool
) -> None:
    import tensorflow_hub as hub
    import tf_keras

    convert(saved_model(name), tmp_path / "reusable")
    layer = hub.KerasLayer(str(tmp_path / "reusable"), trainable=True)
    model = tf_keras.Sequential([layer, tf_keras.layers.Dense(1, kernel_initializer="ones")])
    images = np.random.default_rng(0).random((4, 24, 24, 3), np.float32)
    np.testing.assert_allclose(layer(images), images.mean(axis=(1, 2)), atol=1e-6)
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.fit(images, np.zeros((4, 1)), verbose=0)
    moved = [
        np.abs(new - old).max() > 0 for new, old in zip(layer.get_weights(), before, strict=True)
    ]
    assert moved == [moves] * len(before)
    assert before


def test_what_was_and_is_can_be_read(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reusable"
    convert(saved_model("keras_export"), out, "--input_range", "-1,1")
    assert capsys.readouterr().out.splitlines() == [
        "was       signature serving_default: float32 [batch, 24, 24, 3] of range -1,1 to output_0",
        "is        called as an object: float32 [batch, 24, 24, 3] of range 0,1 to "
        "float32 [batch, 3]",
        "holds     2 variables, 2 of them trainable; 0 regularization losses",
        "checked   8 made-up images of 24x24: greatest difference 0",
        f"written   {out}",
    ]


def test_without_a_size_every_size_is_kept(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(saved_model("several_sizes"), tmp_path / "several")
    convert(saved_model("dynamic_module"), tmp_path / "any")
    told = capsys.readouterr().out
    assert "[batch, 24, 24, 3] or [batch, 32, 16, 3]" in told
    assert "checked   8 made-up images of 24x24 and 32x16: " in told
    assert "[batch, height, width, 3]" in told
    assert told.count("choose one with --image_size when you run it.\n") == 2
    assert inspect_saved_model(str(tmp_path / "any")).image_sizes == ((None, None),)


def test_labels_come_along(tmp_path: pathlib.Path) -> None:
    model = save_logits(tmp_path / "logits", labels=["red", "green", "blue"])
    convert(model, tmp_path / "reusable")
    labels = inspect_saved_model(str(tmp_path / "reusable")).labels
    assert labels is not None
    assert read_labels(labels) == ("red", "green", "blue")


@pytest.mark.parametrize("names", [("red", "green", "blue"), ("1 red", "0 green", "2 blue")])
def test_labels_of_other_tools_come_along_as_names(
    tmp_path: pathlib.Path, names: tuple[str, ...]
) -> None:
    model = save_logits(tmp_path / "lobe")
    (tmp_path / "lobe" / "signature.json").write_text(json.dumps({"classes": {"Label": names}}))
    assert main(["--model", model, "--output", str(tmp_path / "reusable")]) == 0
    labels = inspect_saved_model(str(tmp_path / "reusable")).labels
    assert labels == str(tmp_path / "reusable" / "assets" / "labels.txt")
    assert read_labels(labels) == names


CROPPED = {"input_range": "-1,1", "resize_mode": "crop", "crop_fraction": 0.5}


@pytest.mark.parametrize("source", ["image_model.json", "preprocessor_config.json"])
def test_what_the_notes_of_a_model_say_is_built_in_or_comes_along(
    photos: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    model = save_network(tmp_path / "network", "float32")
    said = encode_notes(CROPPED)
    if source == "preprocessor_config.json":
        half = [0.5, 0.5, 0.5]
        size = {"size": {"shortest_edge": 48}, "do_center_crop": True, "crop_size": 24}
        said = json.dumps({**size, "resample": 2, "image_mean": half, "image_std": half})
    (tmp_path / "network" / source).write_text(said)
    convert(model, tmp_path / "reusable")
    told = capsys.readouterr()
    assert " of range -1,1\n" in told.out
    assert "noted     image_model.json in it says " in told.out
    assert "nobody said --input_range" not in told.err
    notes = read_notes(str(tmp_path / "reusable"))
    wanted = {**read_notes(model), "input_range": "0,1"}
    assert notes == wanted
    assert (notes["resize_mode"], notes["crop_fraction"]) == ("crop", 0.5)
    before = vectors(model, photos, tmp_path / "before")
    assert before == vectors(str(tmp_path / "reusable"), photos, tmp_path / "after")


def test_a_flag_overrules_the_notes_of_a_model(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(saved_model("mean_color"), tmp_path / "model")
    (tmp_path / "model" / "image_model.json").write_text(encode_notes(CROPPED))
    convert(str(tmp_path / "model"), tmp_path / "reusable", "--input_range", "0,255")
    assert " of range 0,255\n" in capsys.readouterr().out
    assert read_notes(str(tmp_path / "reusable")) == {**CROPPED, "input_range": "0,1"}


def test_notes_that_make_no_sense_are_refused(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(saved_model("mean_color"), tmp_path / "model")
    (tmp_path / "model" / "image_model.json").write_text(encode_notes({"colour": "red"}))
    argv = ["--model", str(tmp_path / "model"), "--output", str(tmp_path / "reusable")]
    assert main(argv) == 2
    assert "has the unknown flag colour" in capsys.readouterr().err


def test_a_range_that_nobody_said_is_warned_of(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_network(tmp_path / "network", "float32")
    convert(model, tmp_path / "reusable")
    assert "warning: nobody said --input_range, and 0,1 was given; " in capsys.readouterr().err
    assert not (tmp_path / "reusable" / "image_model.json").exists()
    convert(model, tmp_path / "other", "--input_range", "0,1")
    assert capsys.readouterr().err == ""


def test_what_no_flag_does_is_warned_of(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(saved_model("mean_color"), tmp_path / "model")
    said = {"size": {"height": 32, "width": 32}, "do_center_crop": True, "crop_size": 24}
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps(said))
    convert(str(tmp_path / "model"), tmp_path / "reusable")
    wanted = "it squashes to 32x32 and cuts 24x24 out of the middle, which no flag does\n"
    assert capsys.readouterr().err.endswith(wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_converted_is_refused_in_one_line(
    saved_model: SavedModel,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    assert main(["--model", saved_model(name), "--output", str(tmp_path / "reusable")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("convert_model: ")
    assert REFUSED[name] in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("uint8", ["--input_range", "-1,1"], "does nothing for a model of uint8 images"),
        ("mean_color", ["--image_size", "32"], "--image_size 32x32 does not fit the model"),
        ("features_and_logits", [], "choose one with --output_key"),
    ],
)
def test_flags_that_cannot_work_are_refused(
    saved_model: SavedModel,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    flags: list[str],
    message: str,
) -> None:
    assert main(["--model", saved_model(name), "--output", str(tmp_path / "new"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_holds_something_is_refused_before_any_work(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").touch()
    assert main(["--model", "no/such/model", "--output", str(tmp_path)]) == 2
    assert "is there already; choose an empty or new directory" in capsys.readouterr().err


def test_a_model_that_then_answers_differently_is_not_written(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drift(images: np.ndarray) -> np.ndarray:
        is_converted = any(tmp_path.glob(".reusable.*.partial"))
        return images.mean(axis=(1, 2)) + np.float32(is_converted)

    model = save_output(
        tmp_path / "drifting",
        lambda images: tf.ensure_shape(tf.numpy_function(drift, [images], tf.float32), [None, 3]),
    )
    assert main(["--model", model, "--output", str(tmp_path / "reusable")]) == 1
    assert "the model's answers differ by up to 1 from" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["drifting"]


def test_help_does_not_wait_for_tensorflow() -> None:
    program = (
        "import sys\n"
        "from pipelines.convert_model import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    assert 'tensorflow' not in sys.modules\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert "--input_range" in completed.stdout
