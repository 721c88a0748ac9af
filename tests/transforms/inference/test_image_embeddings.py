"""ImageEmbeddings, as somebody uses it with Beam's MLTransform."""

import pathlib
import shutil
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.transforms.base import EmbeddingTypeAdapter, MLTransform
from apache_beam.pvalue import Row
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from tests.support.images import encode
from tests.support.models import save_logits, save_mean_color
from transforms import ImageEmbeddings
from transforms.errors import ModelError

RED, BLUE = (255, 0, 0), (0, 0, 255)
BROKEN = b"no image"

# Of jsonpickle, with which Beam writes artifacts.
pytestmark = pytest.mark.filterwarnings("ignore:keys will default:DeprecationWarning")


def png(colour: tuple[int, int, int]) -> bytes:
    return encode(np.full((30, 40, 3), colour, np.uint8), "PNG")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_mean_color(tmp_path_factory.mktemp("models") / "mean")


def test_an_artifact_is_written_and_read(model: str, tmp_path: pathlib.Path) -> None:
    artifact = str(tmp_path / "artifact")
    path = tmp_path / "a.png"
    path.write_bytes(png(BLUE))
    rows = [{"id": 1, "photo": png(RED)}, {"id": 2, "photo": str(path)}]
    expected = [{"id": 1, "photo": [1, 0, 0]}, {"id": 2, "photo": [0, 0, 1]}]
    embeddings = ImageEmbeddings(model, columns=["photo"], batch_size=8, image_size=(24, 24))
    with _TestPipeline() as pipeline:
        writing = MLTransform(write_artifact_location=artifact).with_transform(embeddings)
        assert_that(pipeline | beam.Create(rows) | writing, equal_to(expected))
    with _TestPipeline() as pipeline:
        reading: MLTransform[Any, Any] = MLTransform(read_artifact_location=artifact)
        assert_that(pipeline | beam.Create(rows) | reading, equal_to(expected))


def test_an_artifact_is_for_the_model_that_made_it(tmp_path: pathlib.Path) -> None:
    model = save_mean_color(tmp_path / "model")
    artifact = str(tmp_path / "artifact")
    writing = MLTransform(write_artifact_location=artifact).with_transform(
        ImageEmbeddings(model, columns=["photo"])
    )
    _ = _TestPipeline() | beam.Create([{"photo": BROKEN}]) | writing
    shutil.rmtree(model)
    save_logits(tmp_path / "model")
    with pytest.raises(ModelError, match="the artifact was made with"):
        _ = (
            _TestPipeline()
            | beam.Create([{"photo": BROKEN}])
            | MLTransform(read_artifact_location=artifact)
        )


def test_a_bad_image_costs_one_row(model: str, tmp_path: pathlib.Path) -> None:
    rows = [
        Row(id=1, photo=png(RED)),
        Row(id=2, photo=BROKEN),
        Row(id=3, photo=None),
    ]
    embedding = MLTransform(write_artifact_location=str(tmp_path)).with_transform(
        ImageEmbeddings(model, columns=["photo"])
    )

    def check(failed: list[Any]) -> None:
        found = sorted((row.element.id, row.msg.split("'")[1].split(":")[0]) for row in failed)
        assert found == [(2, "decode/UnsupportedFormat"), (3, "read/CorruptRecord")]

    with _TestPipeline() as pipeline:
        good, bad = pipeline | beam.Create(rows) | embedding.with_exception_handling()
        assert_that(good | beam.Map(lambda row: (row.id, row.photo)), equal_to([(1, [1, 0, 0])]))
        assert_that(bad, check, label="bad")


def test_without_exception_handling_a_bad_image_ends_the_pipeline(
    model: str, tmp_path: pathlib.Path
) -> None:
    embedding = MLTransform(write_artifact_location=str(tmp_path)).with_transform(
        ImageEmbeddings(model, columns=["photo"])
    )
    wanted = pytest.raises(Exception, match="decode/UnsupportedFormat")
    with wanted, _TestPipeline() as pipeline:
        _ = pipeline | beam.Create([{"photo": BROKEN}]) | embedding


def test_several_columns_and_an_adapter(model: str, tmp_path: pathlib.Path) -> None:
    rows = [{"left": png(RED), "right": png(BLUE)}]
    columns = ImageEmbeddings(model, columns=["left", "right"])
    adapter = EmbeddingTypeAdapter(_second, _with_vector)
    with _TestPipeline() as pipeline:
        both = MLTransform(write_artifact_location=str(tmp_path / "a")).with_transform(columns)
        expected = [{"left": [1, 0, 0], "right": [0, 0, 1]}]
        assert_that(pipeline | beam.Create(rows) | "both" >> both, equal_to(expected), label="both")
        pairs = pipeline | "pairs" >> beam.Create([("cat", png(RED))])
        own = MLTransform(write_artifact_location=str(tmp_path / "b")).with_transform(
            ImageEmbeddings(model, type_adapter=adapter)
        )
        assert_that(pairs | "own" >> own, equal_to([("cat", [1, 0, 0])]), label="own")


def _second(pairs: Any) -> list[Any]:  # noqa: ANN401 - Beam's
    return [image for _, image in pairs]


def _with_vector(pairs: Any, vectors: Any) -> list[Any]:  # noqa: ANN401
    return [(name, vector) for (name, _), vector in zip(pairs, vectors, strict=True)]
