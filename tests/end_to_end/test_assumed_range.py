"""A range that nobody chose, and a model that scales pixels itself: every program that is asked."""

import json
import pathlib
import shutil
import types
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from pipelines import classify, convert_model, embed, inspect_model, refresh, train_classifier
from tests.support.colours import write_colours
from tests.support.models import save_output
from tests.support.onnx_models import write_json
from tests.support.runs import read, read_record, run_embed, run_refresh, vectors_of, write_photos
from transforms.models.notes import NOTES_FILE, encode_notes
from transforms.runs.directory import RUN_FILE

KERNEL = np.eye(3, dtype=np.float32)[None, None]
WANTED = "--input_range 0,255, of which it sees -1 to 1"


@pytest.fixture(scope="module")
def scaling(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of the mean colour that takes 0..255: Rescaling(1 / 127.5, offset=-1), a layer."""

    def call(images: tf.Tensor) -> tf.Tensor:
        scaled = tf.nn.conv2d(images / 127.5 - 1, KERNEL, 1, "SAME")
        return tf.reduce_mean(scaled, axis=[1, 2])

    return save_output(tmp_path_factory.mktemp("models") / "scaling", call)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("photos")
    write_colours(folder)
    return str(folder)


@pytest.mark.parametrize("program", [embed, classify])
@pytest.mark.parametrize("flags", [[], ["--plan"]])
def test_a_run_stops_and_leaves_nothing_behind(
    scaling: str,
    photos: str,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    program: types.ModuleType,
    flags: list[str],
) -> None:
    argv = ["--model", scaling, "--input", photos, "--output", str(tmp_path / "out"), *flags]
    assert program.main(argv) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert "of --input_range 0,1, the default, its first convolution sees -1.000 to" in message
    assert WANTED in message
    assert list(tmp_path.iterdir()) == []
    # As the message says it, in the same place.
    assert program.main([*argv, "--input_range", "0,255"]) == 0


def test_the_range_that_is_named_gives_the_right_answers(
    scaling: str, tmp_path: pathlib.Path
) -> None:
    means = write_photos(tmp_path / "photos", 5)
    flags = ["--input", str(tmp_path / "photos"), "--input_range", "0,255"]
    assert run_embed(scaling, tmp_path / "out", *flags) == 0
    vectors = vectors_of(read(tmp_path / "out"))
    np.testing.assert_allclose(vectors, np.array(list(means.values())) * 2 - 1, atol=1e-5)


def test_a_range_that_is_given_overrules(scaling: str, photos: str, tmp_path: pathlib.Path) -> None:
    assert run_embed(scaling, tmp_path / "a", "--input", photos, "--input_range", "0,1") == 0
    assert read_record(tmp_path / "a")["input_range_is_assumed"] is False
    noted = shutil.copytree(scaling, tmp_path / "noted")
    (noted / NOTES_FILE).write_text(encode_notes({"input_range": "0,1"}))
    assert run_embed(str(noted), tmp_path / "b", "--input", photos) == 0
    assert read_record(tmp_path / "b")["input_range_is_assumed"] is False


def test_a_file_that_describes_another_graph_overrules_nothing(
    scaling: str, photos: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(scaling, tmp_path / "vit")
    write_json(model, "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    stops = "of --input_range -1,1, as preprocessor_config.json says, its first convolution sees"
    assert run_embed(str(model), tmp_path / "a", "--input", photos) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert stops in message
    assert WANTED in message
    argv = ["--model", str(model), "--output", str(tmp_path / "reusable")]
    assert convert_model.main(argv) == 2
    assert stops in capfd.readouterr().err
    assert inspect_model.main([str(model)]) == 0
    told = capfd.readouterr().out
    assert "0,255; of -1,1, as preprocessor_config.json says, it sees next to nothing" in told
    assert f"--model {model} --input_range 0,255 --output vectors/" in told
    # What the user or image_model.json says is of this graph.
    flags = ["--input", photos, "--input_range", "-1,1"]
    assert run_embed(str(model), tmp_path / "a", *flags) == 0
    (model / NOTES_FILE).write_text(encode_notes({"input_range": "-1,1"}))
    assert run_embed(str(model), tmp_path / "b", "--input", photos) == 0


def test_a_file_that_describes_this_graph_is_followed(
    mean_color: str, photos: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(mean_color, tmp_path / "vit")
    write_json(model, "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    assert run_embed(str(model), tmp_path / "out", "--input", photos) == 0
    assert "warning" not in capfd.readouterr().err
    record = read_record(tmp_path / "out")
    assert record["preprocessing"]["input_range"] == "-1,1"
    assert record["input_range_is_assumed"] is False


def test_a_model_of_uint8_images_runs_whatever_a_file_says(
    saved_model: Callable[[str], str],
    photos: str,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = shutil.copytree(saved_model("uint8"), tmp_path / "vit")
    write_json(model, "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    assert run_embed(str(model), tmp_path / "out", "--input", photos) == 0
    assert "uint8 images, which are 0..255: its --input_range does" in capfd.readouterr().out
    assert read_record(tmp_path / "out")["config"]["input_range"] == "0,1"
    assert convert_model.main(["--model", str(model), "--output", str(tmp_path / "new")]) == 0
    assert inspect_model.main([str(model)]) == 0
    assert "input_range" not in capfd.readouterr().out.partition("run it")[2]


def test_a_model_that_cannot_be_told_runs(
    mean_color: str, photos: str, tmp_path: pathlib.Path
) -> None:
    assert run_embed(mean_color, tmp_path / "out", "--input", photos) == 0
    assert read_record(tmp_path / "out")["input_range_is_assumed"] is True


def test_refresh_stops_and_goes_on_from_a_run_whose_range_was_given(
    scaling: str, photos: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert run_refresh(scaling, root, "--input", photos) == 2
    assert WANTED in capfd.readouterr().err
    assert run_refresh(scaling, root, "--input", photos, "--input_range", "0,255") == 0
    assert refresh.main(["--model", scaling, "--output_root", str(root), "--input", photos]) == 2


def test_train_classifier_refuses_vectors_of_a_range_that_nobody_chose(
    scaling: str, photos: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    flags = ["--input_range", "0,1", "--image_id_from", "relative_path"]
    assert run_embed(scaling, run, "--input", photos, *flags) == 0
    argv = ["--embeddings", str(run), "--output", str(tmp_path / "classifier")]
    assert train_classifier.main(argv) == 0
    # As runs were written before they said so.
    record = json.loads((run / RUN_FILE).read_text())
    del record["input_range_is_assumed"]
    (run / RUN_FILE).write_text(json.dumps(record))
    assert train_classifier.main([*argv[:-1], str(tmp_path / "other")]) == 2
    message = capfd.readouterr().err.splitlines()[-1]
    assert WANTED in message
    assert message.endswith("embed again")


def test_convert_model_stops_and_builds_in_what_is_given(
    scaling: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    argv = ["--model", scaling, "--output", str(tmp_path / "reusable")]
    assert convert_model.main(argv) == 2
    assert WANTED in capfd.readouterr().err
    assert convert_model.main([*argv, "--input_range", "0,255"]) == 0
    assert inspect_model.main([str(tmp_path / "reusable")]) == 0
    assert "with 0,1         it sees -1 to 1, the right one" in capfd.readouterr().out


def test_inspect_model_prints_what_is_seen_and_the_command_that_is_right(
    scaling: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert inspect_model.main([scaling]) == 0
    told, commands = capfd.readouterr().out.split("run it\n")
    assert "with 0,1         it sees -1.000 to -0.992, next to nothing" in told
    assert "with 0,255       it sees -1 to 1, the right one" in told
    assert "--input_range    0,255, by what the first layer sees" in told
    assert all("--input_range 0,255" in command for command in commands.splitlines())


def test_inspect_model_says_that_channels_are_turned_and_what_it_cannot_tell(
    mean_color: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    turned = save_output(
        tmp_path, lambda x: tf.reduce_mean(tf.nn.conv2d(x[..., ::-1], KERNEL, 1, "SAME"), [1, 2])
    )
    assert inspect_model.main([turned]) == 0
    told, commands = capfd.readouterr().out.split("run it\n")
    assert "BGR: the model turns RGB round itself" in told
    assert "with caffe       it sees -124 to 131" in told
    assert "what it was trained on, as its page or its training code says" in told
    assert all("--input_range RANGE" in command for command in commands.splitlines())
    assert inspect_model.main([mean_color]) == 0
    assert "cannot be told   it has no convolution" in capfd.readouterr().out
