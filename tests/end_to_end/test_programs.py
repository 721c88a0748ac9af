"""The programs as a user runs them: real files in, files read back, exit codes."""

import contextlib
import csv
import gzip
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from pipelines import classify, embed, refresh, verify
from tests.support.images import encode, photo
from tests.support.runs import (
    contents,
    hashes,
    read,
    read_failures,
    read_record,
    run_embed,
    solid,
    vectors_of,
    write_examples,
    write_large_photos,
    write_photos,
)
from tests.support.tars import write_tar


def test_embed_writes_one_row_an_image_with_the_models_own_numbers(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    expected = write_photos(tmp_path / "photos", 70)
    out = tmp_path / "out"
    assert run_embed(mean_color, out, "--input", str(tmp_path / "photos"), "--batch_size", "9") == 0
    table = read(out)
    assert table.column_names == [
        "image_id",
        "uri",
        "embedding",
        "width",
        "height",
        "content_sha256",
    ]
    names = [uri.rpartition("/")[2] for uri in table.column("uri").to_pylist()]
    assert names == sorted(expected)
    assert table.column("image_id").to_pylist() == table.column("uri").to_pylist()
    wanted = np.array([expected[name] for name in names])
    # The model's mean over 576 float32 values is good to 1e-5.
    np.testing.assert_allclose(vectors_of(table), wanted, atol=2e-5)
    assert set(table.column("width").to_pylist()) == {20}
    assert set(table.column("height").to_pylist()) == {10}
    content = (tmp_path / "photos" / names[0]).read_bytes()
    assert table.column("content_sha256")[0].as_py() == hashlib.sha256(content).hexdigest()
    assert table.schema.field("embedding").type == pa.list_(
        pa.field("element", pa.float32(), nullable=False), 3
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "_SUCCESS",
        "_failures.jsonl",
        "_inputs",
        "_run.json",
        *(f"embeddings-{n:05d}-of-00004.parquet" for n in range(4)),
    ]
    assert read_record(out)["counts"] == {"matched": 70, "written": 70, "failed": 0, "skipped": 0}


def test_the_footer_says_how_the_vectors_were_made(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_photos(tmp_path / "photos", 2)
    run_embed(mean_color, tmp_path / "out", "--input", str(tmp_path / "photos"), "--antialias")
    schema = pq.read_schema(next((tmp_path / "out").glob("*.parquet")))
    footer = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    description = read_record(tmp_path / "out")
    assert footer["model_handle"] == mean_color
    assert footer["model_fingerprint"] == description["model"]["fingerprint"]
    assert json.loads(footer["preprocessing"])["antialias"] is True
    assert footer["preprocessing_fingerprint"] == description["preprocessing"]["fingerprint"]
    assert json.loads(footer["software"])["tensorflow"] == tf.__version__


@pytest.mark.parametrize("batch_size", ["1", "3", "64"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_five_good_and_five_bad_files_are_five_rows_and_five_failures(
    tmp_path: pathlib.Path, mean_color: str, batch_size: str, workers: str
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 5)
    good = (photos / "photo-000.png").read_bytes()
    bad = {
        "cut.png": good[:40],
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><html>",
        "text.png": b"no image at all",
        "cut.jpg": encode(photo(40, 40), "JPEG")[:300],
    }
    for name, content in bad.items():
        (photos / name).write_bytes(content)
    argv = ["--batch_size", batch_size, "--direct_num_workers", workers]
    argv += ["--input", str(photos), "--max_failed_fraction", "0.5"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out").num_rows == 5
    failures = read_failures(tmp_path / "out")
    assert sorted(pathlib.Path(f["uri"]).name for f in failures) == sorted(bad)
    assert {f["step"] for f in failures} == {"decode"}
    assert all(f["message"] and f["image_id"] == f["uri"] for f in failures)
    assert read_record(tmp_path / "out")["counts"]["failed"] == 5


def test_multi_processing_accounts_for_every_image(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos = tmp_path / "photos"
    expected = write_photos(photos, 5)
    for n in range(5):
        (photos / f"bad-{n}.png").write_bytes(b"no image")
    argv = ["--input", str(photos), "--max_failed_fraction", "0.5", "--image_id_from", "filename"]
    argv += ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out").column("image_id").to_pylist() == sorted(expected)
    assert len(read_failures(tmp_path / "out")) == 5


def test_too_many_failures_exit_with_1_and_publish_nothing(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 3)
    (tmp_path / "photos" / "bad.png").write_bytes(b"no image")
    out = tmp_path / "out"
    assert run_embed(mean_color, out, "--input", str(tmp_path / "photos")) == 1
    error = capsys.readouterr().err
    assert "1 of 4 images failed (25.0%" in error
    assert f"such as {tmp_path}/photos/bad.png: not an image of a supported format" in error
    assert not out.exists()
    assert (tmp_path / ".out.staging" / "_failures.jsonl").read_text().count("\n") == 1


def test_two_runs_and_any_number_of_workers_write_the_same_bytes(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 100)
    made = []
    for number, workers in enumerate(["1", "2", "2"]):
        out = tmp_path / f"out-{number}"
        argv = ["--input", str(tmp_path / "photos"), "--direct_num_workers", workers]
        assert run_embed(mean_color, out, *argv) == 0
        made.append(hashes(out))
    assert len(made[0]) == 4
    assert made[0] == made[1] == made[2]


def test_the_answer_is_that_of_the_model_called_directly(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(5):
        (photos / f"{n}.jpg").write_bytes(encode(photo(60 + n, 90, seed=n), "JPEG"))
    obj = tf.saved_model.load(mean_color)
    expected = []
    for n in range(5):
        encoded = (photos / f"{n}.jpg").read_bytes()
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        pixels = tf.image.convert_image_dtype(pixels, tf.float32)
        expected.append(obj(tf.image.resize(pixels, [24, 24])[None]).numpy()[0])
    for batch_size in ("1", "3"):
        out = tmp_path / f"out-{batch_size}"
        run_embed(mean_color, out, "--input", str(photos), "--batch_size", batch_size)
        np.testing.assert_allclose(vectors_of(read(out)), expected, atol=1e-6)


def test_classify_writes_the_best_classes_with_labels_and_scores(
    tmp_path: pathlib.Path, logits: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\nblue\n")
    argv = ["--model", logits, "--output", str(tmp_path / "out"), "--labels", str(labels)]
    argv += ["--input", str(tmp_path / "photos"), "--top_k", "2"]
    assert classify.main(argv) == 0
    table = read(tmp_path / "out")
    assert table.column_names[2:5] == ["class_index", "class_label", "score"]
    obj = tf.saved_model.load(logits)
    names = ["red", "green", "blue"]
    for row in table.to_pylist():
        pixels = tf.image.convert_image_dtype(
            tf.io.decode_image(pathlib.Path(row["uri"]).read_bytes(), channels=3), tf.float32
        )
        scores = tf.nn.softmax(obj(tf.image.resize(pixels, [24, 24])[None]))[0].numpy()
        best = np.argsort(-scores, kind="stable")[:2]
        assert row["class_index"] == best.tolist()
        assert row["class_label"] == [names[i] for i in best]
        np.testing.assert_allclose(row["score"], scores[best], atol=1e-6)


def test_labels_of_the_wrong_number_are_refused_before_any_work(
    tmp_path: pathlib.Path, logits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 1)
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\n")
    argv = ["--model", logits, "--output", str(tmp_path / "out"), "--labels", str(labels)]
    assert classify.main([*argv, "--input", str(tmp_path / "photos")]) == 2
    assert "2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tfrecord_output_holds_the_same_rows(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_photos(tmp_path / "photos", 5)
    argv = ["--input", str(tmp_path / "photos"), "--image_id_from", "filename"]
    run_embed(mean_color, tmp_path / "parquet", *argv)
    run_embed(mean_color, tmp_path / "tfrecord", *argv, "--output_format", "tfrecord")
    files = sorted(str(path) for path in (tmp_path / "tfrecord").glob("*.tfrecord"))
    features = {
        "image_id": tf.io.FixedLenFeature([], tf.string),
        "embedding": tf.io.FixedLenFeature([3], tf.float32),
        "width": tf.io.FixedLenFeature([], tf.int64),
    }
    dataset = tf.data.TFRecordDataset(files).map(
        lambda example: tf.io.parse_single_example(example, features)
    )
    rows = sorted(dataset.as_numpy_iterator(), key=lambda row: row["image_id"])
    expected = read(tmp_path / "parquet")
    assert [row["image_id"].decode() for row in rows] == expected["image_id"].to_pylist()
    np.testing.assert_array_equal(
        np.stack([row["embedding"] for row in rows]), vectors_of(expected)
    )
    assert {row["width"] for row in rows} == {20}


WITHOUT_TFX_BSL = """
import sys

sys.modules["tfx_bsl"] = None
from pipelines import embed, verify

code = embed.main(sys.argv[1:])
assert verify.main(["vectors"]) == 0
sys.exit(code)
"""


def test_without_tfx_bsl_the_same_bytes_are_written_and_it_is_said(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_examples(tmp_path / "a.tfrecord", [solid(n, 9, 0) for n in range(3)])
    argv = ["--input", f"{tmp_path}/a.tfrecord", "--carry_columns=label", "--model", mean_color]
    argv += ["--output_format", "tfrecord", "--output"]
    assert embed.main([*argv, str(tmp_path / "with")]) == 0
    (tmp_path / "there").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TFX_BSL, *argv, "vectors"],
        cwd=tmp_path / "there",
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("tfx-bsl is not installed") == 1
    assert contents(tmp_path / "there" / "vectors") == contents(tmp_path / "with")


def test_tfrecords_become_one_output_file_each_with_carried_features(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    for name in ("b", "a"):
        write_examples(tmp_path / f"{name}.tfrecord", [solid(n, 0, 0) for n in range(3)])
    argv = ["--input", str(tmp_path / "*.tfrecord"), "--carry_columns", "label"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--batch_size", "2") == 0
    first = pq.read_table(tmp_path / "out" / "embeddings-00000-of-00002.parquet")
    assert first.column("image_id").to_pylist() == ["a-0.png", "a-1.png", "a-2.png"]
    assert first.column("label").to_pylist() == [[0], [1], [2]]
    assert first.column("uri").to_pylist() == [f"{tmp_path}/a.tfrecord#{n}" for n in range(3)]
    np.testing.assert_allclose(vectors_of(first)[:, 0], np.arange(3) / 255, atol=1e-6)


def test_features_and_columns_of_one_name_are_carried_together_past_empty_files(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    """An empty shard comes first, as other tools write them; loose images carry nulls."""
    (tmp_path / "in").mkdir()
    write_examples(tmp_path / "in" / "a.tfrecord", [])
    write_examples(tmp_path / "in" / "b.tfrecord", [solid(1, 0, 0)])
    (tmp_path / "in" / "c.parquet").write_bytes(b"")
    label = pa.field("label", pa.list_(pa.int64()), nullable=False, metadata={"a": "b"})
    schema = pa.schema([pa.field("image", pa.binary()), label])
    table = pa.table({"image": [solid(2, 0, 0)], "label": [[7, 8]]}, schema=schema)
    pq.write_table(table, tmp_path / "in" / "d.parquet")
    (tmp_path / "in" / "e.png").write_bytes(solid(3, 0, 0))
    argv = ["--input", str(tmp_path / "in"), "--carry_columns", "label"]
    argv += ["--max_failed_fraction", "0.5", "--allow_truncated_files"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    made = {row["image_id"]: row["label"] for row in read(tmp_path / "out").to_pylist()}
    assert list(made.values()) == [[7, 8], None, [0]]
    (failure,) = read_failures(tmp_path / "out")
    assert failure["uri"].endswith("c.parquet")


def test_tar_files_become_one_output_file_each_with_carried_fields(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    for name, suffix in (("b", "tar"), ("a", "tar.gz")):
        members = {}
        for n in range(3):
            members[f"{name}{n}.png"] = solid(n, 9, 9)
            members[f"{name}{n}.cls"] = b"%d\n" % n
            members[f"{name}{n}.json"] = b'{"n": %d}' % n
        write_tar(tmp_path / f"{name}.{suffix}", members)
    argv = ["--input", str(tmp_path / "*.tar*"), "--carry_columns", "cls", "json"]
    argv += ["--batch_size", "2"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    first = pq.read_table(tmp_path / "out" / "embeddings-00000-of-00002.parquet")
    assert first.column("image_id").to_pylist() == ["a0", "a1", "a2"]
    assert first.column("cls").to_pylist() == [0, 1, 2]
    assert first.column("json").to_pylist() == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    assert first.column("uri").to_pylist() == [f"{tmp_path}/a.tar.gz#{n}" for n in range(3)]
    np.testing.assert_allclose(vectors_of(first)[:, 0], np.arange(3) / 255, atol=1e-6)
    assert read(tmp_path / "out").num_rows == 6
    assert verify.main([str(tmp_path / "out")]) == 0


def test_nothing_of_a_tar_file_is_written_to_disk(tmp_path: pathlib.Path, mean_color: str) -> None:
    (tmp_path / "in").mkdir()
    names = ["../escaped.png", "../in/escaped.png", f"{tmp_path}/escaped.png"]
    write_tar(tmp_path / "in" / "a.tar", {name: solid(n, 0, 0) for n, name in enumerate(names)})
    argv = ["--input", str(tmp_path / "in"), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out").column("image_id").to_pylist() == [f"a.tar#{n}" for n in range(3)]
    assert not list(tmp_path.rglob("*escaped*"))


def test_files_without_any_image_publish_nothing(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_examples(tmp_path / "a.tfrecord", [])
    assert run_embed(mean_color, tmp_path / "out", "--input", str(tmp_path / "a.tfrecord")) == 1
    assert "no images found" in capsys.readouterr().err
    assert not (tmp_path / "out" / "_SUCCESS").exists()


@pytest.mark.parametrize("name", ["float64_input", "uint8_input", "float16_input", "fixed_batch_1"])
def test_models_of_other_dtypes_and_of_one_image_a_call_run(
    tmp_path: pathlib.Path, name: str
) -> None:
    dtype, _, _ = name.partition("_input")
    model = save_input_kind(tmp_path / "model", dtype if dtype != name else "float32", name)
    expected = write_photos(tmp_path / "photos", 3)
    assert run_embed(model, tmp_path / "out", "--input", str(tmp_path / "photos")) == 0
    scale = 255 if name == "uint8_input" else 1
    wanted = np.array([expected[key] for key in sorted(expected)]) * scale
    np.testing.assert_allclose(vectors_of(read(tmp_path / "out")), wanted, rtol=2e-3, atol=2e-3)


def save_input_kind(directory: pathlib.Path, dtype: str, name: str) -> str:
    batch = 1 if name == "fixed_batch_1" else None
    images = tf.TensorSpec([batch, 24, 24, 3], dtype)
    module = tf.Module()
    module.__call__ = tf.function(
        lambda images: tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2]),
        input_signature=[images],
    )
    tf.saved_model.save(module, str(directory), signatures=module.__call__)
    return str(directory)


def test_a_truncated_tfrecord_keeps_what_is_before_the_damage(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    path = tmp_path / "a.tfrecord"
    write_examples(path, [solid(n, 0, 0) for n in range(12)])
    path.write_bytes(path.read_bytes()[:-30])
    argv = ["--input", str(path), "--allow_truncated_files"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out").num_rows == 11
    (failure,) = read_failures(tmp_path / "out")
    assert failure["step"] == "read"
    assert "a.tfrecord" in failure["uri"]
    assert "record 11 at byte" in failure["message"]


def test_a_truncated_tar_file_keeps_what_is_before_the_damage(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    path = tmp_path / "a.tar"
    write_tar(path, {f"{n}.png": solid(n, 0, 0) for n in range(12)})
    path.write_bytes(path.read_bytes()[: 12 * 1024 - 500])
    argv = ["--input", str(path), "--allow_truncated_files"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert read(tmp_path / "out").num_rows == 11
    (failure,) = read_failures(tmp_path / "out")
    assert (failure["step"], failure["uri"]) == ("read", f"{path}#11")
    assert "sample 11 at byte 11264: the file ends inside a member" in failure["message"]


def test_one_key_in_two_tar_files_fails_the_run_and_names_both(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "xy":
        write_tar(tmp_path / f"{name}.tar", {"000000.png": solid(1, 2, 3)})
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "*.tar")]
    assert run_embed(mean_color, out, *argv) == 2
    message = capsys.readouterr().err
    assert f"'000000' is not unique: {tmp_path}/x.tar#0 and {tmp_path}/y.tar#0" in message
    assert run_embed(mean_color, out, *argv, "--overwrite", "--image_id_from", "filename") == 0
    assert read(out).column("image_id").to_pylist() == ["x.tar#0", "y.tar#0"]


def test_one_id_in_two_tfrecords_fails_the_run_and_names_both(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        write_examples(tmp_path / name / "a.tfrecord", [solid(1, 2, 3)] * 3)
    out = tmp_path / "out"
    argv = ["--input", str(tmp_path / "*" / "a.tfrecord")]
    assert run_embed(mean_color, out, *argv) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path}/x/a.tfrecord#" in message
    assert f"{tmp_path}/y/a.tfrecord#" in message
    assert not (out / "_SUCCESS").exists()
    assert run_embed(mean_color, out, *argv, "--overwrite", "--image_id_from", "uri") == 0
    assert read(out).num_rows == 6


def test_one_file_listed_twice_is_an_input_error(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    argv = ["--input", str(tmp_path / "photos"), "--input", str(tmp_path / "photos" / "*.png")]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "photo-000.png is listed twice" in capsys.readouterr().err


def test_parquet_input_as_hugging_face_writes_it(tmp_path: pathlib.Path, mean_color: str) -> None:
    images = [{"bytes": solid(n, 0, 0), "path": f"{n}.png"} for n in range(3)]
    table = pa.table({"image": images, "label": [5, 6, 7], "text": ["a", None, "c"]})
    pq.write_table(table, tmp_path / "train.parquet")
    argv = ["--input", str(tmp_path / "train.parquet"), "--carry_columns", "label", "text"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    made = read(tmp_path / "out")
    assert made.column("image_id").to_pylist() == ["0.png", "1.png", "2.png"]
    assert made.column("label").to_pylist() == [5, 6, 7]
    assert made.column("text").to_pylist() == ["a", None, "c"]


def test_a_manifest_names_the_images_and_carries_columns(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 2)
    with gzip.open(tmp_path / "images.csv.gz", "wt", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["file", "image_id", "shelf"])
        writer.writerow(["photos/photo-000.png", "first", "left"])
        writer.writerow([str(tmp_path / "photos" / "photo-001.png"), "second", "right"])
        writer.writerow(["photos/gone.png", "third", "right"])
    argv = ["--manifest", str(tmp_path / "images.csv.gz"), "--uri_column", "file"]
    argv += ["--carry_columns", "shelf"]
    out = tmp_path / "out"
    assert run_embed(mean_color, out, *argv, "--max_failed_fraction", "0.5") == 0
    table = read(out)
    assert table.column("image_id").to_pylist() == ["first", "second"]
    assert table.column("shelf").to_pylist() == ["left", "right"]
    (failure,) = read_failures(out)
    assert (failure["image_id"], failure["error_type"]) == ("third", "NotFound")


def test_the_failures_of_a_run_are_a_manifest(tmp_path: pathlib.Path, mean_color: str) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 3)
    (photos / "later.png").write_bytes(b"no image yet")
    argv = ["--input", str(photos), "--image_id_from", "filename", "--max_failed_fraction", "1"]
    run_embed(mean_color, tmp_path / "first", *argv)
    (photos / "later.png").write_bytes(solid(9, 9, 9))
    manifest = str(tmp_path / "first" / "_failures.jsonl")
    assert run_embed(mean_color, tmp_path / "second", "--manifest", manifest) == 0
    assert read(tmp_path / "second").column("image_id").to_pylist() == ["later.png"]


def test_names_that_are_no_images_are_skipped_and_counted(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos" / "deep" / "er", 2)
    (tmp_path / "photos" / "notes.txt").write_text("hello")
    assert run_embed(mean_color, tmp_path / "out", "--input", str(tmp_path / "photos")) == 0
    counts = read_record(tmp_path / "out")["counts"]
    assert counts == {"matched": 3, "written": 2, "failed": 0, "skipped": 1}
    assert read_record(tmp_path / "out")["skipped_by_reason"] == {".txt": 1}


def test_a_run_replaces_another_only_if_told(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    argv = ["--input", str(tmp_path / "photos")]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "holds a published run" in capsys.readouterr().err
    write_photos(tmp_path / "photos", 3)
    assert run_embed(mean_color, tmp_path / "out", *argv, "--overwrite") == 0
    assert read(tmp_path / "out").num_rows == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--input", "{photos}/missing.png"], "missing.png"),
        (["--input", "{photos}/*.tiff"], "tiff"),
        (["--input", "{photos}", "--model", "{photos}/nothing"], "nothing"),
        (["--input", "{photos}", "--image_size", "32"], "24 x 24"),
        (["--input", "{photos}", "--signature", "other"], "other"),
        (["--input", "{photos}", "--carry_columns", "label"], "--carry_columns"),
        (["--input", "{photos}", "--image_id_from", "label"], "--image_id_from"),
        (["--input", "{photos}", "--bach_size", "3"], "did you mean --batch_size"),
        (["--input", "{photos}/empty"], "no images found"),
        (["--manifest", "{photos}/missing.csv"], "missing.csv"),
        (["--input", "{photos}", "--output", "{photos}"], "is inside --input"),
        (["--input", "{photos}", "--output", "{photos}/vectors"], "is inside --input"),
        (["--input", "{photos}/**", "--output", "{photos}/vectors"], "is inside --input"),
        (["--input", "{photos}", "--output", "foo://vectors"], "foo://vectors"),
        (["--input", "{photos}", "--output", "gs://bucket/out[1]"], "may hold no"),
        (["--input", "{photos}", "--runner", "FooRunner"], "FooRunner"),
        (["--input", "{photos}", "--direct_num_workers", "x"], "invalid int value"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_before_any_work(
    tmp_path: pathlib.Path,
    mean_color: str,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    message: str,
) -> None:
    write_photos(tmp_path / "photos", 1)
    (tmp_path / "photos" / "empty").mkdir()
    argv = [word.format(photos=tmp_path / "photos") for word in argv]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("embed: ")
    assert len(error.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*-of-*"))


def test_a_relative_output_is_the_same_directory(
    tmp_path: pathlib.Path, mean_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "photos", 2)
    monkeypatch.chdir(tmp_path)
    argv = ["--input", "./photos/", "--model", mean_color]
    assert embed.main([*argv, "--output", "./x/../out/"]) == 0
    assert embed.main([*argv, "--output", "out", "--overwrite"]) == 0
    assert read(tmp_path / "out").num_rows == 2
    assert not (tmp_path / ".out.staging").exists()


def test_brackets_and_stars_in_any_path_stand_for_themselves(
    tmp_path: pathlib.Path, mean_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = tmp_path / "[2021] *? trip"
    write_photos(trip / "photos", 2)
    shutil.copytree(mean_color, trip / "mod[e]l")
    # What the names mean as globs must stay untouched.
    for bait in ("2 x trip", "2 x trip/v1", "2 x trip/.v1.staging"):
        (tmp_path / bait).mkdir()
        (tmp_path / bait / "_SUCCESS").touch()
    monkeypatch.chdir(trip)
    argv = ["--input", "photos", "--model", "mod[e]l"]
    for output in ("v[1]", str(trip / "v*")):
        assert embed.main([*argv, "--output", output]) == 0
        assert embed.main([*argv, "--output", output, "--overwrite"]) == 0
        assert verify.main([output]) == 0
    for _ in range(2):
        assert refresh.main([*argv, "--output_root", "night?ly"]) == 0
    assert verify.main(["night?ly"]) == 0
    assert sorted(os.listdir(trip)) == ["mod[e]l", "night?ly", "photos", "v*", "v[1]"]
    assert len(list(tmp_path.rglob("2 x trip/**/_SUCCESS"))) == 3


def test_float16_and_normalized_vectors(tmp_path: pathlib.Path, mean_color: str) -> None:
    expected = write_photos(tmp_path / "photos", 3)
    argv = ["--input", str(tmp_path / "photos"), "--embedding_dtype", "float16"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--normalize", "l2") == 0
    vectors = vectors_of(read(tmp_path / "out"))
    assert vectors.dtype == np.float16
    wanted = np.array([expected[name] for name in sorted(expected)])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, wanted, atol=1e-3)


@contextlib.contextmanager
def started(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.embed", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_terminal_shows_a_summary_and_no_noise(tmp_path: pathlib.Path, mean_color: str) -> None:
    write_photos(tmp_path / "photos", 3)
    argv = ["--model", mean_color, "--input", str(tmp_path / "photos")]
    with started([*argv, "--output", str(tmp_path / "out")]) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines()]
    assert names == ["matched", "written", "failed", "speed", "engine", "time", "files"]


@pytest.mark.parametrize(
    ("number", "word", "exit_code"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_run_that_is_told_to_end_leaves_nothing_that_looks_finished(
    tmp_path: pathlib.Path, mean_color: str, number: int, word: str, exit_code: int
) -> None:
    photos = tmp_path / "photos"
    write_large_photos(photos, 400)
    out = tmp_path / "out"
    argv = ["--model", mean_color, "--input", str(photos), "--output", str(out)]
    metrics = tmp_path / "run.prom"
    argv += ["--batch_size", "2", "--metrics_file", str(metrics), "--json"]
    argv += ["--log_every", "0"]
    with started(argv) as process:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob(".out.staging/*.parquet")):
            assert time.monotonic() < deadline, "no shard was begun"
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(number)
        out_text, err = process.communicate(timeout=300)
    assert process.returncode == exit_code
    assert json.loads(out_text) == {
        "program": "embed",
        "exit_code": exit_code,
        "error": err.removesuffix("\n"),
    }
    assert err.startswith(f"{word}; nothing is published; ")
    assert "run again with --resume to go on" in err
    assert len(err.splitlines()) == 1
    assert not out.exists()
    assert f'image_inference_run_exit_code{{output="{out}"}} {exit_code}\n' in metrics.read_text()


def test_a_disk_that_is_full_fails_the_run_in_one_line(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    write_photos(tmp_path / "photos", 40)
    argv = [sys.executable, "-m", "pipelines.embed", "--model", mean_color]
    argv += ["--input", str(tmp_path / "photos"), "--output", str(tmp_path / "out")]
    argv += ["--output_format", "tfrecord"]

    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, preexec_fn=limit_file_size
    )
    assert done.returncode == 1
    assert "cannot write shard" in done.stderr
    assert "File too large; nothing is published" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 1)
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    assert run_embed(mean_color, out, "--input", str(tmp_path / "photos")) == 2
    assert "cannot be written" in capsys.readouterr().err
