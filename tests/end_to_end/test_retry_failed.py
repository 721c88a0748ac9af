"""Retrying: the failures of a run, computed again, complete it."""

import json
import pathlib
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import embed
from tests.support.runs import (
    contents,
    read,
    read_failures,
    read_record,
    run_embed,
    solid,
    swap_content,
    write_examples,
    write_photos,
)
from tests.support.tars import write_tar


def retry(run: pathlib.Path, output: pathlib.Path, *argv: str) -> int:
    return embed.main(["--retry_failed", str(run), "--output", str(output), *argv])


def test_only_failures_are_computed_and_the_new_run_is_complete(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 70)
    names = ("broken.png", "empty.png", "still.png")
    for name in names:
        (photos / name).write_bytes(b"" if name == "empty.png" else b"no image")
    (photos / "dangling.png").symlink_to(tmp_path / "later.png")
    argv = ["--input", str(photos), "--normalize", "l2"]
    run = tmp_path / "run"
    assert run_embed(mean_color, run, *argv) == 0
    assert len(read_failures(run)) == 4
    good = [solid(9, 9, 9), solid(8, 8, 8)]
    for name, image in zip(names, good, strict=False):
        (photos / name).write_bytes(image)
    (tmp_path / "later.png").write_bytes(solid(7, 7, 7))
    swap_content(photos / "photo-000.png", b"")
    (photos / "photo-001.png").write_bytes(solid(1, 1, 1))  # Not a failure: it stays as it was.
    (photos / "photo-002.png").unlink()
    (photos / "not-in-the-run.png").write_bytes(good[0])
    assert retry(run, tmp_path / "new") == 0
    made, before = read(tmp_path / "new"), read(run)
    assert made.num_rows == 73
    ids = set(before["image_id"].to_pylist())
    kept = [image_id in ids for image_id in made["image_id"].to_pylist()]
    assert made.filter(pa.array(kept)).equals(before)
    (failure,) = read_failures(tmp_path / "new")
    assert failure["image_id"] == str(photos / "still.png")
    record = read_record(tmp_path / "new")
    assert record["counts"] == {"matched": 74, "written": 73, "failed": 1, "skipped": 0}
    assert record["changes"]["retried"] == 4
    assert record["inferences_saved"] == 70
    assert record["previous"] == str(run)
    assert record["config"]["normalize"] == "l2"


def test_a_limit_may_be_raised_and_nothing_else(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 3)
    run = tmp_path / "run"
    argv = ["--input", str(tmp_path / "photos"), "--max_image_pixels", "150"]
    assert run_embed(mean_color, run, *argv, "--max_failed_fraction", "1") == 0
    assert len(read_failures(run)) == 3
    assert retry(run, tmp_path / "new", "--exif", "ignore") == 2
    assert 'preprocessing.exif was "apply", is "ignore"' in capsys.readouterr().err
    assert retry(run, tmp_path / "new", "--max_image_pixels", "1000") == 0
    assert read(tmp_path / "new").num_rows == 3


