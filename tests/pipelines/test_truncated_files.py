"""Files of images that end early: nobody knows how many are missing, so nothing is published."""

import pathlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import verify
from pipelines.explore.report_failures import show_failures
from tests.support.runs import (
    hashes,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    write_examples,
)
from tests.support.tars import write_tar
from tests.support.zips import write_zip
from transforms.runs.directory import FAILURES_FILE
from transforms.runs.record import read_published_run

IMAGES = 12
IMAGE_FILES = [solid(20 * n, 255 - n, n) + bytes(range(256)) * 4 for n in range(IMAGES)]
ALLOWED = "--allow_truncated_files"


def write_images(path: pathlib.Path) -> None:
    """Writes twelve images that gzip cannot make small, by the kind that the name says."""
    if ".tar" in path.name:
        write_tar(path, {f"{n:02}.png": image for n, image in enumerate(IMAGE_FILES)})
    elif path.suffix == ".zip":
        write_zip(path, {f"{n:02}.png": image for n, image in enumerate(IMAGE_FILES)})
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"image": IMAGE_FILES}), path)
    else:
        write_examples(path, IMAGE_FILES)


def cut(path: pathlib.Path, fraction: float = 0.5) -> int:
    """Cuts a file; returns how many bytes are left."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path.stat().st_size


def damage(path: pathlib.Path) -> int:
    """Zeroes 4 kB in the middle of a file; returns its size."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)
    return len(content)


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("a.tar", cut),
        ("a.tar.gz", cut),
        ("a.tar.bz2", cut),
        ("a.tar.xz", cut),
        ("a.tar.zst", cut),
        ("a.zip", cut),
        ("a.tfrecord", cut),
        ("a.parquet", cut),
        ("a.tar", damage),
        ("a.tfrecord", damage),
    ],
)
def test_a_truncated_file_is_published_only_if_that_is_allowed(
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
    name: str,
    harm: Callable[[pathlib.Path], int],
) -> None:
    path, out, staging = tmp_path / name, tmp_path / "out", tmp_path / ".out.staging"
    write_images(path)
    size = harm(path)
    write_tar(tmp_path / "whole.tar", {f"w{n}.png": solid(n, n, 9) for n in range(30)})
    argv = ["--input", str(path), str(tmp_path / "whole.tar")]
    assert run_embed(mean_color, out, *argv) == 1
    (message,) = capsys.readouterr().err.strip().splitlines()
    assert f"{path} was not read to its end: " in message
    assert f"; the file has {size:,} bytes, and " in message
    assert "--allow_truncated_files" in message
    assert not out.exists()
    assert (staging / FAILURES_FILE).exists()
    computed = {file.stat().st_ino for file in staging.glob("*.parquet")}
    assert run_embed(mean_color, out, *argv, "--resume", ALLOWED) == 0
    assert {file.stat().st_ino for file in out.glob("*.parquet")} == computed
    (failure,) = [f for f in read_failures(out) if f["error_type"] == "TruncatedFile"]
    record = read_record(out)
    before = record["counts"]["written"] - 30 + len(read_failures(out)) - 1
    assert f" and {before} images came before; " in failure["message"]
    assert record["failures_by_reason"]["read/TruncatedFile"] == 1
    assert len(record["warnings"]) == 1
    assert record["warnings"][0].startswith(f"{path} was not read to its end: ")
    assert f"warning: {path} was not read to its end" in capsys.readouterr().err
    assert verify.main([str(out)]) == 0
    assert ", files not read to their ends 1," in capsys.readouterr().out
    failures = show_failures(read_published_run(str(out)), 96)
    (sheet, *_) = [sheet for sheet in failures.sheets if "Truncated" in sheet.title]
    assert sheet.title.endswith("; how many images are missing is not known")


