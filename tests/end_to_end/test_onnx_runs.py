"""Runs with an ONNX model, by the programs and transforms that take SavedModels."""

import json
import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from pipelines import classify, convert_model, inspect_model, search, train_classifier
from tests.support.images import encode, photo
from tests.support.onnx_models import (
    CLIP,
    answers,
    write_json,
    write_mean_color,
    write_network,
    write_vit,
)
from tests.support.runs import (
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    vectors_of,
    write_photos,
)
from transforms.inference.embed_images import EmbedImages

FROM_NAMES = ["--image_id_from", "filename", "--direct_num_workers", "1"]


def test_vectors_are_those_of_the_graph_and_the_run_says_what_ran_it(
    tmp_path: pathlib.Path,
) -> None:
    colours = write_photos(tmp_path / "photos", 12)
    model = write_mean_color(tmp_path / "model.onnx")
    output = tmp_path / "vectors"
    assert run_embed(model, output, "--input", str(tmp_path / "photos"), *FROM_NAMES) == 0
    table = read(output)
    wanted = [colours[name] for name in table["image_id"].to_pylist()]
    np.testing.assert_allclose(vectors_of(table), wanted, atol=1e-5)
    record = read_record(output)
    assert record["engines"][0]["engine"] == "openvino"
    assert record["engines"][0]["min_cosine"] is None
    assert record["recipe"]["model"]["kind"] == "graph"
    assert record["recipe"]["model"]["engine"] == "openvino"
    assert "openvino" in record["software"]


def test_blue_comes_first_of_a_range_that_is_given_and_the_recipe_says_so(
    tmp_path: pathlib.Path,
) -> None:
    ((name, colour),) = write_photos(tmp_path / "photos", 1).items()
    said = {"do_rescale": True, "do_normalize": False, "do_flip_channel_order": True}
    write_json(tmp_path, "preprocessor_config.json", said)
    model = write_mean_color(tmp_path / "model.onnx")
    for input_range, recipe in (("0,1", {}), ("0,255", {"is_bgr": True})):
        output = tmp_path / input_range
        argv = ["--input", str(tmp_path / "photos" / name), "--input_range", input_range]
        assert run_embed(model, output, *argv) == 0
        largest = float(input_range.partition(",")[2])
        wanted = [largest * np.array(colour)[::-1]]
        np.testing.assert_allclose(vectors_of(read(output)), wanted, rtol=1e-4)
        found = read_record(output)["recipe"]["model"]
        assert {key: value for key, value in found.items() if key == "is_bgr"} == recipe


