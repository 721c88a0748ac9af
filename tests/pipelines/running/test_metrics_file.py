"""What --metrics_file says, on the local runner, as Prometheus' own parsers read it."""

import pathlib
import stat

import pytest

from pipelines.running.metrics_file import format_metrics
from tests.support.metrics import read_metrics
from tests.support.runs import read_record, run_embed, run_refresh, write_examples, write_photos
from transforms.errors import printable
from transforms.steps.tally import Distribution, Measures

Labels = tuple[tuple[str, str], ...]


def of(**labels: str) -> Labels:
    return tuple(sorted(labels.items()))


def test_a_run_counts_what_its_record_says(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos, metrics = tmp_path / "in", tmp_path / "run.prom"
    write_photos(photos, 30)
    (photos / "broken.png").write_bytes(b"no image")
    one = (photos / "photo-001.png").read_bytes()
    write_examples(photos / "images.tfrecord", [b"no image", one])
    metrics.write_text("of the night before")
    argv = ["--input", str(photos), "--metrics_file", str(metrics), "--batch_size", "8"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    record, values = read_record(tmp_path / "out"), read_metrics(metrics)
    assert record["counts"] == {"matched": 33, "written": 31, "failed": 2, "skipped": 0}
    assert values["run_success", ()] == 1
    assert values["images_planned", ()] == 33
    assert values["images", of(state="written")] == 31
    assert values["images", of(state="failed")] == 2
    assert values["failures", of(step="decode", error_type="UnsupportedFormat")] == 2
    assert values["retried_shards", ()] == 0
    read = sum(path.stat().st_size for path in photos.glob("*.png"))
    assert values["read_bytes", ()] == read + len(b"no image") + len(one)
    # 31 listed images in batches of 8, two in the file; a batch less its failures.
    assert values["batch_images_count", ()] == 5
    assert values["batch_images_sum", ()] == 31
    for step, seconds in record["seconds_by_step"].items():
        assert values["step_seconds_count", of(step=step)] == 5
        counted = values["step_seconds_sum", of(step=step)]
        # The record has the closing of the file, too; each has a clock, and a busy machine may
        # have the program wait between the two.
        if step == "write":
            assert counted <= seconds + 2
        else:
            assert counted == pytest.approx(seconds, abs=0.02)
    (made, *_) = photos.glob("*.png")  # By open(): readable to all whom the umask lets.
    assert stat.S_IMODE(metrics.stat().st_mode) == stat.S_IMODE(made.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "run.prom"]


def test_a_run_that_fails_says_so_and_what_it_did(tmp_path: pathlib.Path, mean_color: str) -> None:
    metrics = tmp_path / "run.prom"
    write_photos(tmp_path / "in", 3)
    (tmp_path / "in" / "broken.png").write_bytes(b"no image")
    argv = ["--input", str(tmp_path / "in"), "--metrics_file", str(metrics)]
    assert run_refresh(mean_color, tmp_path / "root", *argv) == 1
    values = read_metrics(metrics)
    assert (values["run_success", ()], values["run_exit_code", ()]) == (0, 1)
    assert values["images", of(state="written")] == 3
    assert values["failures", of(step="decode", error_type="UnsupportedFormat")] == 1
    assert f'{{output="{tmp_path}/root"}}' in metrics.read_text()


def test_a_run_that_cannot_start_says_so(tmp_path: pathlib.Path, mean_color: str) -> None:
    metrics = tmp_path / "run.prom"
    argv = ["--input", str(tmp_path / "none"), "--metrics_file", str(metrics)]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert read_metrics(metrics)["run_exit_code", ()] == 2


@pytest.mark.parametrize(
    ("name", "message"), [("out/run.prom", "where runs are"), ("file/run.prom", "wanted a file")]
)
def test_a_file_that_cannot_be_there_is_refused(
    tmp_path: pathlib.Path,
    mean_color: str,
    name: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photos(tmp_path / "in", 1)
    (tmp_path / "file").write_text("")
    argv = ["--input", str(tmp_path / "in"), "--metrics_file", str(tmp_path / name)]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_of_anybodys_and_no_measures_are_well_formed(tmp_path: pathlib.Path) -> None:
    name = 'a"b\\c\nd\udcff{}, é'
    text = format_metrics(
        Measures({"failed/read/NotFound": 2}, {"batch_images": Distribution(2, 64)}),
        output=name,
        exit_code=1,
        ended=1795964661.8024,
        seconds=3.0,
    )
    assert text.endswith("\n# EOF\n")
    (tmp_path / "m").write_text(text)
    values = read_metrics(tmp_path / "m")
    assert values["failures", of(step="read", error_type="NotFound")] == 2
    assert values["run_end_time_seconds", ()] == 1795964661.802
    assert 'output="a\\"b\\\\c\\nd?{}, é"' in text, printable(text)
