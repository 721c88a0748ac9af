import pathlib
import shutil

import pytest

from tests.support.onnx_models import write_json, write_mean_color
from transforms.inference.model_options import ModelOptions

SQUASHING = {"size": {"height": 32, "width": 32}, "do_center_crop": True, "crop_size": 24}
UNSAID = "it squashes to 32x32 and cuts 24x24 out of the middle, which no argument does"


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
