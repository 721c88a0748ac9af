"""EmbedImages as somebody uses it in a pipeline of their own."""

import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import Row
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.test_stream import TestStream as _TestStream
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from tests.support.images import encode
from tests.support.models import save_logits, save_mean_color
from transforms import ClassifyImages, EmbedImages
from transforms.errors import FlagError, ModelError
from transforms.inference.beam_yaml import embed_images

RED, GREEN, BLUE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


class Photo(NamedTuple):
    number: int
    image: bytes


class Listed(NamedTuple):
    number: int
    path: str


def png(colour: tuple[int, int, int]) -> bytes:
    return encode(np.full((30, 40, 3), colour, np.uint8), "PNG")


def rounded(element: Any) -> Any:  # noqa: ANN401 - all kinds
    """Returns what can be compared: no digests, short numbers."""
    if type(element) is tuple:
        return (element[0], rounded(element[1]))
    if isinstance(element, dict):
        fields = dict(element)
    else:  # As it is made, and as its coder gives it back.
        fields = element._asdict() if hasattr(element, "_asdict") else element.as_dict()
    fields.pop("content_sha256", None)
    fields["embedding"] = tuple(round(value, 3) for value in fields["embedding"])
    return fields


def vector(colour: tuple[int, int, int]) -> dict[str, Any]:
    embedding = tuple(round(level / 255, 3) for level in colour)
    return {"embedding": embedding, "width": 40, "height": 30}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_mean_color(tmp_path_factory.mktemp("models") / "mean")


def equals(expected: list[Any]) -> Callable[[list[Any]], None]:
    def check(actual: list[Any]) -> None:
        assert sorted(map(rounded, actual), key=str) == sorted(expected, key=str)

    return check


def test_bytes(model: str) -> None:
    with _TestPipeline() as pipeline:
        rows, failures = pipeline | beam.Create([png(RED), png(BLUE)]) | EmbedImages(model)
        assert_that(rows, equals([vector(RED), vector(BLUE)]))
        assert_that(failures, equals([]), label="none failed")


def test_uris_and_what_fails(model: str, tmp_path: pathlib.Path) -> None:
    good, bad, absent = (str(tmp_path / name) for name in ("good.png", "bad.png", "absent.png"))
    pathlib.Path(good).write_bytes(png(GREEN))
    pathlib.Path(bad).write_bytes(b"no image")

    def check(failures: list[Any]) -> None:
        found = {failure.uri: (failure.step, failure.error_type) for failure in failures}
        assert found == {bad: ("decode", "UnsupportedFormat"), absent: ("read", "NotFound")}

    with _TestPipeline() as pipeline:
        rows, failures = pipeline | beam.Create([good, bad, absent]) | EmbedImages(model)
        assert_that(rows, equals([{"uri": good, **vector(GREEN)}]))
        assert_that(failures, check, label="two failed")


def test_rows_keep_their_other_fields_and_a_schema(model: str) -> None:
    photos = [Photo(7, png(RED)), Photo(8, b"")]

    def check(failures: list[Any]) -> None:
        (failure,) = failures
        assert (failure.number, failure.error_type) == (8, "UnsupportedFormat")
        assert not hasattr(failure, "image")

    with _TestPipeline() as pipeline:
        typed = pipeline | beam.Create(photos).with_output_types(Photo)
        rows, failures = typed | EmbedImages(model)
        names = [name for name, _ in rows.element_type._fields]
        assert names == ["number", "embedding", "width", "height", "content_sha256"]
        assert_that(rows | beam.Reshuffle(), equals([{"number": 7, **vector(RED)}]))
        assert_that(failures | "Coded" >> beam.Reshuffle(), check, label="one failed")


def test_every_row_reaches_a_step_that_takes_batches(model: str, tmp_path: pathlib.Path) -> None:
    photos = [Photo(number, png(RED)) for number in range(40)]
    with _TestPipeline() as pipeline:
        typed = pipeline | beam.Create(photos).with_output_types(Photo)
        rows, _ = typed | EmbedImages(model)
        _ = rows | beam.io.WriteToParquet(str(tmp_path / "rows"), file_name_suffix=".parquet")
    table = pa.concat_tables(map(pq.read_table, tmp_path.glob("rows*.parquet")))
    assert sorted(table["number"].to_pylist()) == list(range(40))
    assert table["embedding"].to_pylist() == [[1, 0, 0]] * 40


