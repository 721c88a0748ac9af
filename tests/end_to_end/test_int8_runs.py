"""Runs in int8: quantized on the run's own images, once, judged before anything is published."""

import os
import pathlib
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import yaml

from pipelines import classify, embed, one_pass, search, verify
from tests.support.int8 import INT8, LOW, SIDE, add_photos, calibrate, save_network
from tests.support.onnx_models import write_network
from tests.support.runs import (
    contents,
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    vectors_of,
)
from transforms.errors import ModelError
from transforms.models.engine_settings import EngineSettings
from transforms.models.handle import fingerprint_model
from transforms.models.inspection import inspect_saved_model
from transforms.records import WrittenFile
from transforms.runs.directory import INT8_FILE
from transforms.steps.saved_model_handler import SavedModelHandler

pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_network(tmp_path_factory.mktemp("models") / "network")


@pytest.fixture(autouse=True)
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def calibrated(network: str, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return calibrate(network, tmp_path_factory.mktemp("calibrated"))


@pytest.fixture
def known(calibrated: pathlib.Path, cache: pathlib.Path) -> pathlib.Path:
    """The cache, with the model of the network and the photos."""
    shutil.copytree(calibrated, cache)
    return cache


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "photos"
    add_photos(directory, range(80))
    return directory


def test_a_run_says_what_int8_costs_and_the_next_one_calibrates_nothing(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    cache: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--input", str(photos), "--image_id_from", "filename", "--input_range", "0,1"]
    assert run_embed(network, tmp_path / "once", *argv, *INT8, *LOW) == 0
    told = capsys.readouterr()
    assert "calibrating on 40 images" in told.out
    assert "int8      calibrated on 40 images; of 40 others: cosine " in told.out
    assert "engine    openvino int8 on CPU, cosine to float32 0.99" in told.out
    assert told.err == ""
    found = read_record(tmp_path / "once")["quantization"]
    assert (found["calibration_images"], found["control_images"]) == (40, 40)
    assert 0.99 < found["cosine_least"] <= found["cosine_median"] < 1
    assert 0.5 < found["neighbour_overlap"] <= 1
    assert 0.5 < found["top_1_agreement"] <= 1
    assert read_record(tmp_path / "once")["recipe"]["model"]["quantized"] == found["sha256"]
    assert verify.main([str(tmp_path / "once")]) == 0

    assert run_embed(network, tmp_path / "twice", *argv, *INT8, *LOW) == 0
    assert "calibrating" not in capsys.readouterr().out
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")

    float32 = ["--engine", "openvino", "--image_size", str(SIDE)]
    assert run_embed(network, tmp_path / "float32", *argv, *float32) == 0
    ours, theirs = (vectors_of(read(tmp_path / name)) for name in ("once", "float32"))
    assert not np.array_equal(ours, theirs)
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.99

    with (tmp_path / "once" / INT8_FILE).open("ab") as file:
        file.write(b"more")
    assert verify.main([str(tmp_path / "once")]) == 1


@pytest.mark.parametrize("kind", ["SavedModel", "ONNX"])
def test_another_calibration_of_the_same_makes_the_same_bytes(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path, cache: pathlib.Path, kind: str
) -> None:
    """A nightly run in a new container has no cache, and one of a pass is not the first."""
    argv = ["--input", str(photos), *INT8, *LOW]
    if kind == "ONNX":
        network = write_network(tmp_path / "network.onnx", ("N", 3, SIDE, SIDE))
    assert run_embed(network, tmp_path / "a", *argv) == 0
    shutil.rmtree(cache)
    assert run_embed(network, tmp_path / "b", *argv) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_images_to_calibrate_on_that_are_not_there_are_named(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    (tmp_path / "empty").mkdir()
    argv = ["--input", str(photos), *INT8, "--calibration_images", str(tmp_path / name)]
    assert run_embed(network, tmp_path / "out", *argv) == 2
    assert f"--calibration_images {tmp_path / name}: " in capsys.readouterr().err


def test_of_boxes_the_crops_calibrate(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty photos are too few to calibrate on; their 80 boxes are enough."""
    lines = ["uri,x,y,width,height"]
    for photo in sorted(photos.iterdir())[:20]:
        lines += [f"{photo},{8 * place},{4 * place},16,20" for place in range(4)]
    listed = tmp_path / "boxes.csv"
    listed.write_text("\n".join(lines))
    argv = ["--boxes", "x,y,width,height", *INT8, *LOW]
    assert run_embed(network, tmp_path / "out", "--manifest", str(listed), *argv) == 0
    assert "calibrated on 40 images; of 40 others" in capsys.readouterr().out


def test_what_costs_too_much_is_refused_before_anything_is_computed(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--input", str(photos), *INT8, "--precision_floor", "1"]
    assert run_embed(network, tmp_path / "out", *argv) == 2
    line = capsys.readouterr().err
    assert "the overlap of the ten nearest neighbours with float32 is 0." in line
    assert "--precision_floor is 1" in line
    assert "NNCF's accuracy-aware mode would keep in float32 " in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "photos"]
    argv = ["--model", network, "--output", str(tmp_path / "out"), *argv]
    assert classify.main([*argv[:-1], "0"]) == 0


def test_a_resumed_run_keeps_its_model_although_the_cache_is_gone(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    known: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photos / "999.png").write_bytes(b"no image")
    argv = ["--input", str(photos), *INT8, *LOW]
    assert run_embed(network, tmp_path / "out", *argv, "--max_failed_fraction", "0") == 1
    kept = (tmp_path / ".out.staging" / INT8_FILE).read_bytes()
    shutil.rmtree(known)
    add_photos(photos, range(80, 160))
    capsys.readouterr()
    assert run_embed(network, tmp_path / "out", *argv, "--resume") == 0
    assert "calibrating" not in capsys.readouterr().out
    assert (tmp_path / "out" / INT8_FILE).read_bytes() == kept


def test_a_run_of_a_pass_keeps_its_model_too(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    known: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photos / "999.png").write_bytes(b"no image")
    flags = {
        "program": "embed", "input": [str(photos)], "model": network, "engine": "openvino",
        "precision": "int8", "image_size": str(SIDE), "precision_floor": 0.5,
        "output": str(tmp_path / "out"),
    }  # fmt: skip
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({**flags, "max_failed_fraction": 0.0}))
    assert one_pass.main(["--config", str(file)]) == 1
    kept = (tmp_path / ".out.staging" / INT8_FILE).read_bytes()
    shutil.rmtree(known)
    add_photos(photos, range(80, 160))
    file.write_text(yaml.safe_dump({**flags, "resume": True}))
    assert one_pass.main(["--config", str(file)]) == 0
    assert (tmp_path / "out" / INT8_FILE).read_bytes() == kept
    assert one_pass.main(["--config", str(file)]) == 0
    assert "there is nothing to resume" in capsys.readouterr().out


def test_a_run_that_completes_another_keeps_its_model(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    known: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photos / "999.png").write_bytes(b"no image")
    assert run_embed(network, tmp_path / "out", "--input", str(photos), *INT8, *LOW) == 0
    add_photos(photos, range(999, 1000))
    shutil.rmtree(known)
    capsys.readouterr()
    argv = ["--retry_failed", str(tmp_path / "out"), "--output", str(tmp_path / "new")]
    assert embed.main(argv) == 0
    assert "calibrating" not in capsys.readouterr().out
    record = read_record(tmp_path / "new")
    assert (record["counts"]["written"], record["inferences_saved"]) == (81, 80)
    kept = (tmp_path / "out" / INT8_FILE).read_bytes()
    assert (tmp_path / "new" / INT8_FILE).read_bytes() == kept


@pytest.mark.usefixtures("known")
def test_search_takes_the_model_that_made_the_vectors(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--input", str(photos), "--image_id_from", "filename"]
    assert run_embed(network, tmp_path / "out", *argv, *INT8, *LOW) == 0
    assert "calibrating" not in capsys.readouterr().out
    argv = ["--image", str(photos / "007.png"), "--output", str(tmp_path / "search.html")]
    assert search.main([str(tmp_path / "out"), *argv]) == 0
    assert " 1.0000  007.png" in capsys.readouterr().out


def test_a_refresh_keeps_the_model_of_the_night_before_until_it_is_asked_for_another(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    known: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--input", str(photos), *INT8, *LOW]
    assert run_refresh(network, tmp_path / "root", *argv) == 0
    shutil.rmtree(known)
    add_photos(photos, range(80, 160))
    capsys.readouterr()
    assert run_refresh(network, tmp_path / "root", *argv) == 0
    assert "calibrating" not in capsys.readouterr().out
    record = read_record(latest(tmp_path / "root"))
    assert (record["inferences_saved"], record["counts"]["written"]) == (80, 160)

    assert run_refresh(network, tmp_path / "root", *argv, "--calibration_images", "64") == 0
    record = read_record(latest(tmp_path / "root"))
    assert record["inferences_saved"] == 0
    assert record["recomputed_because"].startswith("model.quantized was ")
    assert record["quantization"]["calibration_images"] == 64


def test_a_directory_may_calibrate_and_a_new_image_in_it_makes_another_model(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    add_photos(tmp_path / "few", range(500, 503))
    argv = ["--input", str(tmp_path / "few"), *INT8, *LOW, "--calibration_images", str(photos)]
    assert run_refresh(network, tmp_path / "root", *argv) == 0
    assert read_record(latest(tmp_path / "root"))["quantization"]["calibration_images"] == 40
    assert run_refresh(network, tmp_path / "root", *argv) == 0
    assert read_record(latest(tmp_path / "root"))["inferences_saved"] == 3
    add_photos(photos, range(80, 100))
    assert run_refresh(network, tmp_path / "root", *argv) == 0
    assert read_record(latest(tmp_path / "root"))["inferences_saved"] == 0


def test_too_few_images_are_refused(
    network: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_photos(tmp_path / "few", range(20))
    assert run_embed(network, tmp_path / "out", "--input", str(tmp_path / "few"), *INT8) == 2
    assert "needs 64 different images that can be decoded" in capsys.readouterr().err


def test_a_plan_tries_int8_and_leaves_nothing(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_embed(network, tmp_path / "o", "--input", str(photos), *INT8, *LOW, "--plan") == 0
    assert "openvino int8" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "photos"]


def test_without_nncf_the_cure_is_said(
    network: str,
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    assert run_embed(network, tmp_path / "out", "--input", str(photos), *INT8) == 2
    assert "needs the package nncf: pip install '.[int8]'" in capsys.readouterr().err


WORKER = """
import pickle, sys
import numpy as np
handler = pickle.load(open(sys.argv[1], "rb"))
model = handler.load()
np.save(sys.argv[2], model(np.load(sys.argv[3])))
assert "nncf" not in sys.modules
"""


@pytest.mark.usefixtures("known")
def test_a_worker_elsewhere_takes_the_model_from_the_run_and_refuses_another(
    network: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert run_embed(network, tmp_path / "run", "--input", str(photos), *INT8, *LOW) == 0
    found = read_record(tmp_path / "run")["quantization"]
    path = tmp_path / "run" / INT8_FILE
    handler = SavedModelHandler(
        handle=network,
        fingerprint=fingerprint_model(network),
        spec=inspect_saved_model(network),
        image_size=(SIDE, SIDE),
        settings=EngineSettings(
            engine="openvino",
            precision="int8",
            quantized=WrittenFile(str(path), found["size_bytes"], found["sha256"]),
        ),
    )
    pixels = np.random.default_rng(0).random((5, SIDE, SIDE, 3), np.float32)
    (tmp_path / "handler").write_bytes(pickle.dumps(handler))
    np.save(tmp_path / "pixels.npy", pixels)
    answers = tmp_path / "answers.npy"
    subprocess.run(
        [sys.executable, "-c", WORKER, tmp_path / "handler", answers, tmp_path / "pixels.npy"],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "nothing")},
        check=True,
        timeout=300,
    )
    np.testing.assert_array_equal(np.load(answers), handler.load()(pixels))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="and the run began with"):
        handler.load()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--precision", "int8", "--engine", "tensorflow"],
            "--precision int8 needs --engine openvino, got tensorflow",
        ),
        (["--calibration_images", "40"], "--calibration_images does nothing without --precision"),
        (["--precision_floor", "0.5"], "--precision_floor does nothing without --precision int8"),
        ([*INT8, "--calibration_images", "8"], "--calibration_images must be at least 32, got 8"),
        ([*INT8, "--precision_floor", "1.5"], "--precision_floor must be from 0 to 1, got 1.5"),
    ],
)
def test_flags_that_do_not_go_together(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    assert run_embed("model", tmp_path / "out", "--input", "photos", *argv) == 2
    assert message in capsys.readouterr().err


def test_a_transform_of_another_pipeline_has_no_images_to_calibrate_on(
    mean_color: str, saved_model: Callable[[str], str]
) -> None:
    from transforms.errors import FlagError
    from transforms.inference.model_options import ModelOptions

    with pytest.raises(FlagError, match="int8 is calibrated on the images of a run"):
        ModelOptions(engine="openvino", precision="int8").settle(mean_color)