def test_the_files_beside_a_model_decide_what_is_done_to_images(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    pixels = photo(24, 24)
    (tmp_path / "photos" / "a.png").write_bytes(encode(pixels))
    model = write_network(tmp_path / "clip" / "onnx" / "model.onnx", ["N", "C", "H", "W"])
    write_json(tmp_path / "clip", "preprocessor_config.json", CLIP)
    output = tmp_path / "vectors"
    argv = ["--input", str(tmp_path / "photos"), *FROM_NAMES]
    assert run_embed(str(tmp_path / "clip"), output, *argv) == 0
    said = "preprocessor_config.json of the model says --resize_mode crop --crop_fraction 1.0"
    assert said in capsys.readouterr().out
    mean, deviation = (np.array(CLIP[name], np.float32) for name in ("image_mean", "image_std"))
    normal = (pixels.astype(np.float32) / 255 - mean) / deviation
    wanted = answers(model, normal.transpose(2, 0, 1)[None].astype(np.float32))
    np.testing.assert_allclose(vectors_of(read(output)), wanted, atol=1e-4)
    # Another range is the user's word: the graph gets these pixels as they are.
    output = tmp_path / "given"
    argv += ["--input_range", "0,255"]
    assert run_embed(str(tmp_path / "clip"), output, *argv) == 0
    assert "which your flags overrule" in capsys.readouterr().out
    wanted = answers(model, pixels.astype(np.float32).transpose(2, 0, 1)[None])
    np.testing.assert_allclose(vectors_of(read(output)), wanted, rtol=1e-4, atol=1e-2)


def test_a_refresh_takes_what_the_night_before_has(tmp_path: pathlib.Path) -> None:
    write_photos(tmp_path / "photos", 6)
    model = write_mean_color(tmp_path / "model.onnx")
    argv = ["--input", str(tmp_path / "photos"), *FROM_NAMES]
    for _ in range(2):
        assert run_refresh(model, tmp_path / "runs", *argv) == 0
    assert read_record(latest(tmp_path / "runs"))["changes"]["unchanged"] == 6


def test_a_classifier_takes_its_names_from_config(tmp_path: pathlib.Path) -> None:
    write_photos(tmp_path / "photos", 3)
    write_mean_color(tmp_path / "model" / "model.onnx")
    names = {"id2label": {"0": "red", "1": "green", "2": "blue"}}
    write_json(tmp_path / "model", "config.json", names)
    argv = ["--model", str(tmp_path / "model"), "--input", str(tmp_path / "photos"), *FROM_NAMES]
    assert classify.main([*argv, "--output", str(tmp_path / "classes"), "--top_k", "1"]) == 0
    found = read(tmp_path / "classes")["class_label"].to_pylist()
    assert {name for names in found for name in names} <= {"red", "green", "blue"}


def test_images_are_searched_by_the_model_of_their_run(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 6)
    model = write_vit(tmp_path / "model.onnx")
    output = tmp_path / "vectors"
    assert run_embed(model, output, "--input", str(tmp_path / "photos"), *FROM_NAMES) == 0
    capsys.readouterr()
    image = sorted((tmp_path / "photos").iterdir())[2]
    argv = [str(output), "--image", str(image), "--output", str(tmp_path / "page.html")]
    assert search.main(argv) == 0
    assert image.name in capsys.readouterr().out


def test_the_transform_takes_onnx(tmp_path: pathlib.Path) -> None:
    model = write_mean_color(tmp_path / "model.onnx")
    red = encode(np.full((24, 24, 3), (255, 0, 0), np.uint8))

    def check(rows: list[Any]) -> None:
        np.testing.assert_allclose(rows[0].embedding, [1, 0, 0], atol=1e-5)

    with test_pipeline.TestPipeline() as pipeline:
        rows = pipeline | beam.Create([red]) | EmbedImages(model)
        assert_that(rows.rows, check)


def test_another_engine_is_refused_before_anything_is_written(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 1)
    model = write_mean_color(tmp_path / "model.onnx")
    argv = ["--input", str(tmp_path / "photos"), "--engine", "tensorflow"]
    assert run_embed(model, tmp_path / "vectors", *argv) == 2
    said = "--engine tensorflow runs SavedModels, and the model is ONNX: leave --engine out"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "vectors").exists()


def test_what_needs_a_saved_model_refuses_onnx_by_name(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 3)
    model = write_mean_color(tmp_path / "model.onnx")
    argv = ["--model", model, "--output", str(tmp_path / "reusable")]
    assert convert_model.main(argv) == 2
    assert f"{model} is ONNX, and convert_model writes SavedModels" in capsys.readouterr().err
    output = tmp_path / "vectors"
    assert run_embed(model, output, "--input", str(tmp_path / "photos")) == 0
    argv = ["--embeddings", str(output), "--output", str(tmp_path / "classifier")]
    capsys.readouterr()
    assert train_classifier.main(argv) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "is ONNX, and a classifier is a SavedModel" in said.err


def test_the_doctor_says_of_onnx_what_it_says_of_a_saved_model(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_network(tmp_path / "clip" / "model.onnx")
    write_json(tmp_path / "clip", "preprocessor_config.json", CLIP)
    assert inspect_model.main([str(tmp_path / "clip"), "--json"]) == 0
    told = capsys.readouterr()
    out = told.err
    for row in (
        "written by       test 7, opset 18",
        "format           ONNX: data and no code",
        "called as        the graph of model.onnx",
        "images           images: float32 [batch, 3, height, width]",
        "put before it    red, green, blue of 0,1 times 3.723, 3.827, 3.626, plus -1.792",
        "with 0,1         it sees -1.8 to 2.1, the right one",
        "--crop_fraction  1.0",
    ):
        assert row in out
    assert "with 0,255" not in out
    assert "trainable" not in out
    assert json.loads(told.out)["kind"] == "graph"
