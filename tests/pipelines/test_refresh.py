"""Refreshing: only what changed is computed, and the result is that of a full run."""

import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines import classify, embed, verify
from tests.support.models import save_mean_color, save_output
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
    vectors_of,
    write_photos,
)
from tests.support.tars import write_tar
from transforms.runs.root import RunRoot

NONE = {
    "new": 0, "changed": 0, "unchanged": 0, "deleted": 0, "retried": 0, "reused": 0, "duplicate": 0,
}  # fmt: skip


def changes(root: pathlib.Path) -> dict[str, int]:
    return read_record(latest(root))["changes"]


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_a_refresh_computes_what_changed_and_equals_a_full_run(
    tmp_path: pathlib.Path, mean_color: str, output_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 80)
    (photos / "broken.png").write_bytes(b"no image")
    argv = ["--input", str(photos), "--output_format", output_format]
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "new": 81}
    swap_content(photos / "photo-005.png", b"")  # Not opened: nobody finds out.
    (photos / "photo-006.png").write_bytes(solid(200, 0, 0))
    (photos / "photo-007.png").unlink()
    (photos / "photo-new.png").write_bytes(solid(0, 200, 0))
    (photos / "photo-008.png").touch()
    swap_content(photos / "broken.png", b"other")
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {
        **NONE, "new": 1, "changed": 1, "unchanged": 79, "deleted": 1, "reused": 78,
    }  # fmt: skip
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["unchanged"] == "79"
    assert printed["saved"] == "78 inferences"
    assert printed["failed"] == "1"
    swap_content(photos / "photo-005.png", solid(5, 35, 250))
    swap_content(photos / "broken.png", b"no image")
    full = tmp_path / "full"
    assert run_embed(mean_color, full, *argv) == 0
    assert contents(latest(root)) == contents(full)


def test_a_refresh_without_a_change_links_every_file(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 40)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    assert run_refresh(mean_color, root, *argv) == 0
    second = latest(root)
    assert second != first
    assert changes(root) == {**NONE, "unchanged": 40, "reused": 40}
    for path in first.glob("*.parquet"):
        assert path.samefile(second / path.name)
    assert sorted(p.name for p in root.iterdir()) == sorted([first.name, second.name, "LATEST"])


SAYS_WHETHER_IT_CAME = """
import sys
from pipelines import refresh
module = sys.argv.pop(1)
code = refresh.main()
print(module in sys.modules)
sys.exit(code)
"""