def test_failed_records_are_retried_in_their_files(tmp_path: pathlib.Path, mean_color: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write_examples(
        source / "a.tfrecord", [solid(1, 0, 0), b"no image", solid(2, 0, 0)], names=False
    )
    write_examples(source / "b.tfrecord", [solid(n, 0, 0) for n in range(20)], names=False)
    images = pa.array([solid(5, 0, 0), None], pa.binary())
    pq.write_table(pa.table({"image": images, "label": [[1], [2]]}), source / "c.parquet")
    run = tmp_path / "run"
    argv = ["--input", str(source), "--carry_columns", "label"]
    assert run_embed(mean_color, run, *argv) == 0
    assert [f["uri"].rpartition("/")[2] for f in read_failures(run)] == [
        "a.tfrecord#1",
        "c.parquet#1",
    ]
    write_examples(
        source / "a.tfrecord", [solid(1, 0, 0), solid(3, 0, 0), solid(2, 0, 0)], names=False
    )
    images = pa.array([solid(5, 0, 0), solid(6, 0, 0)], pa.binary())
    pq.write_table(pa.table({"image": images, "label": [[1], [2]]}), source / "c.parquet")
    assert retry(run, tmp_path / "new") == 0
    assert not read_failures(tmp_path / "new")
    assert read_record(tmp_path / "new")["inferences_saved"] == 2 + 20 + 1
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert read(tmp_path / "new").equals(read(tmp_path / "full"))


def test_failed_samples_are_retried_in_their_tar_files(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    path = tmp_path / "a.tar"
    members = {f"{n}.{field}": solid(n, 0, 0) for n in range(20) for field in ("png", "x")}
    write_tar(path, members | {"11.png": b"no image"})
    run = tmp_path / "run"
    assert run_embed(mean_color, run, "--input", str(path)) == 0
    (failure,) = read_failures(run)
    assert (failure["image_id"], failure["uri"]) == ("11", f"{path}#11")
    write_tar(path, members)
    assert retry(run, tmp_path / "new") == 0
    assert not read_failures(tmp_path / "new")
    assert read_record(tmp_path / "new")["inferences_saved"] == 19
    assert run_embed(mean_color, tmp_path / "full", "--input", str(path)) == 0
    assert read(tmp_path / "new").equals(read(tmp_path / "full"))


def test_a_run_may_be_completed_in_its_own_place(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 20)
    (photos / "later.png").write_bytes(b"no image yet")
    run = tmp_path / "run"
    assert run_embed(mean_color, run, "--input", str(photos)) == 0
    (photos / "later.png").write_bytes(solid(1, 2, 3))
    assert retry(run, run, "--overwrite") == 0
    assert run_embed(mean_color, tmp_path / "full", "--input", str(photos)) == 0
    data = {name: x for name, x in contents(run).items() if not name.startswith("_inputs")}
    full = contents(tmp_path / "full")
    assert data == {name: full[name] for name in data}


@pytest.mark.parametrize("recorded", [None, {"input": ["photos/"], "manifest": ["list.txt"]}])
def test_a_run_is_completed_from_any_directory(
    tmp_path: pathlib.Path,
    mean_color: str,
    monkeypatch: pytest.MonkeyPatch,
    recorded: dict[str, list[str]] | None,
) -> None:
    place = tmp_path / "place"
    write_photos(place / "photos", 3)
    for name in ("a.png", "b.png"):
        (place / name).write_bytes(b"no image yet")
    (place / "list.txt").write_text("a.png\nb.png\n")
    shutil.copytree(mean_color, place / "model")
    monkeypatch.chdir(place)
    inputs = ["--input", "photos/", "--manifest", "list.txt"]
    half = ["--max_failed_fraction", "0.5"]
    assert run_embed("model", pathlib.Path("run"), *inputs, *half) == 0
    (place / "a.png").write_bytes(solid(1, 2, 3))
    if recorded is not None:  # As earlier versions have it.
        record = read_record(place / "run")
        record["config"] |= recorded
        (place / "run" / "_run.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    assert retry(place / "run", tmp_path / "new", *half) == 0
    assert read(tmp_path / "new").num_rows == 4
    assert [failure["uri"] for failure in read_failures(tmp_path / "new")] == [f"{place}/b.png"]

    (place / "list.txt").unlink()  # Its images are known.
    (place / "photos").rename(place / "moved")
    (place / "b.png").write_bytes(solid(4, 5, 6))
    monkeypatch.chdir(place)
    assert retry(tmp_path / "new", tmp_path / "newer", *(inputs if recorded is None else [])) == 0
    assert read(tmp_path / "newer").num_rows == 5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--retry_failed", "{tmp}/nothing"], "holds no complete run"),
        (["--input", "{tmp}/other"], "has its inputs from that run; leave --input out"),
        (["--deduplicate"], "--deduplicate does nothing with --retry_failed"),
    ],
)
def test_what_cannot_be_retried_is_refused(
    tmp_path: pathlib.Path,
    mean_color: str,
    argv: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photos(tmp_path / "photos", 2)
    run = tmp_path / "run"
    assert run_embed(mean_color, run, "--input", str(tmp_path / "photos")) == 0
    argv = [word.format(tmp=tmp_path) for word in argv]
    assert retry(run, tmp_path / "new", *argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_failures_inside_files_are_a_manifest(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_examples(tmp_path / "a.tfrecord", [b"no image", solid(1, 0, 0), b"no image"], names=False)
    images = pa.array([None, solid(5, 0, 0)], pa.binary())
    pq.write_table(pa.table({"image": images}), tmp_path / "b.parquet")
    write_tar(tmp_path / "c.tar", {"k.txt": b"", "l.png": b"no image", "m.png": solid(7, 0, 0)})
    inputs = ["--input", *(str(tmp_path / name) for name in ("a.tfrecord", "b.parquet", "c.tar"))]
    run = tmp_path / "run"
    assert run_embed(mean_color, run, *inputs, "--max_failed_fraction", "1") == 0
    assert len(read_failures(run)) == 5
    write_examples(tmp_path / "a.tfrecord", [solid(2, 0, 0), solid(1, 0, 0)], names=False)
    images = pa.array([solid(6, 0, 0), solid(5, 0, 0)], pa.binary())
    pq.write_table(pa.table({"image": images}), tmp_path / "b.parquet")
    write_tar(tmp_path / "c.tar", {"k.png": solid(8, 0, 0), "k.txt": b"", "l.png": solid(9, 0, 0)})
    argv = ["--manifest", str(run / "_failures.jsonl"), "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "new", *argv) == 0
    assert read(tmp_path / "new")["image_id"].to_pylist() == [
        f"{tmp_path}/a.tfrecord#0",
        f"{tmp_path}/b.parquet#0",
        "k",
        "l",
    ]
    (failure,) = read_failures(tmp_path / "new")
    assert failure["image_id"] == f"{tmp_path}/a.tfrecord#2"
    assert "no such record, row or sample" in failure["message"]
