"""A range of pixels that a model was not trained on: what a run says, and that it goes on."""

import pathlib
import re

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from pipelines import report
from tests.support.images import encode, photo
from tests.support.models import save_output
from tests.support.runs import contents, latest, read_record, run_embed, run_refresh
from transforms import EmbedImages
from transforms.images.pixel_range import from_unit_range, to_unit_range

SIZE = (24, 24)
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, 16)).astype(np.float32)
DOUBT = re.compile(r"--input_range 0,1 looks wrong: .* --input_range -1,1 \(0\.0\d+\) makes")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A convolution and a normalization, whose moments are those of photos from -1 to 1."""
    levels = np.stack([photo(*SIZE, seed=seed) for seed in range(100, 148)])
    pixels = from_unit_range(to_unit_range(tf.cast(levels, tf.float32)), "-1,1", "float32")
    moments = tf.nn.moments(tf.nn.conv2d(pixels, KERNEL, 2, "SAME"), [0, 1, 2])
    mean, variance = (moment.numpy() for moment in moments)

    def call(images: tf.Tensor) -> tf.Tensor:
        ones = np.ones(16, np.float32)
        normal, *_ = tf.compat.v1.nn.fused_batch_norm(
            tf.nn.conv2d(images, KERNEL, 2, "SAME"), ones, ones, mean, variance, is_training=False
        )
        return tf.reduce_mean(normal, axis=[1, 2])

    return save_output(tmp_path_factory.mktemp("models") / "trained", lambda x: call(x * 1))


def write(folder: pathlib.Path, count: int) -> str:
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed:03d}.png").write_bytes(encode(photo(*SIZE, seed=seed)))
    return str(folder)


def doubts(run: pathlib.Path) -> list[str]:
    return [text for text in read_record(run)["warnings"] if DOUBT.match(text)]


@pytest.mark.parametrize("flags", [[], ["--input_range", "0,1"]])
def test_a_run_warns_once_and_its_page_says_it_too(
    trained: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    argv = ["--input", write(tmp_path / "photos", 40), "--rows_per_file", "10", *flags]
    assert run_embed(trained, tmp_path / "run", *argv) == 0
    said = capfd.readouterr()
    assert len(DOUBT.findall((said.out + said.err).replace("\n", " "))) == 1
    assert len(doubts(tmp_path / "run")) == 1
    assert read_record(tmp_path / "run")["counts"]["written"] == 40
    page = tmp_path / "page.html"
    assert report.main([str(tmp_path / "run"), "--output", str(page)]) == 0
    assert page.read_text().count("looks wrong") == 1


def test_a_plan_says_it(
    trained: str, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    argv = ["--input", write(tmp_path / "photos", 20), "--plan"]
    assert run_embed(trained, tmp_path / "run", *argv) == 0
    assert "--input_range 0,1 looks wrong" in capfd.readouterr().out


def test_the_right_range_and_few_images_are_not_doubted(
    trained: str, tmp_path: pathlib.Path
) -> None:
    right = ["--input", write(tmp_path / "photos", 20), "--input_range", "-1,1"]
    assert run_embed(trained, tmp_path / "right", *right) == 0
    assert doubts(tmp_path / "right") == []
    assert run_embed(trained, tmp_path / "few", "--input", write(tmp_path / "few_photos", 7)) == 0
    assert doubts(tmp_path / "few") == []


def test_batches_of_few_images_add_up_and_change_no_byte(
    trained: str, tmp_path: pathlib.Path
) -> None:
    photos = write(tmp_path / "photos", 20)
    argv = ["--input", photos, "--batch_size", "3"]
    assert run_embed(trained, tmp_path / "a", *argv) == 0
    assert len(doubts(tmp_path / "a")) == 1
    assert run_embed(trained, tmp_path / "b", *argv) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_refresh_says_it_where_the_model_ran(trained: str, tmp_path: pathlib.Path) -> None:
    root, photos = tmp_path / "root", write(tmp_path / "photos", 12)
    assert run_refresh(trained, root, "--input", photos) == 0
    assert len(doubts(latest(root))) == 1


def test_the_transforms_log_it(
    trained: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pathlib.Path(write(tmp_path / "photos", 20))
    with beam.Pipeline(FnApiRunner()) as pipeline:
        uris = pipeline | beam.Create(sorted(map(str, folder.iterdir())))
        _ = uris | EmbedImages(trained)
    assert len([record for record in caplog.records if DOUBT.match(record.getMessage())]) == 1
