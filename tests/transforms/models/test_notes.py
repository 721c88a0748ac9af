"""What a model's image_model.json says is done, unless the user says otherwise."""

import json
import pathlib
from typing import Any

import pytest

from pipelines import classify, inspect_model
from tests.support.models import save_logits
from tests.support.runs import read_record, run_embed, run_refresh, write_photos
from transforms.errors import ModelError
from transforms.models.notes import NOTES_FILE, encode_notes, read_notes

NOTES: dict[str, Any] = {
    "resize_mode": "crop", "crop_fraction": 0.5, "antialias": True, "activation": "sigmoid",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: pathlib.Path) -> str:
    directory = tmp_path / "model"
    save_logits(directory)
    (directory / NOTES_FILE).write_text(encode_notes(NOTES))
    write_photos(tmp_path / "photos", 3)
    return str(directory)


def run_classify(model: str, root: pathlib.Path, *flags: str) -> dict[str, Any]:
    """Classifies the photos; returns _run.json."""
    argv = ["--input", str(root / "photos"), "--model", model, "--output", str(root / "out")]
    assert classify.main([*argv, "--overwrite", *flags]) == 0
    return read_record(root / "out")


def test_what_the_notes_say_is_done_and_said(
    model: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = run_classify(model, tmp_path)
    assert {**record["preprocessing"], **NOTES} == {
        **record["preprocessing"],
        "activation": "sigmoid",
    }
    assert record["recipe"]["outputs"]["activation"] == "sigmoid"
    assert record["config"]["crop_fraction"] == 0.5
    assert record["preprocessing"]["interpolation"] == "bilinear"
    said = capsys.readouterr().out
    assert (
        f"{NOTES_FILE} of the model says --resize_mode crop --crop_fraction 0.5 --antialias "
        "--activation sigmoid\n"
    ) in said


def test_a_flag_that_is_given_overrules_the_notes(
    model: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--resize_mode", "squash", "--no-antialias", "--activation", "softmax"]
    record = run_classify(model, tmp_path, *flags)
    assert record["preprocessing"]["resize_mode"] == "squash"
    assert record["preprocessing"]["antialias"] is False
    assert record["preprocessing"]["crop_fraction"] == 0.5
    assert record["recipe"]["outputs"]["activation"] == "softmax"
    said = capsys.readouterr().out
    assert f"{NOTES_FILE} of the model says --crop_fraction 0.5\n" in said
    assert (
        "says --resize_mode crop --antialias --activation sigmoid, which your flags overrule\n"
        in said
    )


def test_embed_and_refresh_take_them_too(model: str, tmp_path: pathlib.Path) -> None:
    photos = ["--input", str(tmp_path / "photos")]
    assert run_embed(model, tmp_path / "vectors", *photos) == 0
    assert read_record(tmp_path / "vectors")["preprocessing"]["resize_mode"] == "crop"
    assert run_refresh(model, tmp_path / "root", *photos) == 0
    (run,) = (tmp_path / "root").glob("20*")
    assert read_record(run)["preprocessing"]["resize_mode"] == "crop"


def test_inspect_model_shows_them_and_asks_for_nothing_that_they_say(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect_model.main([model]) == 0
    noted, asked = capsys.readouterr().out.split(f"\n{NOTES_FILE}\n")[1].split("to decide")
    assert [line.split() for line in noted.split("\n") if line] == [
        [f"--{name}", str(value)] for name, value in NOTES.items()
    ]
    assert "--labels" in asked
    assert "--activation" not in asked


def test_a_completed_run_keeps_what_the_notes_said_then(model: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "photos" / "bad.png").write_bytes(b"no image")
    run_classify(model, tmp_path, "--max_failed_fraction", "0.5")
    argv = ["--retry_failed", str(tmp_path / "out"), "--output", str(tmp_path / "again")]
    assert classify.main([*argv, "--max_failed_fraction", "0.5"]) == 0
    assert read_record(tmp_path / "again")["recipe"] == read_record(tmp_path / "out")["recipe"]


def test_a_model_without_notes_has_the_defaults(mean_color: str, tmp_path: pathlib.Path) -> None:
    assert read_notes(mean_color) == {}
    write_photos(tmp_path / "photos", 1)
    assert run_embed(mean_color, tmp_path / "out", "--input", str(tmp_path / "photos")) == 0
    record = read_record(tmp_path / "out")
    assert record["preprocessing"]["resize_mode"] == record["config"]["resize_mode"] == "squash"
    assert record["config"]["antialias"] is False


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read .*image_model.json"),
        ("[]", "is not of format_version 1"),
        ('{"format_version": 2, "flags": {}}', "is not of format_version 1"),
        ('{"format_version": 1}', "has no object named flags"),
    ],
)
def test_notes_of_another_form_are_refused(
    tmp_path: pathlib.Path, content: str, message: str
) -> None:
    (tmp_path / NOTES_FILE).write_text(content)
    with pytest.raises(ModelError, match=message):
        read_notes(str(tmp_path))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"colour": "red"}, "has the unknown flag colour"),
        ({"crop_fraction": "half"}, "crop_fraction cannot be 'half'"),
        ({"activation": "relu"}, "activation cannot be 'relu'"),
        (
            {"resize_mode": "stretch"},
            "--resize_mode must be one of squash | crop | pad, got 'stretch'",
        ),
    ],
)
def test_notes_that_make_no_sense_end_the_run(
    model: str,
    tmp_path: pathlib.Path,
    flags: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    notes = json.dumps({"format_version": 1, "flags": flags})
    (pathlib.Path(model) / NOTES_FILE).write_text(notes)
    argv = ["--input", str(tmp_path / "photos"), "--output", str(tmp_path / "out")]
    assert classify.main(["--model", model, *argv]) == 2
    assert message in capsys.readouterr().err
