"""ImageModelHandler, as somebody uses it with Beam's RunInference."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    ModelMetadata,
    PredictionResult,
    RunInference,
)
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that

from tests.support.images import encode
from tests.support.models import save_logits, save_mean_color
from transforms import ImageFailure, ImageModelHandler, raise_failure
from transforms.errors import FlagError, ModelError

RED, BLUE = (255, 0, 0), (0, 0, 255)
BROKEN = b"no image"


def png(colour: tuple[int, int, int]) -> bytes:
    return encode(np.full((30, 40, 3), colour, np.uint8), "PNG")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_mean_color(tmp_path_factory.mktemp("models") / "mean")


def told(result: PredictionResult) -> Any:  # noqa: ANN401 - a vector or a failure
    """Returns the inference as something to compare."""
    inference: Any = result.inference
    if isinstance(inference, ImageFailure):
        return f"{inference.step}/{inference.error_type}"
    assert inference.dtype == np.float32
    return [round(value, 3) for value in inference.tolist()]


def equals(expected: list[Any]) -> Callable[[list[Any]], None]:
    def check(actual: list[Any]) -> None:
        assert sorted(actual, key=str) == sorted(expected, key=str)

    return check


def test_run_inference_of_bytes_and_uris(model: str, tmp_path: pathlib.Path) -> None:
    path, absent = str(tmp_path / "a.png"), str(tmp_path / "absent.png")
    pathlib.Path(path).write_bytes(png(BLUE))
    examples = [png(RED), path, BROKEN, absent]
    expected = [
        (png(RED), [1, 0, 0], model),
        (path, [0, 0, 1], model),
        (BROKEN, "decode/UnsupportedFormat", model),
        (absent, "read/NotFound", model),
    ]
    with _TestPipeline() as pipeline:
        results = pipeline | beam.Create(examples) | RunInference(ImageModelHandler(model))
        found = results | beam.Map(lambda it: (it.example, told(it), it.model_id))
        assert_that(found, equals(expected))


def test_batches_are_cut_whatever_their_size(model: str) -> None:
    handler = ImageModelHandler(model, batch_size=2)
    found = list(handler.run_inference([png(RED), BROKEN, png(BLUE)] * 3, handler.load_model()))
    wanted = [[1, 0, 0], "decode/UnsupportedFormat", [0, 0, 1]] * 3
    assert [told(result) for result in found] == wanted


def test_large_files_are_read_in_several_parts(model: str, tmp_path: pathlib.Path) -> None:
    paths = []
    for number, colour in enumerate((RED, BLUE, RED, BLUE)):
        path = tmp_path / f"{number}.bmp"
        path.write_bytes(encode(np.full((1800, 1900, 3), colour, np.uint8), "BMP"))  # 10 MB.
        paths.append(str(path))
    handler = ImageModelHandler(model)
    predictor = handler.load_model()
    absent = str(tmp_path / "absent.png")
    prepared = predictor.prepare([*paths, png(RED), absent])
    assert [len(batch.pixels) for batch in prepared.batches] == [1, 3, 1]
    assert prepared.bytes_read == sum(map(os.path.getsize, paths)) + len(png(RED))
    found = handler.run_inference([*paths, png(RED), absent], predictor)
    wanted = [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0], "read/NotFound"]
    assert [told(result) for result in found] == wanted


def test_an_example_is_an_image(model: str) -> None:
    handler = ImageModelHandler(model)
    nothing: Any = None
    (found,) = handler.run_inference([nothing], handler.load_model())
    assert told(found) == "read/CorruptRecord"
    wrong: Any = np.zeros((24, 24, 3))
    with pytest.raises(TypeError, match="an image is bytes or a URI, got ndarray"):
        list(handler.run_inference([wrong], handler.load_model()))


def test_normalized(model: str) -> None:
    handler = ImageModelHandler(model, normalize="l2")
    (found,) = handler.run_inference([png((255, 255, 255))], handler.load_model())
    assert told(found) == [0.577, 0.577, 0.577]


def test_failures_get_an_output_by_with_exception_handling(model: str) -> None:
    handler: Any = KeyedModelHandler(ImageModelHandler(model)).with_postprocess_fn(raise_failure)
    examples = [("a", png(RED)), ("b", BROKEN), ("c", png(BLUE))]
    with _TestPipeline() as pipeline:
        images = pipeline | beam.Create(examples)
        results, failed = images | RunInference(handler).with_exception_handling()
        good = results | "Good" >> beam.MapTuple(lambda key, it: (key, told(it)))
        assert_that(good, equals([("a", [1, 0, 0]), ("c", [0, 0, 1])]))
        (bad,) = failed.failed_postprocessing
        why = bad | "Bad" >> beam.MapTuple(lambda it, error: (it[0], str(error[1])[:40]))
        assert_that(
            why,
            lambda found: [key for key, _ in found] == ["b"] or pytest.fail(str(found)),
            label="bad",
        )
        assert_that(failed.failed_inferences, equals([]), label="no batch failed")


def test_without_it_raise_failure_ends_the_pipeline(model: str) -> None:
    handler = ImageModelHandler(model).with_postprocess_fn(raise_failure)
    wanted = pytest.raises(Exception, match="decode/UnsupportedFormat")
    with wanted, _TestPipeline() as pipeline:
        _ = pipeline | beam.Create([BROKEN]) | RunInference(handler)


def test_a_model_for_each_key(model: str, tmp_path: pathlib.Path) -> None:
    logits = save_logits(tmp_path / "logits")
    handler: Any = KeyedModelHandler(
        [
            KeyModelMapping(["vector"], ImageModelHandler(model)),
            KeyModelMapping(["logits"], ImageModelHandler(logits)),
        ]
    )
    with _TestPipeline() as pipeline:
        images = pipeline | beam.Create([("vector", png(RED)), ("logits", png(RED))])
        found = images | RunInference(handler) | beam.MapTuple(lambda key, it: (key, told(it)))
        assert_that(found, equals([("vector", [1, 0, 0]), ("logits", [10, 0, 0])]))


def test_a_model_named_by_a_side_input(model: str, tmp_path: pathlib.Path) -> None:
    newer = save_logits(tmp_path / "newer")
    with _TestPipeline() as pipeline:
        named = pipeline | "Named" >> beam.Create([ModelMetadata(newer, "newer")])
        inference = RunInference(ImageModelHandler(model), model_metadata_pcoll=named)
        results = pipeline | beam.Create([png(RED)]) | inference
        found = results | beam.Map(lambda it: (told(it), it.model_id))
        assert_that(found, equals([([10, 0, 0], newer)]))


def test_what_cannot_work_is_refused_at_once(model: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        ImageModelHandler(str(tmp_path / "absent"))
    with pytest.raises(FlagError, match="normalize"):
        ImageModelHandler(model, normalize="l1")
    with pytest.raises(FlagError, match="max_batch_seconds must be a number, at least 0, got '1'"):
        ImageModelHandler(model, max_batch_seconds="1")  # type: ignore[arg-type]
    with pytest.raises(FlagError, match=r"batch_size must be a number, at least 1,.* got 0"):
        ImageModelHandler(model, batch_size=0)
    with pytest.raises(ValueError, match="takes no inference_args"):
        _ = (
            _TestPipeline()
            | beam.Create([BROKEN])
            | RunInference(ImageModelHandler(model), inference_args={"training": True})
        )