def test_a_file_that_was_put_right_is_resumed_without_the_flag(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    path = tmp_path / "a.tfrecord"
    write_images(path)
    whole = path.read_bytes()
    cut(path)
    assert run_embed(mean_color, tmp_path / "out", "--input", str(path)) == 1
    path.write_bytes(whole)
    assert run_embed(mean_color, tmp_path / "out", "--input", str(path), "--resume") == 0
    assert run_embed(mean_color, tmp_path / "full", "--input", str(path)) == 0
    assert hashes(tmp_path / "out") == hashes(tmp_path / "full")


@pytest.mark.parametrize(
    ("name", "output_format", "kept"),
    [
        ("a.tfrecord", "parquet", IMAGES),
        ("a.tfrecord", "tfrecord", IMAGES),
        ("a.tar", "tfrecord", IMAGES - 1),  # The sample that the file ends in fails by its name.
    ],
)
def test_a_refresh_keeps_the_rows_behind_the_end(
    tmp_path: pathlib.Path, mean_color: str, name: str, output_format: str, kept: int
) -> None:
    path, root = tmp_path / name, tmp_path / "root"
    if path.suffix == ".tar":  # Labels that are no lists, as those of tf.Examples are.
        images = {f"{n:02}.png": image for n, image in enumerate(IMAGE_FILES)}
        labels = {f"{n:02}.label": b"%d" % n for n in range(IMAGES)}
        write_tar(path, dict(sorted({**images, **labels}.items())))
    else:
        write_images(path)
    argv = ["--input", str(path), "--carry_columns", "label", "--output_format", output_format]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    whole = path.read_bytes()
    cut(path)
    assert run_refresh(mean_color, root, *argv) == 1
    assert latest(root) == first
    assert run_refresh(mean_color, root, *argv, "--resume", ALLOWED) == 0
    changes = read_record(latest(root))["changes"]
    assert (changes["unchanged"], changes["deleted"], changes["reused"]) == (kept, 0, kept)
    (failure,) = read_failures(latest(root))
    assert failure["error_type"] == "TruncatedFile"
    assert verify.main([str(latest(root))]) == 0
    assert run_refresh(mean_color, root, *argv, ALLOWED) == 0  # All is as it was: carried over.
    path.write_bytes(whole)
    assert run_refresh(mean_color, root, *argv) == 0
    changes = read_record(latest(root))["changes"]
    assert (changes["deleted"], changes["new"], changes["reused"]) == (0, 0, kept)
    assert hashes(latest(root)) == hashes(first)


def test_images_behind_the_end_fail_by_name_where_their_rows_are_of_no_use(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    path, root = tmp_path / "a.tar", tmp_path / "root"
    write_images(path)
    argv = ["--input", str(path), "--max_failed_fraction", "0.9"]
    assert run_refresh(mean_color, root, *argv) == 0
    before = set(read(latest(root))["image_id"].to_pylist())
    cut(path)
    assert run_refresh(mean_color, root, *argv, "--interpolation", "area", ALLOWED) == 0
    assert read_record(latest(root))["changes"]["deleted"] == 0
    failures = read_failures(latest(root))
    assert {f["error_type"] for f in failures} == {"TruncatedFile", "NotReached"}
    rows = set(read(latest(root))["image_id"].to_pylist())
    assert rows | {failure["image_id"] for failure in failures} == before
    assert {f["uri"] for f in failures} == {f"{path}#{int(f['image_id'])}" for f in failures}
    assert verify.main([str(latest(root))]) == 0


def test_a_file_that_does_not_open_is_not_known_to_hold_one_image(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    (tmp_path / "in" / "closed").mkdir(parents=True)
    path = tmp_path / "in" / "closed" / "a.tar"
    write_images(path)
    write_tar(tmp_path / "in" / "b.tar", {f"w{n}.png": solid(n, n, 9) for n in range(30)})
    argv = ["--input", str(tmp_path / "in"), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    path.chmod(0)
    assert run_embed(mean_color, out, *argv) == 1
    assert f"{path} was not read to its end: permission" in capsys.readouterr().err
    assert run_embed(mean_color, out, *argv, "--resume", ALLOWED) == 0
    path.chmod(0o644)
    path.parent.chmod(0)
    # The run before says how many images are there: each fails by name.
    assert run_refresh(mean_color, root, *argv, "--interpolation", "area") == 0
    path.parent.chmod(0o755)
    record = read_record(latest(root))
    assert record["changes"]["deleted"] == 0
    assert record["failures_by_reason"] == {
        "read/NotReached": IMAGES,
        "read/PermissionDenied": 1,
        "read/Unlisted": 1,
    }
    assert verify.main([str(latest(root))]) == 0
