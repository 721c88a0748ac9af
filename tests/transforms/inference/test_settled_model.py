import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.onnx_models import write_json, write_mean_color
from transforms.errors import FlagError, ModelError
from transforms.inference.model_options import ModelOptions

STANDARDIZED = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}  # -1,1
SQUASHING = {"size": {"height": 32, "width": 32}, "do_center_crop": True, "crop_size": 24}
UNSAID = "it squashes to 32x32 and cuts 24x24 out of the middle, which no argument does"


@pytest.mark.parametrize("size", [24, "24", np.int64(24), (24, 24), [24, 24], "24x24"])
def test_a_size_is_what_it_is_on_a_command_line(mean_color: str, size: Any) -> None:  # noqa: ANN401
    settled = ModelOptions(image_size=size, input_range="0,1").settle(pathlib.Path(mean_color))
    assert settled.policy.image_size == (24, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "24,24"}, "image_size: got '24,24', wanted 224 or HEIGHTxWIDTH"),
        ({"image_size": (24, 24, 3)}, r"image_size: got \(24, 24, 3\), wanted 224 or HEIGHTxWIDTH"),
        ({"antialias": "false"}, "--antialias must be true or false, got 'false'"),
        ({"max_image_bytes": "1000"}, "--max_image_bytes must be a number, got '1000'"),
        ({"crop_fraction": True}, "--crop_fraction must be a number, got True"),
        ({"num_model_threads": "2"}, "num_model_threads must be a number, at least 1, got '2'"),
        ({"batch_size": True}, "batch_size must be a number, at least 1, .* got True"),
    ],
)
def test_a_value_of_another_type_is_refused(
    mean_color: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FlagError, match=message):
        ModelOptions(**{"input_range": "0,1", **options}).settle(mean_color)
    with pytest.raises(FlagError, match="model must be a path or URI, got None"):
        ModelOptions().settle(None)  # type: ignore[arg-type]


def test_a_model_of_uint8_images_takes_levels_whatever_a_file_says(
    tmp_path: pathlib.Path, saved_model: Callable[[str], str]
) -> None:
    model = shutil.copytree(saved_model("uint8"), tmp_path / "model")
    write_json(model, "preprocessor_config.json", STANDARDIZED)
    assert ModelOptions().settle(str(model)).policy.pixel_range == (0, 255)
    with pytest.raises(FlagError, match=r"-1,1 does nothing .*; drop it"):
        ModelOptions(input_range="-1,1").settle(str(model))
    write_json(model, "image_model.json", {"format_version": 1, "flags": {"input_range": "0,255"}})
    assert ModelOptions().settle(str(model)).policy.input_range == "0,255"


def test_the_size_that_a_file_says_is_taken_where_the_model_takes_any(
    tmp_path: pathlib.Path, saved_model: Callable[[str], str]
) -> None:
    model = shutil.copytree(saved_model("dynamic_module"), tmp_path / "any")
    with pytest.raises(ModelError, match="several sizes, any x any"):
        ModelOptions().settle(str(model))
    write_json(model, "preprocessor_config.json", {"size": {"height": 48, "width": 32}})
    assert ModelOptions().settle(str(model)).policy.image_size == (48, 32)
    assert ModelOptions(image_size=(24, 24)).settle(str(model)).policy.image_size == (24, 24)
    fixed = shutil.copytree(saved_model("mean_color"), tmp_path / "fixed" / "model")
    write_json(fixed, "preprocessor_config.json", {"size": {"height": 48, "width": 32}})
    assert ModelOptions().settle(str(fixed)).policy.image_size == (24, 24)


def test_numbers_of_numpy_are_written_as_numbers(mean_color: str) -> None:
    options: dict[str, Any] = {"input_range": "0,1", "resize_mode": "crop"}
    scalars = {"crop_fraction": np.float32(0.5), "antialias": np.True_}
    settled = ModelOptions(**options, **scalars).settle(mean_color)  # type: ignore[arg-type]
    plain = ModelOptions(**options, crop_fraction=0.5, antialias=True).settle(mean_color)
    assert settled.policy.fingerprint() == plain.policy.fingerprint()


@pytest.mark.parametrize("is_onnx", [False, True])
def test_what_a_model_wants_and_no_argument_does_is_warned_of(
    tmp_path: pathlib.Path, mean_color: str, caplog: pytest.LogCaptureFixture, is_onnx: bool
) -> None:
    model = tmp_path / "model"
    if is_onnx:
        model.mkdir()
        write_mean_color(model / "model.onnx")
    else:
        shutil.copytree(mean_color, model)
    options = ModelOptions(input_range="0,1")
    options.settle(str(model))
    assert caplog.text == ""
    write_json(model, "preprocessor_config.json", SQUASHING)
    options.settle(str(model))
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert f"preprocessor_config.json: {UNSAID}" in warning.message
    caplog.clear()
    ModelOptions(input_range="0,1", resize_mode="crop").settle(str(model))
    assert caplog.text == ""
