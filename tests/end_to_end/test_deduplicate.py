"""Computed once: images of the same bytes are given to the model once."""

import hashlib
import itertools
import pathlib
from collections.abc import Callable

import pytest
import tensorflow as tf

from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    vectors_of,
    write_photos,
)
from tests.support.tars import write_tar
from transforms.runs.sharding import FEW_ROWS, shard_index


def write_twins(folder: pathlib.Path) -> None:
    """Writes 120 images of 40 contents, and two that cannot be decoded."""
    folder.mkdir()
    for n in range(120):
        (folder / f"{n:03d}.png").write_bytes(solid(n % 40, 0, 0))
    for name in ("bad-1.png", "bad-2.png"):
        (folder / name).write_bytes(b"no image")


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_equal_images_of_a_run_share_one_inference(
    tmp_path: pathlib.Path,
    mean_color: str,
    output_format: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_twins(tmp_path / "photos")
    argv = ["--input", str(tmp_path / "photos"), "--batch_size", "7"]
    out, plain = tmp_path / "out", tmp_path / "plain"
    more = ["--deduplicate", "--output_format", output_format]
    assert run_embed(mean_color, out, *argv, *more) == 0
    record = read_record(out)
    assert record["changes"]["duplicate"] == 81
    assert record["inferences_saved"] == 80 + 1
    assert "81 inferences, 81 of them duplicates" in capsys.readouterr().out
    failed = {failure["image_id"].rpartition("/")[2] for failure in read_failures(out)}
    assert failed == {"bad-1.png", "bad-2.png"}
    assert run_embed(mean_color, plain, *argv, "--output_format", "parquet") == 0
    if output_format == "parquet":
        made, expected = read(out), read(plain)
        assert made.drop_columns(["embedding"]).equals(expected.drop_columns(["embedding"]))
        assert abs(vectors_of(made) - vectors_of(expected)).max() < 1e-6
    again = tmp_path / "again"
    assert run_embed(mean_color, again, *argv, *more, "--direct_num_workers", "1") == 0
    assert contents(again) == contents(out)


def test_records_of_one_file_share_one_inference(tmp_path: pathlib.Path, mean_color: str) -> None:
    for file, numbers in (("a", [1, 2, 1, 1, 3]), ("b", [1, 5, 5])):
        with tf.io.TFRecordWriter(str(tmp_path / f"{file}.tfrecord")) as writer:
            for n in numbers:
                example = tf.train.Example()
                value = example.features.feature["image/encoded"].bytes_list.value
                value.append(solid(n, 0, 0))
                writer.write(example.SerializeToString())
    argv = ["--input", str(tmp_path / "*.tfrecord")]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--deduplicate") == 0
    assert read_record(tmp_path / "out")["changes"]["duplicate"] == 3
    assert run_embed(mean_color, tmp_path / "plain", *argv) == 0
    assert read(tmp_path / "out").equals(read(tmp_path / "plain"))


def test_samples_of_one_tar_file_share_one_inference(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    """More than ten, not in order of their keys: the rows stay in the order of the file."""
    members = {f"{30 - n}.png": solid(n % 7, 0, 0) for n in range(30)}
    write_tar(tmp_path / "a.tar", {**members, "bad.png": b"no image"})
    argv = ["--input", str(tmp_path / "a.tar")]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--deduplicate") == 0
    assert read_record(tmp_path / "out")["changes"]["duplicate"] == 23
    assert run_embed(mean_color, tmp_path / "plain", *argv) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")


def test_a_refresh_deduplicates_what_it_computes_in_each_shard(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    photos.mkdir()
    for n in range(4):
        (photos / f"{n}.png").write_bytes(solid(n, 0, 0))
    argv = ["--input", str(photos), "--deduplicate"]
    assert run_refresh(mean_color, root, *argv) == 0
    for name in ("new-1", "new-2", "new-3"):
        (photos / f"{name}.png").write_bytes(solid(90, 0, 0))
    (photos / "copy-of-0.png").write_bytes(solid(0, 0, 0))
    assert run_refresh(mean_color, root, *argv) == 0
    changes = read_record(latest(root))["changes"]
    assert {name: changes[name] for name in ("new", "reused", "duplicate")} == {
        "new": 4,
        "reused": 5,
        "duplicate": 2,
    }
    assert run_embed(mean_color, tmp_path / "full", "--input", str(photos)) == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def two_of_two_shards() -> tuple[bytes, bytes]:
    """Returns two images that --deduplicate puts into different shards of two, by their content."""
    images = [solid(200, n, 0) for n in range(20)]
    for one, other in itertools.pairwise(images):
        shards = {shard_index(hashlib.sha256(image).hexdigest(), 2) for image in (one, other)}
        if len(shards) == 2:
            return one, other
    raise AssertionError


def listed(folder: pathlib.Path) -> list[str]:
    rows = ["uri,image_id"]
    for n, path in enumerate(sorted(folder.rglob("*.png"))):
        rows.append(f"{path},{'twice' if path.name == 'twice.png' else n}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return ["--manifest", str(folder / "list.csv")]


def in_directories(folder: pathlib.Path) -> list[str]:
    return ["--input", str(folder / "a"), str(folder / "b")]


@pytest.mark.parametrize(("name", "key"), [(listed, "image_id"), (in_directories, "relative_path")])
def test_images_of_unlike_bytes_and_one_id_are_refused_again_on_resume(
    name: Callable[[pathlib.Path], list[str]],
    key: str,
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_photos(tmp_path / "a", FEW_ROWS)
    (tmp_path / "b").mkdir()
    for place, image in zip("ab", two_of_two_shards(), strict=True):
        (tmp_path / place / "twice.png").write_bytes(image)
    argv = [*name(tmp_path), "--deduplicate", "--resume"]
    out = tmp_path / "out"
    for _ in range(2):  # The second start finds all shards done.
        assert run_embed(mean_color, out, *argv, "--image_id_from", key) == 1
        error = capsys.readouterr().err
        assert "is not unique" in error
        assert f"{tmp_path}/a/twice.png" in error
        assert f"{tmp_path}/b/twice.png" in error
        assert not out.exists()
    assert run_embed(mean_color, out, *argv, "--image_id_from", "uri") == 0
    assert read_record(out)["counts"]["written"] == FEW_ROWS + 2