def run_and_ask_for(module: str, *argv: str) -> bool:
    """Refreshes in a process of its own; returns whether that imported a module."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", SAYS_WHETHER_IT_CAME, module, *argv],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.splitlines()[-1] == "True"


def test_a_refresh_that_computes_nothing_imports_no_tensorflow(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    colours = write_photos(photos, 4)

    argv = ["--input", str(photos)]
    nightly = [*argv, "--model", mean_color, "--output_root", str(root)]
    otherwise = ["--signature", "__call__"]
    assert run_refresh(mean_color, root, *argv) == 0
    assert not run_and_ask_for("tensorflow", *nightly)
    assert changes(root) == {**NONE, "unchanged": 4, "reused": 4}
    # The model is asked otherwise: what the run before found out about it may not hold.
    assert run_and_ask_for("tensorflow", *nightly, *otherwise)
    (photos / "photo-new.png").write_bytes(solid(0, 255, 0))
    assert run_refresh(mean_color, root, *argv, *otherwise) == 0
    assert changes(root) == {**NONE, "new": 1, "unchanged": 4, "reused": 4}
    table = read(latest(root)).sort_by("image_id")
    expected = np.array([*colours.values(), [0, 1, 0]])
    np.testing.assert_allclose(vectors_of(table), expected, atol=1e-4)


@pytest.mark.parametrize(("flags", "has_client"), [((), False), (("--runner=DirectRunner",), True)])
def test_beam_comes_without_what_a_run_on_this_machine_does_not_call(
    tmp_path: pathlib.Path, mean_color: str, flags: tuple[str, ...], has_client: bool
) -> None:
    write_photos(tmp_path / "photos", 2)
    argv = ["--input", str(tmp_path / "photos"), "--model", mean_color]
    argv += ["--output_root", str(tmp_path / "root"), *flags]
    assert run_and_ask_for("google.cloud.bigquery", *argv) == has_client


def test_classes_are_refreshed_too(tmp_path: pathlib.Path, logits: str) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 10)
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    argv = ["--input", str(photos), "--labels", str(labels), "--top_k", "2"]
    for output_format in ("tfrecord", "parquet"):
        more = ["--program", "classify", "--output_format", output_format]
        assert run_refresh(logits, root, *argv, *more) == 0
        (photos / f"new-{output_format}.png").write_bytes(solid(len(output_format), 2, 3))
        assert run_refresh(logits, root, *argv, *more) == 0
        full = tmp_path / f"full-{output_format}"
        model = ["--model", logits, "--output", str(full), "--output_format", output_format]
        assert classify.main([*argv, *model]) == 0
        assert contents(latest(root)) == contents(full)
        assert changes(root)["new"] == 1
        assert changes(root)["reused"] == 10 + (output_format == "parquet")


def forget_column(run: pathlib.Path, name: str) -> None:
    """Makes a run one of a program that did not know a column yet."""
    record = read_record(run)
    for entry in record["files"]:
        path = run / entry["path"]
        pq.write_table(pq.read_table(path).drop_columns([name]), path)
        entry["size_bytes"] = path.stat().st_size
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (run / "_run.json").write_text(json.dumps(record))


def test_rows_that_lack_a_column_of_now_are_computed_again(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 40)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    forget_column(latest(root), "height")
    (photos / "photo-new.png").write_bytes(solid(0, 200, 0))
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "new": 1, "unchanged": 40}
    why = read_record(latest(root))["recomputed_because"]
    assert why == "column height was not written, is written"
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def test_when_the_shards_double_each_half_keeps_its_rows(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 60)
    argv = ["--input", str(photos), "--rows_per_file", "20"]
    assert run_refresh(mean_color, root, *argv) == 0
    assert len(list(latest(root).glob("*.parquet"))) == 4
    write_photos(tmp_path / "more", 100)
    for path in (tmp_path / "more").iterdir():
        if not (photos / path.name).exists():
            shutil.move(path, photos)
    (photos / "photo-000.png").unlink()
    swap_content(photos / "photo-001.png", b"")
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "new": 40, "unchanged": 59, "deleted": 1, "reused": 59}
    swap_content(photos / "photo-001.png", solid(1, 7, 254))
    full = tmp_path / "full"
    assert run_embed(mean_color, full, *argv) == 0
    assert len(list(full.glob("*.parquet"))) == 8
    assert contents(latest(root)) == contents(full)


def test_the_number_of_shards_never_falls(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 70)
    argv = ["--input", str(photos), "--max_deleted_fraction", "1"]
    assert run_refresh(mean_color, root, *argv) == 0
    for number in range(60):
        (photos / f"photo-{number:03d}.png").unlink()
    assert run_refresh(mean_color, root, *argv) == 0
    assert len(list(latest(root).glob("*.parquet"))) == 4
    assert changes(root) == {**NONE, "unchanged": 10, "deleted": 60, "reused": 10}


def test_another_model_or_policy_computes_everything_again_and_says_why(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 5)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    assert run_refresh(mean_color, root, *argv, "--normalize", "l2", "--resize_mode", "crop") == 0
    assert changes(root) == {**NONE, "unchanged": 5}
    error = capsys.readouterr().err
    assert 'outputs.normalize was "none", is "l2"' in error
    assert 'preprocessing.resize_mode was "squash", is "crop"' in error
    other = tmp_path / "other"
    save_mean_color(str(other), height=20)
    assert run_refresh(str(other), root, *argv) == 0
    assert (
        "every image was computed again, because model.fingerprint was" in capsys.readouterr().err
    )
    assert changes(root) == {**NONE, "unchanged": 5}
    np.testing.assert_allclose(vectors_of(read(latest(root)))[0], [0, 0, 1], atol=1e-4)


def write_examples(path: pathlib.Path, images: dict[str, bytes]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, image in images.items():
            example = tf.train.Example()
            example.features.feature["image/encoded"].bytes_list.value.append(image)
            example.features.feature["image/filename"].bytes_list.value.append(name.encode())
            example.features.feature["label"].int64_list.value.append(len(name))
            writer.write(example.SerializeToString())


def test_files_of_images_carry_over_whole_or_by_content(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    source, root = tmp_path / "in", tmp_path / "root"
    source.mkdir()
    for file in "abc":
        write_examples(
            source / f"{file}.tfrecord", {f"{file}{n}": solid(n, ord(file), 0) for n in range(6)}
        )
    table = pa.table({"image": [solid(n, 1, 1) for n in range(4)], "label": [[1], [2], [3], [4]]})
    pq.write_table(table, source / "d.parquet")
    argv = ["--input", str(source), "--carry_columns", "label"]
    assert run_refresh(mean_color, root, *argv) == 0
    swap_content(source / "a.tfrecord", b"")  # Not opened.
    images = {f"b{n}": solid(n, ord("b"), 0) for n in (5, 3, 0, 1)}
    write_examples(source / "b.tfrecord", {**images, "b2": solid(99, 0, 0), "new": solid(7, 7, 7)})
    (source / "c.tfrecord").unlink()
    pq.write_table(table.slice(1), source / "d.parquet")
    assert run_refresh(mean_color, root, *argv) == 0
    # d's ids are file#row, so that three rows have the content of another id of before.
    assert changes(root) == {
        **NONE, "new": 1, "changed": 4, "unchanged": 10, "deleted": 1 + 6 + 1, "reused": 13,
    }  # fmt: skip
    made = read(latest(root))
    write_examples(source / "a.tfrecord", {f"a{n}": solid(n, ord("a"), 0) for n in range(6)})
    full = tmp_path / "full"
    assert run_embed(mean_color, full, *argv) == 0
    assert made.equals(read(full))
    names = sorted(path.name for path in full.glob("*.parquet"))
    for name in names:
        assert (latest(root) / name).read_bytes() == (full / name).read_bytes()


def test_tar_files_carry_over_whole_or_by_content(tmp_path: pathlib.Path, mean_color: str) -> None:
    source, root = tmp_path / "in", tmp_path / "root"
    source.mkdir()
    for file in "abc":
        members = {f"{file}{n}.png": solid(n, ord(file), 0) for n in range(12)}
        write_tar(source / f"{file}.tar", members)
    argv = ["--input", str(source)]
    assert run_refresh(mean_color, root, *argv) == 0
    swap_content(source / "a.tar", b"")  # Not opened.
    order = (11, 3, 0, 1, 10, 2)
    members = {f"b{n}.png": solid(n, ord("b"), 0) for n in order}
    members |= {"b2.png": solid(99, 0, 0), "new.png": solid(7, 7, 7)}
    write_tar(source / "b.tar", members)
    (source / "c.tar").unlink()
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {
        **NONE, "new": 1, "changed": 1, "unchanged": 12 + 5, "deleted": 6 + 12, "reused": 12 + 5,
    }  # fmt: skip
    write_tar(source / "a.tar", {f"a{n}.png": solid(n, ord("a"), 0) for n in range(12)})
    full = tmp_path / "full"
    assert run_embed(mean_color, full, *argv) == 0
    for name in sorted(path.name for path in full.glob("*.parquet")):
        assert (latest(root) / name).read_bytes() == (full / name).read_bytes()


def test_what_could_not_be_read_is_tried_again_and_what_cannot_be_decoded_is_not(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 20)
    (photos / "dangling.png").symlink_to(tmp_path / "later.png")
    (photos / "broken.png").write_bytes(b"no image, and not opened again")
    argv = ["--input", str(photos), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    (tmp_path / "later.png").write_bytes(solid(1, 2, 3))
    swap_content(photos / "broken.png", b"secretly another")
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 21, "retried": 1, "reused": 20}
    (failure,) = read_failures(latest(root))
    assert failure["image_id"].endswith("broken.png")
    assert read(latest(root)).num_rows == 21


def test_the_keys_of_a_manifest_keep_their_rows_when_the_files_move(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 4)
    root, manifest = tmp_path / "root", tmp_path / "images.csv"

    def name_all(directory: str, shelf: str) -> None:
        rows = [f"{directory}/photo-{n:03d}.png,key-{n},{shelf}" for n in range(4)]
        manifest.write_text("\n".join(["uri,image_id,shelf", *rows]) + "\n")

    name_all("photos", "left")
    argv = ["--manifest", str(manifest), "--carry_columns", "shelf"]
    assert run_refresh(mean_color, root, *argv) == 0
    (tmp_path / "photos").rename(tmp_path / "moved")
    name_all("moved", "right")
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 4, "reused": 4}
    table = read(latest(root))
    assert table["shelf"].to_pylist() == ["right"] * 4
    assert table["uri"][0].as_py() == str(tmp_path / "moved" / "photo-000.png")


def test_worker_processes_refresh_as_threads_do(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 70)
    argv = ["--input", str(photos)]
    processes = ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"]
    assert run_refresh(mean_color, root, *argv, *processes, "--deduplicate") == 0
    (photos / "photo-001.png").write_bytes(solid(1, 1, 1))
    (photos / "photo-002.png").unlink()
    assert run_refresh(mean_color, root, *argv, *processes, "--deduplicate") == 0
    assert changes(root) == {**NONE, "changed": 1, "unchanged": 68, "deleted": 1, "reused": 68}
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def test_only_so_many_runs_are_kept(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_photos(tmp_path / "photos", 3)
    root = tmp_path / "root"
    made = []
    for _ in range(4):
        argv = ["--input", str(tmp_path / "photos"), "--keep", "2"]
        assert run_refresh(mean_color, root, *argv) == 0
        made.append(latest(root).name)
    assert sorted(path.name for path in root.iterdir()) == [*made[-2:], "LATEST"]
    assert made == sorted(made)


def test_what_a_refresh_left_that_died_at_its_very_end_is_swept_away(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    shutil.copytree(latest(root), root / ".2026-01-01T00-00-00Z.0123abcd.pruned")
    (root / "LATEST.0123456789abcdef.partial").write_text("2026")
    (root / "mine.partial").write_text("mine")
    assert run_refresh(mean_color, root, *argv) == 0
    names = sorted(path.name for path in root.iterdir())
    assert names[2:] == ["LATEST", "mine.partial"]
    assert len(names) == 4


def test_the_images_of_a_new_file_are_new(tmp_path: pathlib.Path, mean_color: str) -> None:
    source, root = tmp_path / "in", tmp_path / "root"
    source.mkdir()
    write_examples(source / "a.tfrecord", {"a": solid(1, 0, 0)})
    assert run_refresh(mean_color, root, "--input", str(source)) == 0
    write_examples(source / "b.tfrecord", {"b": solid(2, 0, 0), "c": solid(3, 0, 0)})
    (source / "d.png").write_bytes(solid(4, 0, 0))
    assert run_refresh(mean_color, root, "--input", str(source)) == 0
    assert changes(root) == {**NONE, "new": 3, "unchanged": 1, "reused": 1}


def test_the_images_of_a_file_that_is_empty_now_are_deleted_once(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    source, root = tmp_path / "in", tmp_path / "root"
    source.mkdir()
    for name in "ab":
        write_examples(source / f"{name}.tfrecord", {f"{name}{n}": solid(n, 0, 0) for n in (1, 2)})
    assert run_refresh(mean_color, root, "--input", str(source)) == 0
    write_examples(source / "b.tfrecord", {})
    # Half of the images may be gone, by default.
    assert run_refresh(mean_color, root, "--input", str(source)) == 0
    assert changes(root) == {**NONE, "unchanged": 2, "deleted": 2, "reused": 2}


def test_an_input_that_is_empty_now_is_warned_of(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, disk, root = tmp_path / "photos", tmp_path / "disk", tmp_path / "root"
    write_photos(photos, 4)
    write_photos(disk, 2)
    argv = ["--input", str(photos), str(disk)]
    assert run_refresh(mean_color, root, *argv) == 0
    assert "warning" not in capsys.readouterr().err
    for photo in disk.iterdir():
        photo.unlink()
    (disk / "README.md").write_text("what was here is on the disk\n")
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 4, "reused": 4, "deleted": 2}
    warning = f"--input {disk} holds no images: a disk that is not mounted looks so; what the run"
    assert f"warning: {warning}" in capsys.readouterr().err
    assert warning in read_record(latest(root))["warnings"][0]
    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    assert f"empty     {warning}" in capsys.readouterr().out


def test_what_a_link_led_to_that_leads_nowhere_keeps_its_rows(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, far, root = tmp_path / "photos", tmp_path / "far", tmp_path / "root"
    write_photos(photos, 10)
    write_photos(far, 4)
    (photos / "disk").symlink_to(far)
    argv = ["--input", str(photos), "--follow_links"]
    assert run_refresh(mean_color, root, *argv) == 0
    far.rename(tmp_path / "away")
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "new": 1, "unchanged": 14, "reused": 14}
    assert f"{photos / 'disk'} could not be listed: a link that leads" in capsys.readouterr().err
    (tmp_path / "away").rename(far)
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 14, "reused": 14}


def test_a_shard_whose_images_all_failed_is_built_on(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    photos.mkdir()
    for n in range(3):
        (photos / f"{n}.png").write_bytes(b"no image")
    argv = ["--input", str(photos), "--max_failed_fraction", "1"]
    assert run_refresh(mean_color, root, *argv) == 0
    (photos / "3.png").write_bytes(solid(1, 2, 3))
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "new": 1, "unchanged": 3}


def test_a_run_whose_launcher_died_before_it_moved_latest_is_built_on(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    assert run_refresh(mean_color, root, *argv) == 0
    second = latest(root)
    (root / "LATEST").write_text(f"{first.name}\n")
    assert run_refresh(mean_color, root, *argv) == 0
    assert read_record(latest(root))["previous"] == str(second)


def test_a_clock_that_goes_backwards_puts_no_run_before_an_older_one(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    root = tmp_path / "root"
    argv = ["--input", str(tmp_path / "photos")]
    assert run_refresh(mean_color, root, *argv) == 0
    latest(root).rename(root / "2099-12-31T23-59-59Z")
    (root / "LATEST").write_text("2099-12-31T23-59-59Z\n")
    assert run_refresh(mean_color, root, *argv) == 0
    assert latest(root).name == "2100-01-01T00-00-00Z"
    assert changes(root)["unchanged"] == 3


def test_latest_is_never_moved_back(tmp_path: pathlib.Path) -> None:
    root = RunRoot(str(tmp_path))
    root.point_to(f"{tmp_path}/2026-02-01T00-00-00Z")
    root.point_to(f"{tmp_path}/2026-01-01T00-00-00Z")
    assert root.latest() == "2026-02-01T00-00-00Z"
    (tmp_path / "LATEST").write_text("../../etc\n")
    assert root.latest() is None


def test_a_new_run_has_the_time_for_a_name(tmp_path: pathlib.Path) -> None:
    now = datetime.datetime(2026, 11, 24, 2, 30, 15, 999, datetime.UTC)
    assert RunRoot(str(tmp_path)).next_run(now) == f"{tmp_path}/2026-11-24T02-30-15Z"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--top_k", "3"], "--top_k does nothing with --program embed"),
        (["--program", "classify", "--normalize", "l2"], "--normalize does nothing"),
        (["--keep", "0"], "--keep must be at least 1"),
        (["--max_deleted_fraction", "2"], "--max_deleted_fraction must be from 0 to 1"),
        (["--output_root", "{photos}/root"], "is inside --input"),
        (["--output_root", "gs://bucket/roo*t"], "may hold no"),
    ],
)
def test_what_cannot_be_refreshed_is_refused(
    tmp_path: pathlib.Path,
    mean_color: str,
    argv: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photos(tmp_path / "photos", 1)
    argv = [word.format(photos=tmp_path / "photos") for word in argv]
    more = ["--input", str(tmp_path / "photos"), *argv]
    assert run_refresh(mean_color, tmp_path / "root", *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def matched(root: pathlib.Path) -> int:
    counts = read_record(latest(root))["counts"]
    assert counts["matched"] == counts["written"] + counts["failed"] + counts["skipped"]
    assert verify.main([str(latest(root))]) == 0
    return counts["matched"]


def data_files(run: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("*.parquet")}


@pytest.mark.parametrize("mode", [0, 0o444])
def test_what_is_below_a_directory_that_cannot_be_listed_keeps_its_rows(
    tmp_path: pathlib.Path, mean_color: str, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    family = photos / "family"
    write_photos(photos, 10)
    write_photos(family / "2024", 4)
    (family / "dangling.png").symlink_to(tmp_path / "nowhere")
    write_tar(family / "a.tar", {f"a{n}.png": solid(n, 1, 0) for n in range(3)})
    argv = ["--input", str(photos), "--max_failed_fraction", "0.2"]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    (photos / "photo-000.png").unlink()
    for night in range(2):
        family.chmod(mode)
        capsys.readouterr()
        assert run_refresh(mean_color, root, *argv) == 0
        family.chmod(0o755)
        kept = {**NONE, "unchanged": 16, "reused": 16}
        assert changes(root) == {
            **kept,
            "deleted": 1 - night,
            "retried": 1 + night,
            "new": 1 - night,
        }
        assert matched(root) == 18
        failures = {failure["image_id"]: failure for failure in read_failures(latest(root))}
        assert failures.keys() == {str(family), str(family / "dangling.png")}
        failure = failures[str(family)]
        assert (failure["step"], failure["error_type"]) == ("read", "Unlisted")
        assert failure["message"].startswith("permission denied; ")
        captured = capsys.readouterr()
        assert "1 read/Unlisted" in captured.out
        assert f"warning: {family} could not be listed: permission denied; what" in captured.err
        assert "keeps the rows of the run before" in captured.err
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 16, "retried": 1, "reused": 16}
    assert matched(root) == 17
    (photos / "photo-000.png").write_bytes(solid(0, 0, 255))
    assert run_refresh(mean_color, root, *argv) == 0
    assert data_files(latest(root)) == data_files(first)


def test_a_tfrecord_without_an_extension_that_cannot_be_opened_keeps_its_rows(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 5)
    train = photos / "train-0"
    write_examples(train, {f"t{n}": solid(n, 1, 0) for n in range(3)})
    argv = ["--input", str(photos), "--max_failed_fraction", "0.2"]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    train.chmod(0)
    for night in range(2):
        assert run_refresh(mean_color, root, *argv) == 0
        kept = {**NONE, "unchanged": 8, "reused": 8}
        assert changes(root) == {**kept, "new": 1 - night, "retried": night}
        (failure,) = read_failures(latest(root))
        assert (failure["image_id"], failure["error_type"]) == (str(train), "Unlisted")
    train.chmod(0o644)
    assert run_refresh(mean_color, root, *argv) == 0
    assert changes(root) == {**NONE, "unchanged": 8, "reused": 8}
    assert data_files(latest(root)) == data_files(first)


def test_a_link_that_was_an_image_and_now_leads_nowhere_fails_by_its_name(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 5)
    (tmp_path / "one").write_bytes(solid(1, 2, 3))
    (photos / "link").symlink_to(tmp_path / "one")
    argv = ["--input", str(photos / "**"), "--follow_links", "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    (tmp_path / "one").unlink()
    assert run_refresh(mean_color, root, *argv) == 0
    (failure,) = read_failures(latest(root))
    assert (failure["image_id"], failure["error_type"]) == (str(photos / "link"), "Unlisted")
    assert matched(root) == 6


def test_two_globs_and_a_manifest_meet_one_directory_that_cannot_be_listed(
    tmp_path: pathlib.Path,
    mean_color: str,
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos / "a", 3)
    write_photos(photos / "closed", 3)
    (photos / "closed" / "other.gif").write_bytes(solid(1, 2, 3))
    manifest = tmp_path / "images.csv"
    manifest.write_text("uri,image_id\nphotos/closed/photo-000.png,zero\n")
    globs = ["--input", str(photos / "*" / "*.png"), "--input", str(photos / "*" / "*.gif")]
    argv = [*globs, "--manifest", str(manifest), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    (photos / "closed").chmod(0)
    assert run_refresh(mean_color, root, *argv) == 0
    (photos / "closed").chmod(0o755)
    failures = sorted(failure["image_id"] for failure in read_failures(latest(root)))
    assert failures == [str(photos / "closed"), "zero"]  # A manifest's image must be opened.
    assert changes(root)["deleted"] == 0
    assert matched(root) == 9
    assert run_refresh(mean_color, root, *argv) == 0
    assert read(latest(root)).num_rows == matched(root) == 8


def test_rows_that_must_be_computed_again_and_cannot_be_read_fail_by_name(
    tmp_path: pathlib.Path,
    mean_color: str,
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 5)
    write_photos(photos / "closed", 2)
    argv = ["--input", str(photos), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    (photos / "closed").chmod(0)
    assert run_refresh(mean_color, root, *argv, "--interpolation", "area") == 0
    (photos / "closed").chmod(0o755)
    assert [failure["error_type"] for failure in read_failures(latest(root))] == [
        "Unlisted", "PermissionDenied", "PermissionDenied",
    ]  # fmt: skip
    assert changes(root)["deleted"] == 0
    assert matched(root) == 8


def test_the_forecast_names_what_cannot_be_listed_and_counts_as_the_run(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 5)
    write_photos(photos / "closed", 2)
    argv = ["--input", str(photos)]
    assert run_refresh(mean_color, root, *argv) == 0
    (photos / "closed").chmod(0)
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    (photos / "closed").chmod(0o755)
    lines = capsys.readouterr().out.splitlines()
    printed = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert printed["matched"].startswith("8 images")
    assert printed["unlisted"].startswith(f"{photos / 'closed'} could not be listed: permission")
    assert (printed["unchanged"], printed["deleted"], printed["new"]) == ("7", "0", "1")


def test_names_that_are_not_utf8_are_images_like_others(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_photos(photos, 3)
    old = photos / os.fsdecode(b"caf\xe9")
    write_photos(old, 2)
    (old / "broken.png").write_bytes(b"no image")
    argv = ["--input", str(photos), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    assert matched(root) == 6
    table = read(latest(root))
    names = [(old / name).as_uri() for name in ("photo-000.png", "photo-001.png")]
    assert table["image_id"].to_pylist()[-2:] == table["uri"].to_pylist()[-2:] == names
    (failure,) = read_failures(latest(root))
    assert failure["uri"] == (old / "broken.png").as_uri()
    old.chmod(0)
    assert run_refresh(mean_color, root, *argv) == 0
    old.chmod(0o755)
    assert changes(root) == {**NONE, "new": 1, "unchanged": 6, "reused": 5}
    assert old.as_uri() in {failure["image_id"] for failure in read_failures(latest(root))}
    (old / "broken.png").write_bytes(solid(5, 5, 5))
    again = tmp_path / "again"
    lines = latest(root) / "_failures.jsonl"
    some = ["--manifest", str(lines), "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, again, *some) == 0
    assert read(again)["uri"].to_pylist() == [(old / "broken.png").as_uri()]


def test_a_file_below_such_a_directory_keeps_its_rows_although_a_failure_may_pass(
    tmp_path: pathlib.Path,
) -> None:
    """An image on which the model failed is tried again, if only its file could be opened."""
    closed, root = tmp_path / "in" / "closed", tmp_path / "root"
    closed.mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(solid(1, 2, 3))
    write_tar(closed / "a.tar", {"a.png": solid(9, 9, 9), "white.png": solid(255, 255, 255)})
    model = save_output(
        tmp_path / "picky", lambda images: 1 / (1 - tf.reduce_mean(images, axis=[1, 2]))
    )
    argv = ["--input", str(tmp_path / "in"), "--max_failed_fraction", "0.9"]
    assert run_refresh(model, root, *argv) == 0
    assert [failure["error_type"] for failure in read_failures(latest(root))] == ["ModelCall"]
    first = latest(root)
    closed.chmod(0)
    assert run_refresh(model, root, *argv) == 0
    closed.chmod(0o755)
    assert changes(root) == {**NONE, "new": 1, "unchanged": 3, "reused": 2}
    assert matched(root) == 4
    assert data_files(latest(root)) == data_files(first)


def test_a_run_without_what_it_could_not_list_says_so(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_photos(photos, 10)
    write_photos(photos / "closed", 2)
    (photos / "closed").chmod(0)
    assert run_embed(mean_color, out, "--input", str(photos)) == 0
    (photos / "closed").chmod(0o755)
    captured = capsys.readouterr()
    said = f"warning: {photos}/closed could not be listed: permission denied; what it holds is"
    assert f"{said} not in this run\n" in captured.err
    assert read_record(out)["counts"] == {
        "matched": 11, "written": 10, "failed": 1, "skipped": 0,
    }  # fmt: skip
    (failure,) = read_failures(out)
    assert verify.main([str(out)]) == 0
    again = tmp_path / "again"
    assert embed.main(["--retry_failed", str(out), "--output", str(again)]) == 0
    assert read_failures(again) == [failure]  # It lists nothing: a new run does.


def test_tfrecords_that_only_their_bytes_tell_are_read_and_recalled(
    tmp_path: pathlib.Path,
    mean_color: str,
) -> None:
    """As TensorFlow's ImageNet script and Kaggle name them."""
    source, root = tmp_path / "in", tmp_path / "root"
    (source / "closed").mkdir(parents=True)
    (source / "a.png").write_bytes(solid(1, 2, 3))
    names = ("train-00000-of-00002", "train-00001-of-00002", "flowers-224x224-10.tfrec")
    for name in names:
        images = {f"{name}-{n}": solid(n, 1, 5) for n in range(3)}
        write_examples(source / "closed" / name, images)
    argv = ["--input", str(source), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    assert matched(root) == 10
    assert run_embed(mean_color, root / "glob", "--input", str(source / "closed" / "train-*")) == 0
    assert read(root / "glob").num_rows == 6
    (source / "closed").chmod(0)
    assert run_refresh(mean_color, root, *argv) == 0
    (source / "closed").chmod(0o755)
    assert changes(root) == {**NONE, "new": 1, "unchanged": 10, "reused": 10}
    again = tmp_path / "again"
    odd = ["--input", str(source / "closed" / "train-*"), "--input_format", "images"]
    assert run_embed(mean_color, again, *odd, "--max_failed_fraction", "1") == 0
    assert len(read_failures(again)) == 2
