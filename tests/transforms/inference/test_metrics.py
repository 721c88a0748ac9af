"""What the transforms count, as a user asks their runner for it."""

import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from tests.support.images import encode
from tests.support.models import save_mean_color
from tests.support.runners import JOB_SERVER_HERE, prism_flags
from transforms import EmbedImages, ImageModelHandler

PNG = encode(np.full((30, 40, 3), 200, np.uint8), "PNG")
GOOD = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_mean_color(tmp_path_factory.mktemp("models") / "mean")


@pytest.fixture(params=["direct", "portable", "prism"])
def options(request: pytest.FixtureRequest) -> PipelineOptions:
    match request.param:
        case "portable":
            return PipelineOptions([*JOB_SERVER_HERE])
        case "prism":
            return PipelineOptions([*prism_flags()])
    return PipelineOptions([])


def measures(result: PipelineResult) -> dict[str, Any]:
    found = result.metrics().query(MetricsFilter().with_namespace("image_inference"))
    counters = {it.key.metric.name: it.result for it in found["counters"]}
    return {**counters, **{it.key.metric.name: it.result for it in found["distributions"]}}


def test_the_transforms_count_as_the_programs_do(
    model: str, options: PipelineOptions, tmp_path: pathlib.Path
) -> None:
    pipeline = beam.Pipeline(options=options)
    images = pipeline | beam.Create(elements(tmp_path))
    rows, failures = images | EmbedImages(model, batch_size=4)
    _ = (rows, failures) | beam.Flatten()
    check(pipeline.run())


def test_the_handler_counts_as_the_programs_do(model: str, tmp_path: pathlib.Path) -> None:
    pipeline = beam.Pipeline()
    handler = ImageModelHandler(model, batch_size=4)
    _ = pipeline | beam.Create(elements(tmp_path)) | RunInference(handler)
    check(pipeline.run())


def elements(directory: pathlib.Path) -> list[bytes | str]:
    return [*[PNG] * GOOD, b"no image", str(directory / "absent.png")]


def check(result: PipelineResult) -> None:
    result.wait_until_finish()
    found = measures(result)
    assert found["images_planned"] == GOOD + 2
    assert found["images_written"] == GOOD
    assert found["images_failed"] == 2
    assert found["failed/decode/UnsupportedFormat"] == found["failed/read/NotFound"] == 1
    assert found["image_bytes_read"] == GOOD * len(PNG) + len(b"no image")
    assert found["batch_images"].sum == GOOD
    assert found["batch_images"].max <= 4
    for step in ("read", "decode", "model"):
        assert found[f"{step}_milliseconds"].count >= found["batch_images"].count
