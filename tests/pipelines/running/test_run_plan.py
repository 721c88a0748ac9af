"""--plan: what it says is what a run then does, and it writes nothing."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import classify, embed
from tests.support.cloud import Cloud
from tests.support.runs import (
    latest,
    read_record,
    run_embed,
    run_refresh,
    solid,
    write_examples,
    write_large_photos,
    write_photos,
)
from tests.support.tars import write_tar
from transforms.lifecycle.lock import run_lock
from transforms.lifecycle.owner import this_process
from transforms.lifecycle.staging import staging_path

Capsys = pytest.CaptureFixture[str]


def tree(folder: pathlib.Path) -> dict[str, int]:
    """Every path below a folder, with its time of change."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def said(capsys: Capsys) -> dict[str, list[str]]:
    """What a plan printed: the lines of each name."""
    captured = capsys.readouterr()
    assert captured.err == ""
    lines: dict[str, list[str]] = {}
    name = ""
    for line in captured.out.splitlines():
        name = line[:9].strip() or name
        lines.setdefault(name, []).append(line[10:])
    return lines


@pytest.fixture(autouse=True)
def temporary(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pathlib.Path]:
    """Where a sample works; nothing may be left there."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def test_a_plan_says_what_the_run_then_does_and_writes_nothing(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 100)
    (photos / "bad.jpg").write_bytes(b"no image")
    (photos / "worse\x1b[2J\n.jpg").write_bytes(b"no image")
    (photos / "notes.txt").write_text("")
    argv = ["--input", str(photos)]
    before = tree(tmp_path)
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 0
    assert tree(tmp_path) == before
    plan = said(capsys)
    assert list(plan) == [
        "matched", "skipped", "output", "model", "sample", "engine", "failed", "time in",
        "slowest", "time", "memory", "files",
    ]  # fmt: skip
    size_bytes = sum(path.stat().st_size for path in photos.glob("*g"))
    assert plan["matched"] == [f"102 images, {size_bytes / 1000:.1f} kB"]
    assert plan["skipped"] == ["1", f"1 .txt, such as {photos}/notes.txt"]
    assert plan["output"] == [f"--output {tmp_path / 'out'} is free"]
    assert plan["model"] == [
        f"{mean_color}: the object itself, float32 [batch, 24, 24, 3] from 0 to 1 in, "
        "float32 [batch, 3] out"
    ]
    assert plan["sample"][0].startswith("102 images here, ")
    assert plan["failed"][0] == "2 of 102 (2.0%); --max_failed_fraction 0.1 allows that"
    (reason,) = plan["failed"][1:]
    assert reason.startswith("2 decode/UnsupportedFormat, such as ")
    assert reason.isprintable()

    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    record = read_record(tmp_path / "out")
    assert record["counts"] == {"matched": 103, "written": 100, "failed": 2, "skipped": 1}
    assert not {"plan", "plan_workers", "price_per_worker_hour"} & record["config"].keys()
    count, size = re.fullmatch(r"(\d+) \(about ([\d.]+) kB\)", plan["files"][0]).groups()  # type: ignore[union-attr]
    assert int(count) == len(record["files"])
    written = sum(entry["size_bytes"] for entry in record["files"])
    assert float(size) * 1000 == pytest.approx(written, rel=0.1)


def test_workers_and_their_price_are_reckoned_with(
    tmp_path: pathlib.Path, logits: str, capsys: Capsys
) -> None:
    write_photos(tmp_path / "photos", 70)
    argv = ["--input", str(tmp_path / "photos"), "--model", logits]
    argv += ["--output", str(tmp_path / "out"), "--plan"]
    assert classify.main([*argv, "--plan_workers", "6", "--price_per_worker_hour", "36"]) == 0
    plan = said(capsys)
    here, there, idle = plan["time"]
    assert re.fullmatch(r"\d+:\d\d:\d\d here, \d+:\d\d:\d\d of it to start and to end", here)
    assert re.fullmatch(r"\d+:\d\d:\d\d on 6 workers like this machine", there)
    assert idle.startswith("2 of them idle")  # 70 images are 4 files.
    (money,) = plan["money"]
    assert re.fullmatch(r"[\d.,]+ here, [\d.,]+ on 6 workers, at 36 a worker and hour", money)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--plan_workers", "2"], "--plan_workers does nothing without --plan"),
        (["--price_per_worker_hour", "2"], "--price_per_worker_hour does nothing without --plan"),
        (["--plan", "--plan_workers", "0"], "--plan_workers must be at least 1, got 0"),
        (["--plan", "--price_per_worker_hour", "nan"], "must be a price from 0, got nan"),
        (["--plan", "--retry_failed", "run"], "--plan says nothing of --retry_failed"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    argv: list[str], message: str, capsys: Capsys
) -> None:
    assert run_embed("m", pathlib.Path("out"), "--input", "photos", *argv) == 2
    assert message in capsys.readouterr().err


def test_an_output_that_is_taken_is_said(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    write_photos(tmp_path / "photos", 3)
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_embed(mean_color, out, *argv) == 0
    capsys.readouterr()
    before = tree(tmp_path)
    assert run_embed(mean_color, out, *argv, "--plan") == 0
    held = f"--output {out} holds a published run (1 data files)"
    assert said(capsys)["output"] == [f"{held}; a run would be refused without --overwrite"]
    assert run_embed(mean_color, out, *argv, "--plan", "--overwrite") == 0
    assert said(capsys)["output"][0].startswith(f"{held}, which the new one would replace")
    assert tree(tmp_path) == before
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.pdf").write_text("")
    assert run_embed(mean_color, tmp_path / "own", *argv, "--plan") == 0
    assert "files that no run wrote (thesis.pdf)" in said(capsys)["output"][0]


def test_a_run_that_works_there_or_died_there_is_said_and_left_alone(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    write_photos(tmp_path / "photos", 3)
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "photos"), "--plan"]
    staging = pathlib.Path(staging_path(str(out)))
    with run_lock(str(staging), this_process(uuid.uuid4().hex, "embed")):
        before = tree(staging)
        assert run_embed(mean_color, out, *argv) == 0
        assert "is writing there; a run would be refused until" in said(capsys)["output"][0]
        assert tree(staging) == before
    (tmp_path / "photos" / "bad.png").write_bytes(b"no image")
    assert run_embed(mean_color, out, *argv[:2]) == 1, "too much failed: it waits to be resumed"
    (staging / "00000-of-00001.json").unlink()
    plan = json.loads((staging / "plan.json").read_text())
    (staging / "plan.json").write_text(json.dumps({**plan, "started_at": "2026-01-01"}))
    (staging / "lock.json").unlink()
    capsys.readouterr()
    before = tree(staging)
    for flags, words in (
        ([], "a run would be refused without --resume or --overwrite"),
        (["--overwrite"], "and would be dropped"),
        (["--resume"], "and would be gone on with"),
        (["--resume", "--overwrite"], "and would be gone on with"),
        (["--resume", "--exif", "ignore"], 'recipe.preprocessing.exif was "apply", is "ignore"'),
    ):
        assert run_embed(mean_color, out, *argv, *flags) == 0
        (line,) = said(capsys)["output"]
        assert line.startswith(f"--output {out}: an unfinished run of 2026-01-01 waits (0 shards)")
        assert words in line
    assert tree(staging) == before


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_plan_that_is_damaged_is_named_with_what_to_do(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys, content: str
) -> None:
    write_photos(tmp_path / "photos", 1)
    staging = pathlib.Path(staging_path(str(tmp_path / "out")))
    staging.mkdir()
    (staging / "plan.json").write_text(content)
    for flags in ([], ["--resume"], ["--overwrite"]):
        argv = ["--input", str(tmp_path / "photos"), *flags]
        assert run_embed(mean_color, tmp_path / "out", *argv) == 2
        complaint = capsys.readouterr().err
        assert f"{staging / 'plan.json'} is damaged: " in complaint
        assert f"delete {staging}, and run again" in complaint


def test_images_in_files_are_counted_and_tried(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    images = [solid(n % 256, n % 7, 9) for n in range(120)]
    files = tmp_path / "files"
    write_photos(files, 40)
    for n in range(2):
        write_examples(files / f"e{n}.tfrecord", images)
        write_tar(files / f"t{n}.tar", {f"{i}.png": image for i, image in enumerate(images[:90])})
        pq.write_table(pa.table({"image": images[:50]}), files / f"p{n}.parquet")
    (files / "broken.tar").write_bytes(b"no tar" * 300)
    argv = ["--input", str(files), "--image_id_from", "uri"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 0
    plan = said(capsys)
    assert [line.partition(", ")[0] for line in plan["matched"]] == [
        "561 images",
        "40 image files",
        "240 in 2 TFRecord files",
        "100 in 2 Parquet files",
        "181 in 3 tar files",
    ]
    assert "without --allow_truncated_files" in plan["failed"][1]
    assert "1 read/TruncatedFile, such as " in plan["failed"][2]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--allow_truncated_files") == 0
    record = read_record(tmp_path / "out")
    assert record["counts"]["matched"] == 561
    assert plan["files"][0].startswith(f"{len(record['files'])} (about ")


def test_a_manifest_and_its_columns_are_planned(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    photos = write_photos(tmp_path / "photos", 5)
    rows = [{"at": str(tmp_path / "photos" / name), "image_id": name, "n": 1} for name in photos]
    rows.append({"at": str(tmp_path / "gone.png"), "image_id": "gone", "n": 2})
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["--manifest", str(manifest), "--uri_column", "at"]
    argv += ["--carry_columns", "n", "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 0
    plan = said(capsys)
    assert plan["matched"][0].startswith("6 images, ")
    assert plan["matched"][1] == "1 whose sizes are not listed, and not in these bytes"
    assert plan["failed"][1].startswith(f"1 read/NotFound, such as {tmp_path / 'gone.png'}: ")


def test_a_run_that_would_fail_is_said_and_one_that_cannot_work_fails(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    write_photos(tmp_path / "photos", 3)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no image")
    argv = ["--input", str(tmp_path / "photos"), "--plan"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    verdict = "1 of 4 (25.0%); more than --max_failed_fraction 0.1 allows: the run would fail"
    assert said(capsys)["failed"][0] == verdict
    argv = ["--input", str(tmp_path / "photos" / "bad.jpg"), "--plan"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 1
    captured = capsys.readouterr()
    assert "1 decode/UnsupportedFormat" in captured.out
    assert captured.err == (
        "embed: every image of the sample failed; a run would publish nothing\n"
    )
    assert run_embed(str(tmp_path), tmp_path / "out", *argv) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), empty)
    assert run_embed(mean_color, tmp_path / "out", "--input", str(empty), "--plan") == 1
    assert "no images found: the input files hold none" in capsys.readouterr().err


def test_a_refresh_is_planned_by_the_listing(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 60)
    (photos / "bad.jpg").write_bytes(b"no image")
    for n in range(2):
        write_examples(photos / f"e{n}.tfrecord", [solid(n, i, 9) for i in range(20)])
    argv = ["--input", str(photos), "--image_id_from", "uri"]
    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    assert not root.exists()
    first = said(capsys)
    assert "new" not in first
    assert first["output"] == [f"--output_root {root} would get a new run, and LATEST name it"]
    assert run_refresh(mean_color, root, *argv) == 0
    before, earlier = tree(root), latest(root)
    capsys.readouterr()

    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    same = said(capsys)
    assert (same["new"], same["unchanged"]) == (["0"], ["101"])
    assert same["since"][0] == str(earlier)
    assert same["sample"] == ["none: there is nothing to compute"]

    for n in range(7):
        (photos / f"photo-{n:03d}.png").unlink()
    for n in range(3):
        (photos / f"new-{n}.png").write_bytes(solid(n, n, 200))
        (photos / f"photo-02{n}.png").write_bytes(solid(n, 255, 200) + b" ")
    write_examples(photos / "e1.tfrecord", [solid(200, i, 9) for i in range(25)])
    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    plan = said(capsys)
    assert tree(root) == before
    assert latest(root) == earlier
    assert plan["matched"][0].startswith("102 images, ")
    assert plan["sample"][0].startswith("31 images here, ")
    assert run_refresh(mean_color, root, *argv) == 0
    record = read_record(latest(root))
    for name in ("new", "unchanged", "deleted", "retried"):
        if name != "new":
            assert plan[name] == [str(record["changes"][name])], name
    # The listing cannot tell what of a file that changed is new.
    told = int(plan["new"][0]) + int(plan["changed"][0])
    assert told == record["changes"]["new"] + record["changes"]["changed"] == 31
    assert plan["files"][0].startswith(f"{len(record['files'])} (about ")


def test_a_refresh_with_another_recipe_or_a_lost_mount_is_planned(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 20)
    assert run_refresh(mean_color, root, "--input", str(photos)) == 0
    capsys.readouterr()
    argv = ["--input", str(photos), "--plan"]
    assert run_refresh(mean_color, root, *argv, "--normalize", "l2") == 0
    plan = said(capsys)
    assert plan["unchanged"] == ["20"]
    assert plan["since"][-1].startswith("all is computed again, because outputs.normalize was")
    assert plan["sample"][0].startswith("20 images here, ")
    for n in range(12):
        (photos / f"photo-{n:03d}.png").unlink()
    assert run_refresh(mean_color, root, *argv) == 0
    plan = said(capsys)
    assert plan["deleted"] == ["12"]
    assert plan["since"][-1] == (
        "more are gone than --max_deleted_fraction 0.5 allows: the run would fail"
    )


def test_a_plan_on_cloud_storage_writes_nothing_there(
    cloud: Cloud, mean_color: str, capsys: Capsys
) -> None:
    for n in range(12):
        cloud.put(f"photos/{n}.png", solid(n, n, 9))
    before = cloud.names()
    argv = ["--model", mean_color, "--input", f"{cloud.uri}/photos"]
    assert embed.main([*argv, "--output", f"{cloud.uri}/out", "--plan"]) == 0
    plan = said(capsys)
    assert plan["sample"][0].startswith("12 images here, ")
    assert plan["output"] == [f"--output {cloud.uri}/out is free"]
    assert cloud.names() == before


def test_whatever_the_runner_only_this_machine_works(
    tmp_path: pathlib.Path, mean_color: str, capsys: Capsys
) -> None:
    write_photos(tmp_path / "photos", 3)
    argv = ["--input", str(tmp_path / "photos"), "--plan", "--runner", "SparkRunner"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    plan = said(capsys)
    assert plan["sample"][1] == ("measured on this machine: the workers of --runner may be others")


def test_ctrl_c_leaves_nothing(
    tmp_path: pathlib.Path, temporary: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    write_large_photos(photos, 400)
    argv = [sys.executable, "-m", "pipelines.embed", "--model", mean_color, "--plan"]
    argv += ["--input", str(photos), "--output", str(tmp_path / "out"), "--batch_size", "2"]
    process = subprocess.Popen(
        argv,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list(temporary.glob("*/staging/*.parquet")):
        assert time.monotonic() < deadline, "no shard was begun"
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; nothing was written\n"
    assert not list(tmp_path.glob(".out*"))
