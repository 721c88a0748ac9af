"""Canaries: a run whose answers moved is not published."""

import json
import pathlib

import pytest
import tensorflow as tf

from pipelines import classify, embed
from tests.support.models import save_mean_color, save_output
from tests.support.runs import (
    hashes,
    latest,
    read_record,
    run_embed,
    run_refresh,
    solid,
    write_photos,
)
from transforms.lifecycle.canaries import cosine, scale_of


@pytest.fixture
def canaries(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "canaries"
    (folder / "deep").mkdir(parents=True)
    (folder / "red.png").write_bytes(solid(200, 10, 30))
    (folder / "deep" / "gray.png").write_bytes(solid(100, 90, 80))
    return folder


def argv(tmp_path: pathlib.Path, canaries: pathlib.Path) -> list[str]:
    write_photos(tmp_path / "photos", 5)
    return ["--input", str(tmp_path / "photos"), "--canaries", str(canaries)]


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_canaries_that_stay_let_a_run_pass_and_are_not_in_it(
    tmp_path: pathlib.Path, mean_color: str, canaries: pathlib.Path, output_format: str
) -> None:
    flags = [*argv(tmp_path, canaries), "--output_format", output_format]
    assert run_embed(mean_color, tmp_path / "first", *flags, "--write_canaries") == 0
    expected = json.loads((canaries / "expected.json").read_text())
    assert expected["stem"] == "embeddings"
    assert sorted(expected["answers"]) == ["deep/gray.png", "red.png"]
    assert expected["answers"]["red.png"]["0"] == pytest.approx(200 / 255, abs=1e-5)
    assert run_embed(mean_color, tmp_path / "second", *flags) == 0
    assert run_embed(mean_color, tmp_path / "none", *flags[:2], *flags[4:]) == 0
    assert hashes(tmp_path / "second") == hashes(tmp_path / "none")
    assert read_record(tmp_path / "second")["counts"]["matched"] == 5


def test_a_canary_that_moved_stops_the_run_and_is_named(
    tmp_path: pathlib.Path,
    mean_color: str,
    canaries: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = argv(tmp_path, canaries)
    root = tmp_path / "root"
    assert run_refresh(mean_color, root, *flags, "--write_canaries") == 0
    before = latest(root)
    (canaries / "red.png").write_bytes(solid(200, 30, 10))
    assert run_refresh(mean_color, root, *flags) == 1
    error = capsys.readouterr().err
    moved = cosine({"0": 200, "1": 10, "2": 30}, {"0": 200, "1": 30, "2": 10})
    assert (
        "1 of 2 canaries moved, more than --canary_threshold 0.9999 allows: red.png "
        f"(cosine {moved:.4f}" in error
    )
    assert "nothing is published" in error
    assert latest(root) == before
    assert run_refresh(mean_color, root, *flags, "--resume", "--canary_threshold", "0.9") == 0
    assert latest(root) != before


def test_a_canary_that_fails_stops_the_run(
    tmp_path: pathlib.Path,
    mean_color: str,
    canaries: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = argv(tmp_path, canaries)
    assert run_embed(mean_color, tmp_path / "first", *flags, "--write_canaries") == 0
    (canaries / "red.png").write_bytes(b"no image")
    assert run_embed(mean_color, tmp_path / "second", *flags) == 1
    assert "canary red.png failed (decode/UnsupportedFormat" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()


def test_classes_have_canaries_too(
    tmp_path: pathlib.Path, logits: str, canaries: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*argv(tmp_path, canaries), "--model", logits, "--top_k", "2"]
    assert classify.main([*flags, "--output", str(tmp_path / "a"), "--write_canaries"]) == 0
    assert classify.main([*flags, "--output", str(tmp_path / "b")]) == 0
    (canaries / "red.png").write_bytes(solid(10, 200, 30))
    assert classify.main([*flags, "--output", str(tmp_path / "c")]) == 1
    assert "red.png (cosine 0." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: None, "no expected answers (expected.json) yet; run once with --write_can"),
        (lambda folder: (folder / "expected.json").write_text("{}"), "is damaged"),
        (
            lambda folder: (folder / "expected.json").write_text(
                '{"stem": "classifications", "answers": {}}'
            ),
            "holds classifications, wanted embeddings",
        ),
        (
            lambda folder: (folder / "expected.json").write_text(
                '{"stem": "embeddings", "answers": {"red.png": {"0": 1}}}'
            ),
            "'deep/gray.png' is among the images or the expected answers, and not among both",
        ),
    ],
)
def test_canaries_without_their_answers_are_refused_before_any_work(
    tmp_path: pathlib.Path,
    mean_color: str,
    canaries: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    change: object,
    message: str,
) -> None:
    assert callable(change)
    change(canaries)
    assert run_embed(mean_color, tmp_path / "out", *argv(tmp_path, canaries)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_another_model_moves_the_canaries(
    tmp_path: pathlib.Path, mean_color: str, canaries: pathlib.Path
) -> None:
    flags = argv(tmp_path, canaries)
    assert run_embed(mean_color, tmp_path / "a", *flags, "--write_canaries") == 0
    assert run_embed(mean_color, tmp_path / "b", *flags, "--input_range=-1,1") == 1
    other = save_mean_color(tmp_path / "other", height=20)
    assert run_embed(other, tmp_path / "c", *flags) == 0, "the mean is that of 20 rows, too"


@pytest.mark.parametrize("program", ["embed", "classify"])
def test_one_number_that_moved_stops_the_run(
    tmp_path: pathlib.Path, canaries: pathlib.Path, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    """A cosine of one number is 1, whatever became of it."""
    flags = argv(tmp_path, canaries)

    def red(images: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(tf.reduce_mean(images, [1, 2])[:, :1] * 8 - 4)

    model = save_output(tmp_path / "model", red)
    flags += ["--model", model]
    main = {"embed": embed.main, "classify": classify.main}[program]
    assert main([*flags, "--output", str(tmp_path / "a"), "--write_canaries"]) == 0
    assert main([*flags, "--output", str(tmp_path / "b")]) == 0
    (canaries / "red.png").write_bytes(solid(10, 10, 30))
    assert main([*flags, "--output", str(tmp_path / "c")]) == 1
    assert "1 of 2 canaries moved" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_the_best_of_many_classes_that_lost_its_score_stops_the_run(
    tmp_path: pathlib.Path, logits: str, canaries: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*argv(tmp_path, canaries), "--model", logits, "--top_k", "1"]
    assert classify.main([*flags, "--output", str(tmp_path / "a"), "--write_canaries"]) == 0
    assert classify.main([*flags, "--output", str(tmp_path / "b")]) == 0
    (canaries / "red.png").write_bytes(solid(40, 30, 30))
    assert classify.main([*flags, "--output", str(tmp_path / "c")]) == 1
    assert "red.png (cosine 0." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("was", "now", "low", "high"),
    [
        ({"1": 0.97}, {"1": 0.03}, 0.7, 0.8),
        ({"1": 0.97}, {"1": 0.969}, 0.9999, 1),
        ({"1": 0.97}, {"1": 0.9}, 0.99, 0.9999),
        ({"1": 1e-7}, {"1": 2e-7}, 0.9999, 1),
        ({"1": -4.0}, {"1": 4.0}, -0.1, 0.1),
        ({"1": 0.97, "2": 5e-4, "3": 5e-4}, {"1": 0.4, "2": 1e-3, "3": 1e-3}, 0.9, 0.99),
        ({"1": 0.5}, {"2": 0.5}, 0.7, 0.9),
    ],
)
def test_of_scores_the_size_counts(
    was: dict[str, float], now: dict[str, float], low: float, high: float
) -> None:
    other = {"1": 0.9}
    scale = scale_of("classifications", [was, now, other])
    assert low < cosine(was, now, scale) <= high
    assert cosine(was, was, scale) == pytest.approx(1)


def test_of_vectors_the_direction_counts() -> None:
    assert scale_of("embeddings", [{"0": 5.0, "1": 3.0}, {"0": 1.0, "1": 2.0}]) == 0
    assert scale_of("embeddings", [{"0": 5.0}, {"0": -7.0}]) == 7


def test_answers_that_cannot_be_written_stop_the_run_until_they_can(
    tmp_path: pathlib.Path,
    mean_color: str,
    canaries: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [*argv(tmp_path, canaries), "--write_canaries"]
    (canaries / "expected.json").mkdir()
    assert run_embed(mean_color, tmp_path / "out", *flags) == 1
    error = capsys.readouterr().err
    assert f"{canaries}/expected.json cannot be written: Is a directory; nothing is publ" in error
    assert not (tmp_path / "out").exists()
    (canaries / "expected.json").rmdir()
    assert run_embed(mean_color, tmp_path / "out", *flags, "--resume") == 0
    assert run_embed(mean_color, tmp_path / "second", *flags[:-1]) == 0


def test_cosines() -> None:
    assert cosine({"0": 3.0, "1": 4.0}, {"0": 3.0, "1": 4.0}) == pytest.approx(1)
    assert cosine({"0": 1.0}, {"1": 1.0}) == 0
    assert cosine({"0": 1.0, "7": 1.0}, {"0": 1.0}) == pytest.approx(0.5**0.5)
    assert cosine({"0": 0.0}, {"0": 0.0}) == 1
    assert cosine({"0": 0.0}, {"0": 1.0}) == 0
