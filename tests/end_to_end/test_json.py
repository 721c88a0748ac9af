"""--json: one object on standard output, with the facts of the summary, and nothing else there."""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pipelines import (
    classify,
    convert_model,
    diff,
    embed,
    evaluate,
    index,
    inspect_model,
    refresh,
    report,
    search,
    train_classifier,
    verify,
)
from tests.support.runs import read_record, run_embed, write_photos

Capsys = pytest.CaptureFixture[str]
Main = Callable[[list[str]], int]


class Work(NamedTuple):
    """Photos in directories of their classes, and a run of them."""

    photos: pathlib.Path
    run: pathlib.Path
    model: str


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> Work:
    directory = tmp_path_factory.mktemp("json")
    for parity, name in enumerate(("cat", "dog")):
        write_photos(directory / "photos" / name, 12)
        for number in range(parity, 12, 2):  # The nearest photo is always of the other class.
            (directory / "photos" / name / f"photo-{number:03d}.png").unlink()
    (directory / "photos" / "dog" / "broken.png").write_bytes(b"no image")
    argv = ["--input", str(directory / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, directory / "run", *argv) == 0
    return Work(directory / "photos", directory / "run", mean_color)


def say(main: Main, capsys: Capsys, *argv: str, exit_code: int = 0) -> dict[str, Any]:
    """Runs a program; returns the object that it prints."""
    capsys.readouterr()
    assert main([*argv, "--json"]) == exit_code
    captured = capsys.readouterr()
    assert captured.out.endswith("}\n")
    assert captured.out.count("\n") == 1
    said = json.loads(captured.out)
    assert said["program"] == main.__module__.rpartition(".")[2]
    assert said["exit_code"] == exit_code
    assert captured.err, "the summary is on stderr"
    return said


def test_a_run_says_what_its_summary_does(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    argv = ["--input", str(work.photos), "--model", work.model, "--output", str(tmp_path / "out")]
    said = say(embed.main, capsys, *argv)
    record = read_record(tmp_path / "out")
    names = (
        "run_id", "counts", "failures_by_reason", "skipped_by_reason", "skipped_examples",
        "seconds_by_step",
        "engines", "warnings",
    )  # fmt: skip
    assert {name: said[name] for name in names} == {name: record[name] for name in names}
    assert (said["status"], said["output"]) == ("published", str(tmp_path / "out"))
    assert (said["files"], said["bytes"]) == (1, record["files"][0]["size_bytes"])
    assert said["failures_file"] == str(tmp_path / "out" / "_failures.jsonl")
    assert said["images_per_second"] == pytest.approx(13 / said["seconds"], rel=0.01)
    assert "json" not in record["config"]

    again = say(embed.main, capsys, *argv, exit_code=2)
    assert again == {"program": "embed", "exit_code": 2, "error": again["error"]}
    assert "holds a published run" in again["error"]


def test_a_refresh_says_what_changed(work: Work, tmp_path: pathlib.Path, capsys: Capsys) -> None:
    argv = ["--input", str(work.photos), "--model", work.model, "--output_root", str(tmp_path)]
    argv += ["--max_failed_fraction", "0.2"]
    first = say(refresh.main, capsys, *argv)
    said = say(refresh.main, capsys, *argv)
    assert said["previous"] == first["output"]
    assert said["changes"]["unchanged"] + said["changes"]["retried"] == 13
    assert said["inferences_saved"] == 12


def test_a_plan_says_what_it_foretells(work: Work, tmp_path: pathlib.Path, capsys: Capsys) -> None:
    argv = ["--input", str(work.photos), "--model", work.model, "--output", str(tmp_path / "out")]
    argv += ["--max_failed_fraction", "0.2", "--plan", "--plan_workers", "2"]
    said = say(embed.main, capsys, *argv)
    assert (said["status"], said["images"], said["files"]) == ("planned", 13, 1)
    assert said["sample"]["failures_by_reason"] == {"decode/UnsupportedFormat": 1}
    assert 0 < said["seconds_on_workers"] <= said["seconds"]


def test_classify_says_a_plain_error_too(tmp_path: pathlib.Path, capsys: Capsys) -> None:
    argv = ["--input", str(tmp_path / "no"), "--model", str(tmp_path), "--output", "o"]
    said = say(classify.main, capsys, *argv, exit_code=2)
    assert said["error"].startswith(f"no saved_model.pb and no .onnx file in {tmp_path}")


def test_verify_says_each_run_and_finding(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    (tmp_path / "empty").mkdir()
    said = say(verify.main, capsys, str(work.run), str(tmp_path / "empty"), exit_code=1)
    good, bad = said["runs"]
    assert (good["run"], good["is_well"], good["findings"]) == (str(work.run), True, [])
    assert (good["rows"], good["failures"], good["embedding_dim"]) == (12, 1, 3)
    assert not bad["is_well"]
    assert bad["findings"][0].keys() == {"file", "what", "got", "wanted"}
    assert "findings" in say(verify.main, capsys, str(work.run))["runs"][0]


def test_report_and_diff_say_their_pages(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    page = str(tmp_path / "page.html")
    said = say(report.main, capsys, str(work.run), "--output", page)
    assert (said["page"], said["counts"]["written"]) == (page, 12)
    said = say(diff.main, capsys, str(work.run), str(work.run), "--output", page, "--k", "3")
    assert said["images"]["unchanged"] == 12
    assert said["verdict"]["value"] == pytest.approx(1)
    assert said["vectors"]["unchanged"]["identical"] == 12


def test_search_and_index_say_what_they_found(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    said = say(index.main, capsys, str(work.run), "--output", str(tmp_path / "index"))
    assert (said["vectors"], said["embedding_dim"], said["recall"]) == (12, 3, 1.0)
    argv = [str(work.run), "--image_id", "cat/photo-001.png", "--top_k", "2"]
    said = say(search.main, capsys, *argv, "--output", str(tmp_path / "page.html"))
    (query,) = said["queries"]
    assert [match["rank"] for match in query["matches"]] == [1, 2]
    assert query["matches"][0]["image_id"] in ("dog/photo-000.png", "dog/photo-002.png")
    assert 0.9 < query["matches"][0]["cosine"] < 1


def test_evaluate_says_its_measures_though_they_are_too_low(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    argv = [str(work.run), "--output", str(tmp_path / "page.html")]
    said = say(evaluate.main, capsys, *argv, "--assert_accuracy_at_least", "1", exit_code=1)
    assert said["measures"]["accuracy"] < 1
    assert "is below --assert_accuracy_at_least 1" in said["error"]
    said = say(evaluate.main, capsys, *argv, "--compare", str(work.run))
    assert said["compare"]["measures"]["accuracy"]["p_value"] == 1


def test_programs_of_models_say_what_they_wrote(
    work: Work, tmp_path: pathlib.Path, capsys: Capsys
) -> None:
    classifier = tmp_path / "classifier"
    argv = ["--embeddings", str(work.run), "--output", str(classifier)]
    said = say(train_classifier.main, capsys, *argv)
    metrics = json.loads((classifier / "metrics.json").read_text())
    assert {name: said[name] for name in metrics} == metrics
    assert said["output"] == str(classifier)

    said = say(inspect_model.main, capsys, str(classifier))
    assert (said["output_dim"], said["classes"]) == (2, 2)
    assert said["commands"][0].startswith("python -m pipelines.classify --input photos/")

    argv = ["--model", work.model, "--output", str(tmp_path / "reusable")]
    said = say(convert_model.main, capsys, *argv)
    assert (said["output_dim"], said["output"]) == (3, str(tmp_path / "reusable"))
