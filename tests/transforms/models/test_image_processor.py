"""What Hugging Face's and timm's files say of images, as flags."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from tests.support.onnx_models import (
    CLIP,
    answers,
    mean_nodes,
    node,
    write_json,
    write_mean_color,
    write_onnx,
)
from transforms.errors import ModelError
from transforms.models.contract import inspect_model
from transforms.models.image_model import ImageModel
from transforms.models.image_processor import ImageProcessor, read_image_processor
from transforms.models.notes import beyond_flags, encode_notes, name_notes, read_notes

HALF = [0.5, 0.5, 0.5]
TIMM = {
    "input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic", "mean": HALF,
    "std": HALF, "crop_mode": "center",
}  # fmt: skip
WHOLE = {
    "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "resample": 3,
    "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "image_mean": HALF,
    "image_std": HALF, "do_rescale": True, "do_normalize": True,
}  # fmt: skip
STANDARDIZED = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def read(directory: pathlib.Path, name: str, content: object) -> ImageProcessor:
    write_json(directory, name, content)
    return read_image_processor(write_mean_color(directory / "model.onnx"))


@pytest.mark.parametrize(
    ("said", "size", "flags"),
    [
        (
            {"image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 192},
             "resample": 2, "image_mean": HALF, "image_std": HALF},
            (224, 192),
            {"resize_mode": "squash", "interpolation": "bilinear", "antialias": True,
             "input_range": "-1,1"},
        ),
        (
            {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256},
             "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "resample": 3,
             **IMAGENET},
            (224, 224),
            {"resize_mode": "crop", "crop_fraction": 0.875, "interpolation": "bicubic",
             "antialias": True, "input_range": "imagenet"},
        ),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224,
             "do_center_crop": True, "resample": 3, "do_normalize": False},
            (224, 224),
            {"resize_mode": "crop", "crop_fraction": 1.0, "interpolation": "bicubic",
             "antialias": True, "input_range": "0,1"},
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224},
             "crop_pct": 0.875, "resample": 0, "do_rescale": False, "do_normalize": False},
            (224, 224),
            {"resize_mode": "crop", "crop_fraction": 0.875, "interpolation": "nearest",
             "antialias": False, "input_range": "0,255"},
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384},
             "crop_pct": 0.875, "resample": 3, **IMAGENET},
            (384, 384),
            {"resize_mode": "squash", "interpolation": "bicubic", "antialias": True,
             "input_range": "imagenet"},
        ),
        (
            {"image_processor_type": "PerceiverImageProcessor",
             "size": {"height": 224, "width": 224}, "do_center_crop": True,
             "crop_size": {"height": 256, "width": 256}, "resample": 3, **IMAGENET},
            (224, 224),
            {"resize_mode": "crop", "crop_fraction": 0.875, "interpolation": "bicubic",
             "antialias": True, "input_range": "imagenet"},
        ),
        (
            {"image_processor_type": "MobileNetV2ImageProcessor", "rescale_factor": 1 / 127.5,
             "rescale_offset": True, "do_resize": False, "do_normalize": False},
            None,
            {"input_range": "-1,1"},
        ),
    ],
)  # fmt: skip
def test_what_transformers_writes_becomes_flags(
    tmp_path: pathlib.Path,
    said: dict[str, Any],
    size: tuple[int, int] | None,
    flags: dict[str, Any],
) -> None:
    found = read(tmp_path, "preprocessor_config.json", said)
    assert found == ImageProcessor(
        source="preprocessor_config.json", flags=flags, image_size=size
    )  # fmt: skip


def test_a_mean_that_no_flag_has_is_left_to_the_graph(tmp_path: pathlib.Path) -> None:
    found = read(tmp_path, "preprocessor_config.json", CLIP)
    assert found.flags["input_range"] == "0,1"
    assert found.scale == pytest.approx([1 / 0.26862954, 1 / 0.26130258, 1 / 0.27577711])
    assert found.shift[0] == pytest.approx(-0.48145466 / 0.26862954)


def test_efficientnet_divides_twice(tmp_path: pathlib.Path) -> None:
    said = {"image_processor_type": "EfficientNetImageProcessor", "include_top": True}
    found = read(tmp_path, "preprocessor_config.json", {**said, **IMAGENET})
    assert found.scale == pytest.approx([1 / 0.229**2, 1 / 0.224**2, 1 / 0.225**2])


def test_what_timm_writes_becomes_flags(tmp_path: pathlib.Path) -> None:
    said = {
        "input_size": [3, 224, 224], "crop_pct": 0.9, "interpolation": "bicubic",
        "mean": HALF, "std": HALF, "crop_mode": "center",
    }  # fmt: skip
    found = read(tmp_path, "config.json", {"pretrained_cfg": said, "num_classes": 1000})
    assert (found.source, found.image_size, found.scale) == ("config.json", (224, 224), ())
    assert found.flags == {
        "resize_mode": "crop", "crop_fraction": 0.9, "interpolation": "bicubic", "antialias": True,
        "input_range": "-1,1",
    }  # fmt: skip
    said |= {"crop_mode": "squash", "crop_pct": 1.0}
    found = read(tmp_path, "config.json", {"pretrained_cfg": said})
    assert found.flags["resize_mode"] == "squash"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"architecture": "resnet50", **TIMM}),
        ("preprocessor_config.json",
         {"image_processor_type": "TimmWrapperImageProcessor", "data_config": TIMM}),
        ("preprocessor_config.json", {"image_processor": WHOLE}),
        ("processor_config.json", {"processor_class": "CLIPProcessor", "image_processor": WHOLE}),
    ],
    ids=["timm before 0.9", "timm in transformers", "nested", "transformers since 5"],
)  # fmt: skip
def test_what_is_said_at_other_places_is_found(
    tmp_path: pathlib.Path, name: str, content: dict[str, Any]
) -> None:
    found = read(tmp_path, name, content)
    assert (found.source, found.image_size) == (name, (224, 224))
    assert found.flags == {
        "resize_mode": "crop", "crop_fraction": 0.875, "interpolation": "bicubic",
        "antialias": True, "input_range": "-1,1",
    }  # fmt: skip


def test_of_two_files_transformers_newer_one_is_taken(tmp_path: pathlib.Path) -> None:
    write_json(tmp_path, "preprocessor_config.json", CLIP)
    found = read(tmp_path, "processor_config.json", {"image_processor": WHOLE})
    assert found.source == "processor_config.json"
    found = read(tmp_path, "processor_config.json", {"processor_class": "CLIPProcessor"})
    assert found.source == "preprocessor_config.json"


@pytest.mark.parametrize("content", [{}, {"image_processor_type": "CLIPImageProcessor"}])
def test_a_file_that_says_nothing_of_the_range_does_not_choose_one(
    tmp_path: pathlib.Path, content: dict[str, Any]
) -> None:
    assert "input_range" not in read(tmp_path, "preprocessor_config.json", content).flags


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_the_files_of_a_saved_model_are_read(
    tmp_path: pathlib.Path, saved_model: Callable[[str], str], place: str
) -> None:
    model = tmp_path / "vit" / "saved_model" / "1"
    shutil.copytree(saved_model("mean_color"), model)
    write_json(model / place, "preprocessor_config.json", WHOLE)
    assert read_notes(str(model))["input_range"] == "-1,1"
    write_json(model / place, "preprocessor_config.json", {**WHOLE, **STANDARDIZED})
    assert "input_range" not in read_notes(str(model))
    assert "it standardizes pixels by a mean" in beyond_flags(str(model))
    flipped = {"do_flip_channel_order": True}
    write_json(model / place, "preprocessor_config.json", {**WHOLE, **flipped})
    assert beyond_flags(str(model)).endswith("it takes blue first, of -1,1")
    write_json(model / place, "preprocessor_config.json", {**WHOLE, **STANDARDIZED, **flipped})
    assert beyond_flags(str(model)).endswith("it takes blue first, by a mean of its own")


def test_the_files_beside_several_saved_models_are_let_lie(
    tmp_path: pathlib.Path, saved_model: Callable[[str], str]
) -> None:
    for name in ("one", "two"):
        shutil.copytree(saved_model("mean_color"), tmp_path / name)
    write_json(tmp_path, "preprocessor_config.json", WHOLE)
    assert read_notes(str(tmp_path / "one")) == {}


def with_metadata(path: pathlib.Path, **said: str) -> str:
    """Writes a graph of mean colours that says something of its pixels, as Custom Vision does."""
    write_mean_color(path)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {f"Image.{name}": value for name, value in said.items()})
    onnx.save(model, path)
    return str(path)


@pytest.mark.parametrize(
    ("nominal", "flags"),
    [
        ("NominalRange_0_255", {"input_range": "0,255"}),
        ("Normalized_0_1", {"input_range": "0,1"}),
        ("Normalized_1_1", {"input_range": "-1,1"}),
        ("NominalRange_16_235", {}),
        ("", {}),
    ],
)
def test_what_an_onnx_file_says_itself_becomes_flags(
    tmp_path: pathlib.Path, nominal: str, flags: dict[str, Any]
) -> None:
    said = {"BitmapPixelFormat": "Rgb8", "NominalPixelRange": nominal}
    path = with_metadata(tmp_path / "cats.onnx", **said)
    assert read_notes(path) == flags
    assert name_notes(path) == ("cats.onnx" if flags else "image_model.json")
    write_json(tmp_path, "preprocessor_config.json", WHOLE)
    assert read_notes(path)["input_range"] == "-1,1"


def test_an_onnx_file_that_wants_levels_of_blue_first_gets_them(tmp_path: pathlib.Path) -> None:
    said = {"BitmapPixelFormat": "Bgr8", "NominalPixelRange": "NominalRange_0_255"}
    path = with_metadata(tmp_path / "model.onnx", **said)
    assert read_notes(path) == {"input_range": "0,1"}
    images = np.random.default_rng(0).random((3, 24, 24, 3), np.float32)
    levels = 255 * images
    wanted = answers(path, levels[..., ::-1].transpose(0, 3, 1, 2))
    # Of another range that the user gives the order stays, but where it is so already.
    pixels = {"0,1": images, "0,255": levels, "caffe": levels[..., ::-1]}
    for input_range, given in pixels.items():
        spec = inspect_model(path).for_range(input_range)
        vectors = ImageModel(path, spec, image_size=(24, 24))(given)
        np.testing.assert_allclose(vectors, wanted, rtol=1e-5)


@pytest.mark.parametrize("said", [WHOLE, CLIP], ids=["a range", "a mean of its own"])
def test_a_graph_of_uint8_images_scales_them_itself(
    tmp_path: pathlib.Path, said: dict[str, Any]
) -> None:
    write_json(tmp_path, "preprocessor_config.json", said)
    nodes = [node("Cast", "images", "levels", to=TensorProto.FLOAT), *mean_nodes("levels")]
    path = tmp_path / "model.onnx"
    write_onnx(path, nodes, {"vectors": ["N", 3]}, dtype=TensorProto.UINT8)
    found = read_image_processor(str(path))
    assert "input_range" not in found.flags
    assert (found.scale, found.flags["resize_mode"]) == ((), "crop")


def test_what_no_flag_does_is_said(tmp_path: pathlib.Path) -> None:
    said = {
        "image_processor_type": "DeiTImageProcessor", "size": {"height": 256, "width": 256},
        "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "resample": 3,
        **IMAGENET,
    }  # fmt: skip
    found = read(tmp_path, "preprocessor_config.json", said)
    assert (found.flags, found.image_size) == ({"input_range": "imagenet"}, (224, 224))
    assert beyond_flags(str(tmp_path / "model.onnx")) == (
        "preprocessor_config.json: it squashes to 256x256 and cuts 224x224 out of the middle"
    )
    for resample in (5, [3], {"filter": 3}):
        other = {**said, "do_center_crop": False, "resample": resample}
        assert read(tmp_path, "preprocessor_config.json", other).unsaid == (
            "it resizes by another filter"
        )
    long = {"size": {"longest_edge": 512}, "resample": 2}
    assert "it resizes to {'long" in read(tmp_path, "preprocessor_config.json", long).unsaid
    cut = {"do_resize": False, "do_center_crop": True, "crop_size": 224}
    assert "resizes nothing" in read(tmp_path, "preprocessor_config.json", cut).unsaid
    wide = {"size": {"shortest_edge": 224}, "resample": 2}
    assert "cuts nothing" in read(tmp_path, "preprocessor_config.json", wide).unsaid


def test_our_own_notes_come_before_theirs(tmp_path: pathlib.Path) -> None:
    model = write_mean_color(tmp_path / "model.onnx")
    assert (read_notes(model), name_notes(model)) == ({}, "image_model.json")
    write_json(tmp_path, "preprocessor_config.json", CLIP)
    assert name_notes(model) == "preprocessor_config.json"
    (tmp_path / "image_model.json").write_text(encode_notes({"resize_mode": "pad"}))
    assert read_notes(model)["resize_mode"] == "pad"
    assert read_notes(model)["interpolation"] == "bicubic"
    assert name_notes(model) == "image_model.json and preprocessor_config.json"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read .*preprocessor_config.json"),
        ("[]", "holds no JSON object"),
        ('{"size": {"height": "big", "width": 3}}', r"size is 'big', want a side from 1 to"),
        ('{"size": {"shortest_edge": 1e9}, "do_center_crop": true, "crop_size": 3}', "want a side"),
        ('{"image_mean": [0.5], "image_std": [0, 1, 1]}', "image_std is .*want three numbers over"),
        ('{"image_mean": "x", "image_std": [1]}', "image_mean is 'x', want three numbers"),
        ('{"do_normalize": true}', "image_mean is 'None', want three numbers"),
        ('{"rescale_factor": -1}', "rescale_factor is '-1', want a number over 0"),
        ('{"rescale_factor": NaN}', "rescale_factor is 'nan', want a number over 0"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: pathlib.Path, content: str, message: str) -> None:
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_image_processor(str(tmp_path / "model.onnx"))
