"""Names of strangers that would command a terminal: it only shows them, whatever the program."""

import importlib
import pathlib
from typing import Any

import pytest

from tests.support.colours import write_colours
from tests.support.models import save_mean_color
from tests.support.runs import run_embed, solid, write_examples

WIPE, RESET = "\x1b[2J", "\x1bc"
"""Wipe a terminal that obeys them; the name of a run may hold no bracket."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run, its photos and its classes, all with the sequence in their names."""
    folder = tmp_path_factory.mktemp("names")
    model = save_mean_color(folder / "model")
    write_colours(folder / "photos")
    for directory in (folder / "photos").iterdir():
        directory.rename(directory.with_name(directory.name + WIPE))
    photos = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(model, folder / f"run{RESET}", *photos) == 0
    return folder


def as_shown(text: str) -> str:
    return text.replace("\x1b", "\\x1b")


@pytest.mark.parametrize(
    ("program", "argv", "code", "said"),
    [
        ("verify", ["{run}"], 0, "{run}: all is well"),
        ("verify", ["{run}", "{folder}/no{reset}"], 2, "no{reset} is no directory"),
        ("report", ["{run}", "--output", "{new}.html"], 0, "run       {run}\n"),
        ("diff", ["{run}", "{run}", "--output", "{new}.html"], 0, "before    {run}, "),
        ("evaluate", ["{run}", "--output", "{new}.html"], 0, "run       {run}, "),
        ("evaluate", ["{run}", "--label_from", "a{wipe}"], 2, "no column a{wipe}"),
        ("index", ["{run}", "--output", "{new}"], 0, "written   {new}"),
        (
            "search",
            ["{run}", "--image_id", "blue{wipe}/001.png", "--output", "{new}.html"],
            0,
            "  blue{wipe}/019.png",
        ),
        ("search", ["{run}", "--image_id", "1{wipe}"], 2, "no image_id '1{wipe}'"),
        ("search", ["{run}", "--nonsense{wipe}"], 2, "unrecognized arguments: --nonsense{wipe}"),
        ("train_classifier", ["--embeddings", "{run}", "--output", "{new}"], 0, "\nblue{wipe} "),
        ("inspect_model", ["{folder}/no{wipe}"], 2, "no model {folder}/no{wipe}"),
        ("convert_model", ["--model", "m", "--output", "{run}"], 2, "{run} is there already"),
    ],
)
def test_what_is_printed_only_shows_them(
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    program: str,
    argv: list[str],
    code: int,
    said: str,
) -> None:
    places: dict[str, Any] = {
        "folder": folder,
        "run": folder / f"run{RESET}",
        "new": tmp_path / f"new{RESET}",
        "wipe": WIPE,
        "reset": RESET,
    }
    capsys.readouterr()
    main = importlib.import_module(f"pipelines.{program}").main
    assert main([word.format(**places) for word in argv]) == code
    captured = capsys.readouterr()
    text = captured.err if code else captured.out
    assert "\x1b" not in captured.out + captured.err
    assert as_shown(said.format(**places)) in text


def test_a_damaged_run_is_said_in_lines_that_only_show_them(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / f"run{RESET}"
    assert run_embed(str(folder / "model"), run, "--input", str(folder / "photos")) == 0
    (run / f"notes{WIPE}.txt").write_text("mine")
    capsys.readouterr()
    assert importlib.import_module("pipelines.verify").main([str(run)]) == 1
    out = capsys.readouterr().out
    assert as_shown(f"{run}/notes{WIPE}.txt: foreign, got 4 bytes") in out
    assert "\x1b" not in out


def test_a_run_says_its_failures_alike(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{WIPE}.tfrecord"
    write_examples(path, [solid(n, 0, 0) for n in range(5)])
    path.write_bytes(path.read_bytes()[:-10])
    capsys.readouterr()
    assert run_embed(str(folder / "model"), tmp_path / f"bad{RESET}", "--input", str(path)) == 1
    captured = capsys.readouterr()
    assert as_shown(f".bad{RESET}.staging/_failures.jsonl") in captured.err
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.out + captured.err
    some = ["--input", str(path), "--max_failed_fraction", "0.5", "--allow_truncated_files"]
    assert run_embed(str(folder / "model"), tmp_path / f"out{RESET}", *some) == 0
    captured = capsys.readouterr()
    assert as_shown(f"out{RESET}/_failures.jsonl") in captured.out
    assert "\x1b" not in captured.out + captured.err
    # Shards are by a hash of the path: of one photo alone it is known which is found twice.
    one = next((folder / "photos").glob("blue*/000.png"))
    photos = ["--input", str(one), "--input", str(one.parent)]
    assert run_embed(str(folder / "model"), tmp_path / "twice", *photos) == 2
    error = capsys.readouterr().err
    assert as_shown(f"blue{WIPE}/000.png is listed twice") in error
    assert "\x1b" not in error
