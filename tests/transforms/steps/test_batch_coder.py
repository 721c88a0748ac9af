"""Batches between steps: their size is known without pickling, and they survive a stage."""

import dataclasses
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest
from apache_beam.coders.typecoders import registry

from pipelines import embed
from tests.support.batches import batch_fields, encoded_images, output_rows, predictions
from tests.support.models import save_mean_color
from tests.support.runs import write_photos
from transforms.batches import Batch, PixelBatch
from transforms.steps.batch_coder import BatchCoder, register_batch_coder


def pixel_batch() -> PixelBatch:
    return PixelBatch(**batch_fields("a"), pixels=np.ones((1, 3, 5, 3), np.float32))


@pytest.mark.parametrize(
    "batch",
    [encoded_images({"a": b"xyz"}), pixel_batch(), predictions({"a": [1, 2]}), output_rows("a")],
)
def test_a_batch_survives_coding(batch: Batch) -> None:
    register_batch_coder()
    coder = registry.get_coder(type(batch))
    assert isinstance(coder, BatchCoder)
    made = coder.decode(coder.encode(batch))
    for field in dataclasses.fields(batch):
        ours, wanted = getattr(made, field.name), getattr(batch, field.name)
        if isinstance(wanted, np.ndarray):
            np.testing.assert_array_equal(ours, wanted)
        else:
            assert ours == wanted
    assert made.rows.schema.equals(batch.rows.schema, check_metadata=True)


def test_sizes_are_those_of_the_arrays() -> None:
    rows = batch_fields("a")["rows"].nbytes
    assert BatchCoder().estimate_size(encoded_images({"a": b"xyz"})) == rows + 3
    assert BatchCoder().estimate_size(pixel_batch()) == rows + 3 * 5 * 3 * 4
    assert BatchCoder().estimate_size(output_rows("a")) == output_rows("a").rows.nbytes


def test_a_run_pickles_no_pixels(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:  # noqa: ANN401
        raise pickle.PicklingError("pixels crossed a stage, or their size was taken by pickling")

    monkeypatch.setattr(PixelBatch, "__reduce_ex__", refuse)
    monkeypatch.setattr(BatchCoder, "encode", refuse)
    save_mean_color(str(tmp_path / "model"))
    write_photos(tmp_path / "photos", 40)
    argv = ["--model", str(tmp_path / "model"), "--input", str(tmp_path / "photos")]
    assert embed.main([*argv, "--output", str(tmp_path / "out"), "--batch_size", "2"]) == 0
