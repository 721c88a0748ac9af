"""Runs by every engine: the same rows, what _run.json says of it, and when rows are reused."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import (
    contents,
    latest,
    read,
    run_embed,
    run_refresh,
    solid,
    vectors_of,
    write_photos,
)
from transforms.machine.cpu import has_bfloat16

SHAPES = [("tensorflow", "float32"), ("openvino", "float32")]
if has_bfloat16():
    SHAPES += [("tensorflow", "bfloat16"), ("openvino", "bfloat16")]


def run_json(run: pathlib.Path) -> dict[str, Any]:
    return json.loads((run / "_run.json").read_text())


@pytest.mark.parametrize(("engine", "precision"), SHAPES)
def test_a_run_says_what_ran_the_model_and_repeats_byte_for_byte(
    mean_color: str, tmp_path: pathlib.Path, engine: str, precision: str
) -> None:
    colours = write_photos(tmp_path / "photos", 40)
    argv = ["--input", str(tmp_path / "photos"), "--image_id_from", "filename"]
    argv += ["--engine", engine, "--precision", precision, "--batch_size", "8"]
    for name, more in (("once", []), ("twice", ["--direct_num_workers", "1"])):
        assert run_embed(mean_color, tmp_path / name, *argv, *more) == 0
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    table = read(tmp_path / "once")
    wanted = [colours[name] for name in table["image_id"].to_pylist()]
    np.testing.assert_allclose(
        vectors_of(table), wanted, atol=1e-5 if precision == "float32" else 0.01
    )
    record = run_json(tmp_path / "once")
    (found,) = record["engines"]
    is_reference = (engine, precision) == ("tensorflow", "float32")
    assert found.pop("min_cosine") is None if is_reference else found.pop("min_cosine") > 0.999
    assert found == {"engine": engine, "precision": precision, "device": "CPU", "batch_size": None}
    assert ("openvino" in record["software"]) is (engine == "openvino")
    footer = pq.read_schema(next((tmp_path / "once").glob("*.parquet"))).metadata
    assert (footer[b"engine"], footer[b"precision"]) == (engine.encode(), precision.encode())


def test_another_engine_recomputes_what_the_night_before_has(
    mean_color: str, tmp_path: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 20)
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, tmp_path / "root", *argv) == 0
    assert run_refresh(mean_color, tmp_path / "root", *argv) == 0
    assert run_json(latest(tmp_path / "root"))["inferences_saved"] == 20
    assert run_refresh(mean_color, tmp_path / "root", *argv, "--engine", "openvino") == 0
    record = run_json(latest(tmp_path / "root"))
    assert record["inferences_saved"] == 0
    assert record["recomputed_because"] == ('model.engine was "tensorflow", is "openvino"')


def test_auto_is_settled_before_the_run_and_is_what_its_precision_is(
    mean_color: str, tmp_path: pathlib.Path
) -> None:
    write_photos(tmp_path / "photos", 20)
    argv = ["--input", str(tmp_path / "photos")]
    settled = "bfloat16" if has_bfloat16() else "float32"
    assert run_refresh(mean_color, tmp_path / "root", *argv, "--precision", "auto") == 0
    record = run_json(latest(tmp_path / "root"))
    assert record["config"]["precision"] == "auto"
    assert record["recipe"]["model"]["precision"] == settled
    assert [engine["precision"] for engine in record["engines"]] == [settled]
    assert run_refresh(mean_color, tmp_path / "root", *argv, "--precision", settled) == 0
    assert run_json(latest(tmp_path / "root"))["inferences_saved"] == 20


def test_an_engine_that_cannot_run_the_model_ends_the_run_with_one_line(
    saved_model: Any,  # noqa: ANN401
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photos(tmp_path / "photos", 3)
    argv = ["--input", str(tmp_path / "photos"), "--engine", "openvino", "--image_size", "24"]
    assert run_embed(saved_model("loop_and_table"), tmp_path / "out", *argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "OpenVINO cannot convert this model, use --engine tensorflow: " in line
    assert not (tmp_path / "out").exists()


def test_the_batch_size_that_is_fastest_is_measured_in_a_run(
    mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [solid(n % 256, 0, 255) for n in range(1000)]
    pq.write_table(pa.table({"image": images}), tmp_path / "images.parquet")
    argv = ["--input", str(tmp_path / "images.parquet"), "--batch_size", "auto"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    record = run_json(tmp_path / "out")
    assert record["counts"]["written"] == 1000
    (found,) = record["engines"]
    assert found["batch_size"] in (16, 32, 64)
    assert f"{found['batch_size']} images a call, " in capsys.readouterr().out
