import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pipelines import embed
from pipelines.inspect_model import main
from tests.support.models import save_logits
from tests.support.onnx_models import write_json

SavedModel = Callable[[str], str]


def report(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, str]:
    """The report's rows by name; the commands under "run it" in order."""
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = lines[lines.index("run it") + 1 :]
    rows = [line for line in lines[: lines.index("run it")] if line.startswith("  ")]
    return {
        **{line[2:19].strip(): line[19:] for line in rows},
        "commands": "\n".join(command.strip() for command in commands),
    }


def test_a_classifier_is_described_with_its_labels(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_logits(tmp_path / "my model", labels=["red", "green", "blue"])
    rows = report(capsys, model)
    assert rows["called as"] == "the object itself"
    assert rows["images"] == "images: float32 [batch, height, width, 3]"
    assert rows["image size"] == "24x24 (height x width)"
    assert rows["variables"] == "1 with 1 parameters"
    assert rows["trainable"] == "1 variables"
    assert rows["regularization"] == "0 losses"
    assert rows["output"] == "float32 [batch, 3]"
    assert rows["labels"] == f"3 of {model}/labels.txt"
    assert rows["values"] == "no probabilities (logits or features)"
    assert "--labels" not in rows
    assert rows["commands"].splitlines() == [
        f"python -m pipelines.classify --input photos/ --model {shlex.quote(model)} "
        "--input_range RANGE --output classes/",
        f"python -m pipelines.embed --input photos/ --model {shlex.quote(model)} "
        "--input_range RANGE --output vectors/",
    ]


def test_what_the_files_do_not_say_is_listed_with_its_flag(
    saved_model: SavedModel, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = report(capsys, saved_model("dynamic_module"))
    assert rows["image size"] == "any size (height x width)"
    assert rows["hyperparameters"] == "batch_norm_momentum=0.99 (left at these)"
    assert rows["training"] == "optional, False here"
    assert rows["values"] == "not probed: the image size is not known"
    assert rows["--image_size"] == "needed: the model takes several sizes"
    assert {"--input_range", "--labels"} <= set(rows)
    assert "--image_size SIZE" in rows["commands"]
    rows = report(capsys, saved_model("dynamic_module"), "--image_size", "24x32")
    assert rows["regularization"] == "1 losses"
    assert "--image_size" not in rows
    assert "--image_size 24x32" in rows["commands"]
    noted = shutil.copytree(saved_model("dynamic_module"), tmp_path / "noted")
    write_json(noted, "preprocessor_config.json", {"size": {"height": 24, "width": 32}})
    assert "--image_size" not in report(capsys, str(noted))["commands"]


def test_probabilities_need_no_activation(
    saved_model: SavedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = report(capsys, saved_model("dict_output"), "--output_key", "probabilities")
    assert rows["values"].startswith("probabilities")
    assert rows["--activation"] == "none: it returns probabilities"
    classify = rows["commands"].splitlines()[0]
    assert "--output_key probabilities" in classify
    assert classify.endswith("--output classes/ --activation none")


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("dynamic_module", True),
        ("tf1_hub", True),
        ("tf_keras_saved", False),
        ("keras_export", False),
        ("signature_only", False),
    ],
)
def test_a_range_that_nobody_knows_is_left_to_the_user(
    saved_model: SavedModel, capsys: pytest.CaptureFixture[str], name: str, *, is_told: bool
) -> None:
    model = saved_model(name)
    rows = report(capsys, model)
    commands = rows["commands"].splitlines()
    assert all(("--input_range RANGE" in command) != is_told for command in commands)
    if not is_told:
        assert "was trained on" in rows["--input_range"]
        assert embed.main([*shlex.split(commands[-1])[3:]]) == 2
        assert "--input_range" in capsys.readouterr().err


def test_labels_that_lie_beside_features_are_no_fault(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_logits(tmp_path, num_classes=4, labels=["red", "green", "blue"])
    rows = report(capsys, model)
    assert "labels" not in rows
    assert rows["--labels"].startswith("those beside the model do not fit: 3 labels")
    assert "pipelines.classify" not in rows["commands"]
    assert main([model, "--labels", f"{model}/labels.txt"]) == 2
    assert "3 labels do not fit a model with 4 outputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "format_", "called"),
    [
        ("tf1_hub", "TF1 Hub module", "signature default"),
        ("keras_export", "SavedModel", "signature serving_default"),
    ],
)
def test_other_formats_are_named(
    saved_model: SavedModel,
    capsys: pytest.CaptureFixture[str],
    name: str,
    format_: str,
    called: str,
) -> None:
    rows = report(capsys, saved_model(name))
    assert (rows["format"], rows["called as"]) == (format_, called)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("nested", [], "choose a part of it with --signature"),
        ("features_and_logits", [], "choose one with --output_key"),
        ("mean_color", ["--image_size", "32"], "--image_size 32x32 does not fit"),
        ("mean_color", ["--labels", "no/such/file.txt"], "cannot read labels"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line_and_exit_code_2(
    saved_model: SavedModel,
    capsys: pytest.CaptureFixture[str],
    name: str,
    flags: list[str],
    message: str,
) -> None:
    assert main([saved_model(name), *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_a_missing_model_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no/such/model"]) == 2
    assert capsys.readouterr().err.startswith("inspect_model: no model no/such/model: want a")


def test_help_does_not_wait_for_tensorflow() -> None:
    program = (
        "import sys\n"
        "from pipelines.inspect_model import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    assert 'tensorflow' not in sys.modules\n"
    )
    started = time.monotonic()
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert "--image_size SIZE" in completed.stdout
    assert time.monotonic() - started < 3


def test_tensorflows_noise_stays_off_the_terminal(saved_model: SavedModel) -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "pipelines.inspect_model", saved_model("tf1_serving")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