def test_rows_with_a_uri_keep_it(model: str, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "a.png")
    pathlib.Path(path).write_bytes(png(RED))
    with _TestPipeline() as pipeline:
        listed = pipeline | beam.Create([Listed(1, path)]).with_output_types(Listed)
        rows, _ = listed | EmbedImages(model, image="path")
        assert_that(rows, equals([{"number": 1, "path": path, **vector(RED)}]))


def test_dicts_and_keys(model: str) -> None:
    elements = [("a", {"id": 1, "photo": png(RED)}), ("b", {"id": 2, "photo": png(GREEN)})]
    with _TestPipeline() as pipeline:
        rows, failures = pipeline | beam.Create(elements) | EmbedImages(model, image="photo")
        expected = [("a", {"id": 1, **vector(RED)}), ("b", {"id": 2, **vector(GREEN)})]
        assert_that(rows, equals(expected))
        assert_that(failures, equals([]), label="none failed")


def test_the_batch_size_may_be_measured(model: str) -> None:
    with _TestPipeline() as pipeline:
        images = pipeline | beam.Create([png(RED)] * 100)
        rows, _ = images | EmbedImages(model, batch_size="auto")
        assert_that(rows, equals([vector(RED)] * 100))


def test_an_empty_field_fails_alone(model: str) -> None:
    elements = [{"id": 1, "image": None}, {"id": 2, "image": png(RED)}]

    def check(failures: list[Any]) -> None:
        (failure,) = failures
        assert failure["id"] == 1
        assert failure["message"] == "no image in the field image"

    with _TestPipeline() as pipeline:
        rows, failures = pipeline | beam.Create(elements) | EmbedImages(model)
        assert_that(rows, equals([{"id": 2, **vector(RED)}]))
        assert_that(failures, check, label="one failed")


@pytest.mark.parametrize(
    ("element", "taken"),
    [
        ({"image": png(RED), "width": 640, "embedding": None}, "embedding, width"),
        (("key", Row(image=png(RED), message="the user's")), "message"),
        ({"image": b"no image", "content_sha256": "x"}, "content_sha256"),
    ],
)
def test_a_field_that_a_column_would_replace_is_refused(
    model: str,
    element: Any,  # noqa: ANN401 - all kinds
    taken: str,
) -> None:
    wanted = pytest.raises(Exception, match=f"rows have {taken} already; rename that before")
    with wanted, _TestPipeline() as pipeline:
        _ = pipeline | beam.Create([element]).with_output_types(Any) | EmbedImages(model)


def test_a_field_of_bytes_that_is_the_image_may_have_any_name(model: str) -> None:
    with _TestPipeline() as pipeline:
        images = pipeline | beam.Create([{"message": png(RED), "id": 1}])
        rows, _ = images | EmbedImages(model, image="message")
        assert_that(rows, equals([{"id": 1, **vector(RED)}]))


def test_normalized(model: str) -> None:
    with _TestPipeline() as pipeline:
        rows, _ = pipeline | beam.Create([png((255, 255, 255))]) | EmbedImages(model, "l2")
        expected = {**vector(RED), "embedding": (0.577, 0.577, 0.577)}
        assert_that(rows, equals([expected]))


def test_windows_and_timestamps_stay(model: str) -> None:
    # Two windows, over several bundles: a batch holds elements of one window only.
    stream = (
        _TestStream()
        .advance_watermark_to(0)
        .add_elements(
            [TimestampedValue(("a", png(RED)), 1), TimestampedValue(("b", png(BLUE)), 12)]
        )
        .advance_watermark_to(20)
        .add_elements([TimestampedValue(("c", png(GREEN)), 23)])
        .advance_watermark_to_infinity()
    )

    def when(
        element: tuple[str, Any],
        timestamp: Any = beam.DoFn.TimestampParam,  # noqa: ANN401 - Beam's
        window: Any = beam.DoFn.WindowParam,  # noqa: ANN401
    ) -> tuple[str, int, int]:
        return element[0], int(timestamp), int(window.start)

    def check(found: list[tuple[str, int, int]]) -> None:
        assert sorted(found) == [("a", 1, 0), ("b", 12, 10), ("c", 23, 20)]

    with _TestPipeline(options=PipelineOptions(streaming=True)) as pipeline:
        rows, _ = pipeline | stream | beam.WindowInto(FixedWindows(10)) | EmbedImages(model)
        assert_that(rows | beam.Map(when), check)


