"""Real photos and real weights against golden outputs made without Beam; needs shared data."""

import csv
import pathlib

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from pipelines import classify
from tests.support.runs import read, read_failures, run_embed, vectors_of

CLASSES = 1000


def run_all_classes(shared_data: pathlib.Path, out: pathlib.Path, batch_size: int) -> None:
    argv = ["--input", str(shared_data / "photos" / "raccoon" / "images"), "--output", str(out)]
    argv += ["--model", str(shared_data / "models" / "squeezenet_classification")]
    argv += ["--activation", "none", "--top_k", str(CLASSES), "--batch_size", str(batch_size)]
    assert classify.main([*argv, "--image_id_from", "filename"]) == 0


def golden(shared_data: pathlib.Path, name: str) -> dict[str, npt.NDArray[np.float32]]:
    stored = np.load(shared_data / "golden" / "squeezenet_raccoon.npz")
    names = [pathlib.PurePath(str(file)).name for file in stored["files"]]
    return dict(zip(names, stored[name], strict=True))


def assert_close(got: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> None:
    """Checks to 1e-4, relative to each vector's largest value."""
    scale = np.abs(wanted).max(axis=1, keepdims=True)
    assert np.abs((got - wanted) / scale).max() < 1e-4


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_vectors_are_those_of_the_reference_formula(
    shared_data: pathlib.Path, tmp_path: pathlib.Path, batch_size: int
) -> None:
    photos = str(shared_data / "photos" / "raccoon" / "images")
    model = str(shared_data / "models" / "squeezenet_feature_vector")
    argv = ["--input", photos, "--image_id_from", "filename", "--batch_size", str(batch_size)]
    assert run_embed(model, tmp_path / "out", *argv) == 0
    table = read(tmp_path / "out")
    wanted = golden(shared_data, "feature_vector")
    names = table["image_id"].to_pylist()
    assert sorted(names) == sorted(wanted)
    assert_close(vectors_of(table), np.stack([wanted[name] for name in names]))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_logits_and_top_1_are_those_of_the_reference_formula(
    shared_data: pathlib.Path, tmp_path: pathlib.Path, batch_size: int
) -> None:
    run_all_classes(shared_data, tmp_path / "out", batch_size)
    wanted = golden(shared_data, "classification")
    rows = read(tmp_path / "out").to_pylist()
    assert len(rows) == len(wanted) == 200
    got = np.empty((200, CLASSES), np.float32)
    for number, row in enumerate(rows):
        got[number, row["class_index"]] = row["score"]
    reference = np.stack([wanted[row["image_id"]] for row in rows])
    assert_close(got, reference)
    assert [row["class_index"][0] for row in rows] == reference.argmax(axis=1).tolist()


OF_AN_EXTRA = "pillow__hopper.heif"
"""What pillow-heif decodes, and neither Pillow nor TensorFlow."""

PAINTED_OVER = (
    "imagetestsuite__5482a54657765056f1a94116a8dbffe7.jpg",
    "imagetestsuite__8e5e74dbf9b68a322fbb9512db837329.jpg",
    "imagetestsuite__f6b4389c3cf0f5997b2e5a4b905aea8d.jpg",
    "tf_core__bad_huffman.jpg",
)
"""Damaged JPEG files, of which other decoders make up most of the pixels."""
LACKS_ITS_END = "pillow__truncated_jpeg.jpg"
"""A whole photo but for the last byte of its end marker, which other decoders refuse."""


def test_every_decoder_case_is_a_row_or_a_failure_with_a_reason(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = str(shared_data / "models" / "squeezenet_feature_vector")
    argv = ["--input", str(shared_data / "decoder_cases"), "--image_id_from", "relative_path"]
    assert run_embed(model, tmp_path / "out", *argv, "--max_failed_fraction", "0.5") == 0
    with (shared_data / "decoder_cases.csv").open(newline="") as file:
        cases = {case["path"].removeprefix("decoder_cases/"): case for case in csv.DictReader(file)}
    rows = {row["image_id"]: row for row in read(tmp_path / "out").to_pylist()}
    failures = {failure["image_id"]: failure for failure in read_failures(tmp_path / "out")}
    assert rows.keys() | failures.keys() == cases.keys()
    assert not rows.keys() & failures.keys()
    tensorflow_key = next(key for key in next(iter(cases.values())) if key.startswith("tf_"))
    for name, case in cases.items():
        is_decodable = "ok" in (case["pillow_12.3"], case[tensorflow_key])
        if pathlib.PurePath(name).name in (*PAINTED_OVER, LACKS_ITS_END, OF_AN_EXTRA):
            is_decodable = not is_decodable
        assert (name in rows) == is_decodable, (name, failures.get(name))
        if name in failures:
            assert len(failures[name]["message"]) > 15
        elif case["size"] not in ("", "x"):
            width, height = map(int, case["size"].split("x"))
            assert {rows[name]["width"], rows[name]["height"]} == {width, height}, name


def hide_number(stored: pathlib.Path, path: pathlib.Path) -> None:
    """Covers the middle of a photo, where each of the sixteen has another number painted on."""
    with PIL.Image.open(stored) as image:
        exif = image.getexif()
        width, height = image.size
        side = min(width, height) // 4
        left, top = (width - side) // 2, (height - side) // 2
        image.paste((128, 128, 128), (left, top, left + side, top + side))
        image.save(path, "JPEG", exif=exif, quality=95)


def test_photos_stored_in_eight_orientations_give_one_vector(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = str(shared_data / "models" / "squeezenet_feature_vector")
    stored = sorted((shared_data / "decoder_cases" / "exif-orientation").iterdir())
    assert len(stored) == 16
    for path in stored:
        hide_number(path, tmp_path / path.name)
    smallest: dict[tuple[str, str], float] = {}
    for exif in ("apply", "ignore"):
        out = tmp_path / f"out_{exif}"
        assert run_embed(model, out, "--input", str(tmp_path / "*.jpg"), "--exif", exif) == 0
        table = read(out)
        vectors = vectors_of(table).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for scene, width, height in (("Landscape", 1800, 1200), ("Portrait", 1200, 1800)):
            own = [n for n, uri in enumerate(table["uri"].to_pylist()) if scene in uri]
            smallest[exif, scene] = (vectors[own] @ vectors[own].T).min()
            if exif == "apply":
                assert {table["width"][n].as_py() for n in own} == {width}
                assert {table["height"][n].as_py() for n in own} == {height}
    assert min(smallest["apply", scene] for scene in ("Landscape", "Portrait")) > 0.99
    assert max(smallest["ignore", scene] for scene in ("Landscape", "Portrait")) < 0.95


def test_a_real_tfrecord_gives_the_vectors_of_its_photos(
    shared_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = str(shared_data / "models" / "squeezenet_feature_vector")
    argv = ["--input", str(shared_data / "tfrecord" / "raccoon_test.record")]
    argv += ["--carry_columns", "image/object/class/text"]
    assert run_embed(model, tmp_path / "out", *argv) == 0
    table = read(tmp_path / "out")
    wanted = golden(shared_data, "feature_vector")
    names = table["image_id"].to_pylist()
    assert len(names) == 40
    assert_close(vectors_of(table), np.stack([wanted[name] for name in names]))
    assert set(table["image/object/class/text"].to_pylist()[0]) == {b"raccoon"}
