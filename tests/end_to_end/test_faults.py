"""What goes wrong around a run: each costs that run at most, and says what to do."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from pipelines import verify
from tests.support.images import encode, photo
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    swap_content,
    write_large_photos,
    write_photos,
)


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, size_bytes: int) -> Iterator[pathlib.Path]:
    """Mounts a file system in memory that is soon full."""
    folder.mkdir()
    options = f"size={size_bytes}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small file system: needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_a_larger_one_finishes_it(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 300)
    argv = ["--input", str(tmp_path / "photos")]
    # The few need 32 kB of it, and all 288 kB.
    with small_disk(tmp_path / "disk", 72 << 10) as disk:
        root = disk / "root"
        few = ["--input", str(tmp_path / "photos" / "photo-00*.png")]
        assert run_refresh(mean_color, root, *few) == 0
        before, run = contents(latest(root)), latest(root)
        capsys.readouterr()
        assert run_refresh(mean_color, root, *argv) == 1
        error = capsys.readouterr().err
        assert "No space left on device; nothing is published; run again with --resume" in error
        assert len(error.splitlines()) == 1
        assert (latest(root), contents(run)) == (run, before)
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert run_refresh(mean_color, root, *argv, "--resume") == 0
        assert run_embed(mean_color, tmp_path / "full", *argv) == 0
        assert read(latest(root)).equals(read(tmp_path / "full"))


def test_an_output_on_a_mount_point_is_published_in_place(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 5)
    argv = ["--input", str(tmp_path / "photos")]
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        (disk / "lost+found").mkdir(0)  # As mke2fs makes it: no one else may look into it.
        assert run_embed(mean_color, disk, *argv) == 0
        assert verify.main([str(disk)]) == 0
        (disk / f"_run.json.{'0' * 32}.partial").write_text("{")  # As a crash leaves it.
        assert run_embed(mean_color, disk, *argv, "--overwrite") == 0
        assert verify.main([str(disk)]) == 0
        assert run_embed(mean_color, tmp_path / "beside", *argv) == 0
        assert contents(disk) == contents(tmp_path / "beside")
        assert (disk / "_SUCCESS").exists()
        assert not (disk / "_staging").exists()


def test_an_output_that_turns_read_only_at_work_keeps_the_earlier_run(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 70)
    argv = ["--input", str(photos), "--rows_per_file", "8"]
    assert run_refresh(mean_color, root, *argv) == 0
    run, before = latest(root), contents(latest(root))
    write_large_photos(photos, 30)
    staging = root / ".refresh.staging"

    def turn_read_only() -> None:
        while not list(staging.glob("*-of-*.json")):
            time.sleep(0.002)
        staging.chmod(0o555)

    turning = threading.Thread(target=turn_read_only)
    capsys.readouterr()
    turning.start()
    assert run_refresh(mean_color, root, *argv) == 1
    turning.join()
    error = capsys.readouterr().err
    assert "Permission denied; nothing is published; run again with --resume" in error
    assert len(error.splitlines()) == 1
    assert (latest(root), contents(run)) == (run, before)
    staging.chmod(0o755)
    assert run_refresh(mean_color, root, *argv, "--resume") == 0
    assert run_embed(mean_color, root / "full", *argv) == 0
    assert contents(latest(root)) == contents(root / "full")


def test_a_directory_that_turns_read_only_keeps_the_earlier_run(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 5)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    run, before = latest(root), contents(latest(root))
    root.chmod(0o555)
    assert run_refresh(mean_color, root, *argv) == 2
    error = capsys.readouterr().err
    assert f"--output_root {root} cannot be written" in error
    assert len(error.splitlines()) == 1
    assert (latest(root), contents(run)) == (run, before)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "inputs"])
def test_a_damaged_file_of_the_run_before_is_computed_again_and_named(
    tmp_path: pathlib.Path, mean_color: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 70)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    name = (
        "_inputs/00001-of-00004.arrow"
        if damage == "inputs"
        else "embeddings-00001-of-00004.parquet"
    )
    path = first / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-10])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    (photos / "photo-070.png").write_bytes(solid(70, 234, 185))
    assert run_refresh(mean_color, root, *argv) == 0
    error = capsys.readouterr().err
    assert f"{path} is not what its run wrote; shard 00001-of-00004 was computed again" in error
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def test_a_damaged_record_of_the_run_before_is_refused_with_the_way_on(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 3)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    run = latest(root)
    (run / "_run.json").write_text("{")
    assert run_refresh(mean_color, root, *argv) == 2
    error = capsys.readouterr().err
    assert str(run / "_run.json") in error
    assert "move" in error
    assert len(error.splitlines()) == 1
    shutil.move(run, tmp_path / "aside")
    assert run_refresh(mean_color, root, *argv) == 0


def test_an_image_that_changes_while_it_is_read_is_never_half_of_each(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    """A writer rewrites one file all the time."""
    photos = tmp_path / "photos"
    write_photos(photos, 5)
    busy = photos / "busy.png"
    images = [encode(photo(600, 800, seed), "PNG", compress_level=0) for seed in (1, 2)]
    size = max(map(len, images))
    busy.write_bytes(images[0])
    done = threading.Event()

    def rewrite() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            with busy.open("r+b") as file:
                for start in range(0, size, 65536):
                    file.seek(start)
                    file.write(images[turn % 2][start : start + 65536])

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        argv = ["--input", str(photos), "--max_failed_fraction", "0.5"]
        assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    finally:
        done.set()
        writer.join()
    assert read(tmp_path / "out").num_rows == 5
    (failure,) = read_failures(tmp_path / "out")
    assert (failure["step"], failure["error_type"]) == ("read", "UnstableImage")
    assert "changed each of the 3 times it was read" in failure["message"]


def test_a_listing_that_shrinks_is_not_published(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 10)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    run = latest(root)
    for n in range(6):
        (photos / f"photo-{n:03d}.png").unlink()
    assert run_refresh(mean_color, root, *argv) == 1
    error = capsys.readouterr().err
    assert f"6 of 10 images of {run} are gone from the inputs (60.0%)" in error
    assert "--max_deleted_fraction 0.5 allows; nothing is published" in error
    assert latest(root) == run
    more = ["--resume", "--max_deleted_fraction", "0.6"]
    assert run_refresh(mean_color, root, *argv, *more) == 0
    assert read_record(latest(root))["changes"]["deleted"] == 6


def test_an_empty_mount_deletes_nothing(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 10)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    run = latest(root)
    photos.rename(tmp_path / "away")
    photos.mkdir()
    assert run_refresh(mean_color, root, *argv) == 2
    assert "no images found" in capsys.readouterr().err
    assert latest(root) == run
    assert not (root / ".refresh.staging").exists()


def test_a_listing_with_older_times_is_checked_by_content(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    """Restored from a backup: other times, the same bytes, but for one image."""
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 10)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    swap_content(photos / "photo-003.png", solid(3, 3, 3))
    for path in photos.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert run_refresh(mean_color, root, *argv) == 0
    changes = read_record(latest(root))["changes"]
    assert (changes["unchanged"], changes["changed"], changes["reused"]) == (9, 1, 9)
