"""Runs of format 2, which had run.json and failures.jsonl: every program still takes them."""

import json
import pathlib
import shutil

import pytest

from pipelines import diff, embed, report, verify
from tests.support.models import save_mean_color
from tests.support.runs import latest, run_embed, run_refresh, write_photos

ROWS = 3
TO_EARLIER = {"_run.json": "run.json", "_failures.jsonl": "failures.jsonl"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with photos, one of them no image, a model, and a root with a run of format 2."""
    place = tmp_path_factory.mktemp("earlier")
    save_mean_color(place / "model")
    write_photos(place / "photos", ROWS)
    (place / "photos" / "bad.png").write_bytes(b"no image")
    assert run_refresh(str(place / "model"), place / "root", *photos(place)) == 0
    make_earlier(latest(place / "root"))
    return place


def photos(place: pathlib.Path) -> list[str]:
    """Flags for the photos."""
    return ["--input", str(place / "photos"), "--max_failed_fraction", "0.5"]


def make_earlier(run: pathlib.Path) -> None:
    """Gives a run the form that it had before."""
    record = json.loads((run / "_run.json").read_text())
    (run / "_run.json").write_text(json.dumps({**record, "run_format_version": 2}))
    for now, then in TO_EARLIER.items():
        (run / now).rename(run / then)


def test_verify_finds_nothing_wrong(
    place: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.main([str(latest(place / "root"))]) == 0, capsys.readouterr()


def test_verify_reads_the_failures(
    place: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(latest(place / "root"), tmp_path / "run")
    (tmp_path / "run" / "failures.jsonl").write_text("")
    assert verify.main([str(tmp_path / "run")]) == 1
    assert "failures.jsonl: image_ids" in capsys.readouterr().out
    (tmp_path / "run" / "failures.jsonl").unlink()
    assert verify.main([str(tmp_path / "run")]) == 1
    assert "failures.jsonl: missing" in capsys.readouterr().out


def test_report_and_diff_read_it(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = str(latest(place / "root"))
    assert report.main([run, "--output", str(tmp_path / "page.html")]) == 0
    assert "decode/UnsupportedFormat" in (tmp_path / "page.html").read_text()
    assert diff.main([run, run, "--output", str(tmp_path / "diff.html")]) == 0


def test_a_refresh_reuses_its_rows(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(place / "root", root, symlinks=True)
    assert run_refresh(str(place / "model"), root, *photos(place)) == 0
    record = json.loads((latest(root) / "_run.json").read_text())
    assert record["run_format_version"] == 3
    assert record["changes"]["unchanged"] == ROWS + 1
    names = {path.name for path in latest(root).iterdir()}
    assert names >= set(TO_EARLIER)
    assert not names & set(TO_EARLIER.values())


def test_its_failures_are_tried_again(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    retry = ["--retry_failed", str(latest(place / "root")), "--max_failed_fraction", "1"]
    assert run_embed(str(place / "model"), tmp_path / "retried", *retry) == 0
    record = json.loads((tmp_path / "retried" / "_run.json").read_text())
    assert record["changes"]["retried"] == 1


def test_overwrite_replaces_it(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "vectors"
    assert run_embed(str(place / "model"), output, *photos(place)) == 0
    make_earlier(output)
    flags = ["--model", str(place / "model"), "--output", str(output), *photos(place)]
    assert embed.main(flags) == 2
    assert embed.main([*flags, "--overwrite"]) == 0
    assert not {path.name for path in output.iterdir()} & set(TO_EARLIER.values())
