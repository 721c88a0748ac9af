"""The images looked at again are so many of a shard, however few its batches hold."""

import pathlib

import numpy as np
import pytest

from tests.support.models import save_mean_color
from tests.support.runs import run_embed, solid
from tests.support.tars import write_tar
from transforms.images.policy import Preprocessing
from transforms.inputs import part
from transforms.runs.embedding_runs import open_embedding_runs
from transforms.training.stored_images import IMAGES_OF_A_SHARD, read_stored_images


def test_batches_of_one_image_give_as_many(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "BATCH_BYTES", 1)
    members = {f"{red}.png": solid(red, 10, 20) for red in (30, 60, 90, 120, 150, 180)}
    write_tar(tmp_path / "photos.tar", {**members, "000.png": b"not an image"})
    model = save_mean_color(tmp_path / "model")
    flags = ["--input", str(tmp_path / "photos.tar"), "--max_failed_fraction", "1"]
    assert run_embed(model, tmp_path / "run", *flags) == 0
    runs = open_embedding_runs([str(tmp_path / "run")])
    stored = read_stored_images(runs, Preprocessing(image_size=(24, 24)))
    assert len(stored.pixels) == IMAGES_OF_A_SHARD
    np.testing.assert_allclose(stored.pixels.mean(axis=(1, 2)), stored.vectors, atol=1e-6)