def test_a_stream_gathers_batches_across_bundles(model: str) -> None:
    images = [png(RED)] * 5
    with beam.Pipeline(FnApiRunner()) as pipeline:  # The old one fails: it has no such timers.
        rows, _ = pipeline | beam.Create(images) | EmbedImages(model, max_batch_seconds=1)
        assert_that(rows, equals([vector(RED)] * 5))


def test_classes(tmp_path: pathlib.Path) -> None:
    model = save_logits(tmp_path / "model", labels=["r", "g", "b"])

    def check(rows: list[Any]) -> None:
        (row,) = rows
        assert row.class_label == ["g", "r"]
        assert row.class_index == [1, 0]
        assert row.score[0] > 0.99

    with _TestPipeline() as pipeline:
        rows, _ = pipeline | beam.Create([png(GREEN)]) | ClassifyImages(model, top_k=2)
        assert_that(rows | beam.Reshuffle(), check)


def test_what_cannot_work_is_refused_where_it_is_applied(
    model: str, tmp_path: pathlib.Path
) -> None:
    pipeline = _TestPipeline()
    images = pipeline | beam.Create([Photo(1, b"")]).with_output_types(Photo)
    with pytest.raises(ModelError, match="no model"):
        _ = images | "no model" >> EmbedImages(str(tmp_path / "absent"))
    with pytest.raises(FlagError, match="input_range"):
        _ = images | "no range" >> EmbedImages(model, input_range="0,2")
    with pytest.raises(FlagError, match="--engine must be one of tensorflow openvino, got 'torch'"):
        _ = images | "no engine" >> EmbedImages(model, engine="torch")
    with pytest.raises(FlagError, match=r"--precision must be one of .*, got 'half'"):
        _ = images | "no precision" >> EmbedImages(model, precision="half")
    with pytest.raises(TypeError, match="no field 'picture' in rows of number, image"):
        _ = images | "no field" >> EmbedImages(model, image="picture")
    with pytest.raises(FlagError, match="normalize"):
        _ = images | "no norm" >> EmbedImages(model, normalize="l1")
    for number, size in enumerate((0, -1, "32", None)):
        with pytest.raises(FlagError, match='batch_size must be a number, at least 1, or "auto"'):
            _ = images | f"no size {number}" >> EmbedImages(model, batch_size=size)  # type: ignore[arg-type]


def test_classes_that_the_model_has_not_are_refused_where_it_is_applied(
    tmp_path: pathlib.Path,
) -> None:
    model = save_logits(tmp_path / "model", labels=["r", "g", "b"])
    one = save_logits(tmp_path / "one", num_classes=1)
    (tmp_path / "two.txt").write_text("r\ng\n")
    images = _TestPipeline() | beam.Create([png(GREEN)])
    for top_k in (4, 6):
        with pytest.raises(FlagError, match=f"--top_k {top_k} is over the .* the model has 3"):
            _ = images | f"too many {top_k}" >> ClassifyImages(model, top_k=top_k)
    with pytest.raises(FlagError, match="--top_k must be at least 1, got 0"):
        _ = images | "none" >> ClassifyImages(model, top_k=0)
    with pytest.raises(ModelError, match="2 labels do not fit a model with 3 outputs"):
        _ = images | "labels" >> ClassifyImages(model, labels=str(tmp_path / "two.txt"))
    with pytest.raises(ModelError, match="softmax of one number is 1"):
        _ = images | "one" >> ClassifyImages(one, activation="softmax")


def test_without_error_handling_beam_yaml_ends_at_a_failure(model: str) -> None:
    wanted = pytest.raises(RuntimeError, match=r"no error_handling.*UnsupportedFormat")
    with wanted, _TestPipeline() as pipeline:
        _ = pipeline | beam.Create([b"no image"]) | embed_images(model)


def test_importing_the_package_imports_nothing_large() -> None:
    code = (
        "import sys, transforms; assert 'EmbedImages' in transforms.__all__;"
        "print({'tensorflow', 'apache_beam'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
