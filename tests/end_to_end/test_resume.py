"""Resuming and claiming: what a dead run finished counts, and two runs never share an output."""

import json
import os
import pathlib
import shutil
import time

import pytest

from tests.support.images import encode, photo
from tests.support.kills import kill_once
from tests.support.models import save_mean_color
from tests.support.runs import (
    contents,
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    solid,
    swap_content,
    write_photos,
)
from tests.support.tars import write_tar
from transforms.errors import OutputError
from transforms.lifecycle import staging
from transforms.lifecycle.lock import run_lock
from transforms.lifecycle.owner import this_process
from transforms.runs.grouping import LEAST_FILES


def die_after(
    model: str, output: pathlib.Path, shards: int, *argv: str, program: str = "embed"
) -> pathlib.Path:
    """Kills a run once so many shards are committed; returns its staging directory."""
    where = output / ".refresh.staging" if program == "refresh" else staging_of(output)
    flag = "--output_root" if program == "refresh" else "--output"
    kill_once(
        lambda: len(list(where.glob("*-of-*.json"))) >= shards,
        lambda: shutil.rmtree(output),
        *(program, "--model", model, flag, str(output), *argv),
    )
    return where


def staging_of(output: pathlib.Path) -> pathlib.Path:
    return output.parent / f".{output.name}.staging"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Images that take long enough to decode for a run to be caught at work."""
    folder = tmp_path_factory.mktemp("in") / "photos"
    folder.mkdir()
    for seed in range(6):
        (folder / f"{seed}.png").write_bytes(encode(photo(500, 640, seed), "PNG"))
    for n in range(6, 240):
        shutil.copyfile(folder / f"{n % 6}.png", folder / f"{n}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def whole(
    photos: pathlib.Path, mean_color: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What an undisturbed run writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run_embed(mean_color, out, "--input", str(photos)) == 0
    return contents(out)


def test_a_dead_run_is_finished_without_repeating_a_shard(
    photos: pathlib.Path,
    whole: dict[str, bytes],
    mean_color: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    argv = ["--input", str(photos), "--batch_size", "4"]
    where = die_after(mean_color, out, 2, *argv)
    assert not out.exists()
    records = {p: json.loads(p.read_text()) for p in where.glob("*-of-*.json")}
    inodes = {p.stem: (where / r["path"]).stat().st_ino for p, r in records.items()}

    assert run_embed(mean_color, out, *argv) == 2
    error = capsys.readouterr().err
    assert f"an unfinished run of {time.strftime('%Y', time.gmtime())}" in error
    shards = "1 shard" if len(records) == 1 else f"{len(records)} shards"
    assert f"({shards} done), and its process is dead" in error
    assert "add --resume to keep what it finished and do the rest, or --overwrite" in error

    assert run_embed(mean_color, out, *argv, "--resume") == 0
    assert contents(out) == whole
    for shard, inode in inodes.items():
        assert (out / f"embeddings-{shard}.parquet").stat().st_ino == inode
    assert not where.exists()
    capsys.readouterr()
    assert run_embed(mean_color, out, *argv, "--resume") == 0
    assert "there is nothing to resume" in capsys.readouterr().out
    assert run_embed(mean_color, out, *argv, "--resume", "--batch_size", "5") == 2


def test_a_dead_run_of_groups_of_tiny_files_is_finished(
    mean_color: str, tmp_path: pathlib.Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    images = [encode(photo(200, 256, seed), "JPEG") for seed in range(4)]
    for n in range(LEAST_FILES + 12):
        members = {f"{n:03}-{i}.jpg": image for i, image in enumerate(images)}
        write_tar(folder / f"{n:03}.tar", members)
    argv = ["--input", str(folder), "--batch_size", "4"]
    where = die_after(mean_color, out, 3, *argv)
    records = [json.loads(path.read_text()) for path in where.glob("*-of-*.json")]
    done = [record["input"] for record in records if isinstance(record["input"], list)]
    assert done, "the test needs a finished group"
    # One file of a finished group changes; the others of it are not opened again.
    changed, *others = (pathlib.Path(file["uri"]) for file in done[0])
    write_tar(changed, {"changed.jpg": images[0]})
    originals = {path: path.read_bytes() for path in others}
    for path, content in originals.items():
        swap_content(path, bytes(len(content)))
    assert run_embed(mean_color, out, *argv, "--resume") == 0
    for path, content in originals.items():
        swap_content(path, content)
    assert run_embed(mean_color, tmp_path / "whole", *argv) == 0
    assert contents(out) == contents(tmp_path / "whole")


def test_another_recipe_is_not_resumed(
    photos: pathlib.Path,
    whole: dict[str, bytes],
    mean_color: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    argv = ["--input", str(photos)]
    die_after(mean_color, out, 1, *argv)
    more = ["--normalize", "l2", "--exif", "ignore", "--rows_per_file", "7"]
    assert run_embed(mean_color, out, *argv, "--resume", *more) == 2
    error = capsys.readouterr().err
    assert 'recipe.outputs.normalize was "none", is "l2"' in error
    assert 'recipe.preprocessing.exif was "apply", is "ignore"' in error
    assert "layout.rows_per_file was 10000, is 7" in error
    other = save_mean_color(tmp_path / "other", height=20)
    assert run_embed(other, out, *argv, "--resume") == 2
    assert "recipe.model.fingerprint was" in capsys.readouterr().err
    assert run_embed(mean_color, out, *argv, "--overwrite") == 0
    assert contents(out) == whole


def test_a_shard_that_no_longer_holds_is_done_again(
    photos: pathlib.Path, mean_color: str, tmp_path: pathlib.Path
) -> None:
    mine = tmp_path / "photos"
    shutil.copytree(photos, mine, copy_function=shutil.copy2)
    out = tmp_path / "out"
    where = die_after(mean_color, out, 3, "--input", str(mine))
    first, *_ = sorted(where.glob("*-of-*.json"))
    damaged = where / json.loads(first.read_text())["path"]
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    (mine / "new.png").write_bytes(solid(1, 2, 3))
    (mine / "0.png").write_bytes(solid(3, 2, 1))
    assert run_embed(mean_color, out, "--input", str(mine), "--resume") == 0
    full = tmp_path / "full"
    assert run_embed(mean_color, full, "--input", str(mine)) == 0
    assert contents(out) == contents(full)


def test_an_earlier_run_stays_until_the_new_one_is_complete(
    photos: pathlib.Path,
    whole: dict[str, bytes],
    mean_color: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = tmp_path / "few"
    write_photos(few, 3)
    out = tmp_path / "out"
    assert run_embed(mean_color, out, "--input", str(few)) == 0
    earlier = contents(out)
    die_after(mean_color, out, 1, "--input", str(photos), "--overwrite")
    assert contents(out) == earlier
    assert (out / "_SUCCESS").exists()
    assert run_embed(mean_color, out, "--input", str(photos)) == 2
    assert "an unfinished run" in capsys.readouterr().err
    # That it may replace the earlier run was said when it began.
    assert run_embed(mean_color, out, "--input", str(photos), "--resume") == 0
    assert contents(out) == whole


def test_a_dead_refresh_is_finished_under_a_new_date(
    photos: pathlib.Path, whole: dict[str, bytes], mean_color: str, tmp_path: pathlib.Path
) -> None:
    root = tmp_path / "root"
    argv = ["--input", str(photos)]
    die_after(mean_color, root, 2, *argv, program="refresh")
    assert [path.name for path in root.iterdir()] == [".refresh.staging"]
    assert run_refresh(mean_color, root, *argv) == 2
    assert run_refresh(mean_color, root, *argv, "--resume") == 0
    assert contents(latest(root)) == whole
    assert run_refresh(mean_color, root, *argv, "--resume") == 0
    assert len(list(root.glob("2*"))) == 2


def test_a_second_run_into_one_output_is_refused_and_told_who_the_first_is(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "photos")]
    with run_lock(str(staging_of(out)), this_process("0123456789", "classify")):
        for flags in ([], ["--resume"], ["--overwrite"]):
            assert run_embed(mean_color, out, *argv, *flags) == 2
            error = capsys.readouterr().err
            assert f"run 01234567 of pipelines.classify (process {os.getpid()} on" in error
            assert len(error.splitlines()) == 1
    assert run_embed(mean_color, out, *argv) == 0


def test_a_lock_that_was_swept_away_meanwhile_is_not_held(tmp_path: pathlib.Path) -> None:
    where = tmp_path / "staging"
    owner = this_process("1", "embed")
    with run_lock(str(where), owner):
        (where / staging.LOCK_FILE).unlink()
        with run_lock(str(where), this_process("2", "embed")):
            assert json.loads((where / staging.LOCK_FILE).read_text())["run_id"] == "2"
            with pytest.raises(OutputError, match="run 2 of"), run_lock(str(where), owner):
                pass


def test_a_directory_with_files_of_others_is_never_written(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    argv = ["--input", str(tmp_path / "photos"), "--overwrite"]
    for number, name in enumerate(
        ["notes.txt", "sub/embeddings-00000-of-00001.parquet", "a.parquet"]
    ):
        out = tmp_path / f"out-{number}"
        (out / name).parent.mkdir(parents=True)
        (out / name).write_text("mine")
        assert run_embed(mean_color, out, *argv) == 2
        assert f"holds files that no run wrote ({name})" in capsys.readouterr().err
        assert (out / name).read_text() == "mine"
        assert not staging_of(out).exists()


def test_a_file_in_place_of_the_directory_is_refused(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "out").write_text("mine")
    argv = ["--input", str(tmp_path / "photos"), "--overwrite"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_crash_between_two_renames_is_mended(tmp_path: pathlib.Path, mean_color: str) -> None:
    """As on a file system whose directories cannot change places."""
    write_photos(tmp_path / "photos", 2)
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_embed(mean_color, out, *argv) == 0
    earlier = contents(out)
    where = staging_of(out)
    where.mkdir()
    out.rename(where / staging.REPLACED)
    assert run_embed(mean_color, out, *argv) == 2, "the earlier run is there again"
    assert contents(out) == earlier
    assert not where.exists()


def test_a_link_to_a_directory_stays_a_link(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_photos(tmp_path / "photos", 2)
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "vectors")
    argv = ["--input", str(tmp_path / "photos")]
    for flags in ([], ["--overwrite"]):
        assert run_embed(mean_color, tmp_path / "out", *argv, *flags) == 0
        assert (tmp_path / "out").is_symlink()
        assert read(tmp_path / "out").num_rows == 2


def test_what_may_not_fail_again_is_tried_again_and_the_rest_of_its_shard_stays(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 20)
    (photos / "broken.png").write_bytes(b"no image")
    closed = [photos / f"photo-{n:03d}.png" for n in range(10, 15)]
    for path in closed:
        path.chmod(0)
    argv = ["--input", str(photos)]
    assert run_embed(mean_color, out, *argv) == 1
    assert "6 of 21 images failed" in capsys.readouterr().err
    for path in closed[:4]:
        path.chmod(0o644)
    swap_content(photos / "photo-000.png", b"")  # Not opened.
    more = ["--resume", "--max_failed_fraction", "0.2"]
    assert run_embed(mean_color, out, *argv, *more) == 0
    assert "changes" not in read_record(out)
    swap_content(photos / "photo-000.png", solid(0, 0, 255))
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(out) == contents(tmp_path / "full")


def test_of_a_shard_whose_images_changed_since_only_these_are_computed_again(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 10)
    for n in range(5):
        (photos / f"later-{n}.png").symlink_to(tmp_path / f"{n}.png")
    out = tmp_path / "out"
    argv = ["--input", str(photos)]
    assert run_embed(mean_color, out, *argv) == 1
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(solid(n, n, n))
    swap_content(photos / "photo-000.png", b"")  # Not opened.
    assert run_embed(mean_color, out, *argv, "--resume") == 0
    assert "changes" not in read_record(out)
    swap_content(photos / "photo-000.png", solid(0, 0, 255))
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(out) == contents(tmp_path / "full")


def test_with_both_flags_a_run_of_another_recipe_is_started_again(
    photos: pathlib.Path, whole: dict[str, bytes], mean_color: str, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "out"
    die_after(mean_color, out, 1, "--input", str(photos), "--normalize", "l2")
    both = ["--resume", "--overwrite"]
    assert run_embed(mean_color, out, "--input", str(photos), *both) == 0
    assert contents(out) == whole


def test_a_run_that_is_refused_before_its_first_shard_leaves_nothing(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 2)
    out = tmp_path / "out"
    twice = ["--input", str(tmp_path / "photos"), str(tmp_path / "photos" / "*.png")]
    assert run_embed(mean_color, out, *twice) == 2
    assert not staging_of(out).exists()
    assert run_embed(mean_color, out, *twice[:2]) == 0
