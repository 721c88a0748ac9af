"""InferImages: elements with an image each -> the same with what a model says of it."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batches import EncodedImages, OutputRows, PixelBatch, Predictions
from transforms.errors import ImageError
from transforms.failure import Failure
from transforms.images.preprocessor import Preprocessor
from transforms.inference.elements import image_of, output_type, with_columns
from transforms.inference.settled_model import ModelOptions, SettledModel, settle_model
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.part import BATCH_BYTES, PartBuilder, ReadPart, check_size
from transforms.machine.tensorflow_runtime import configure_tensorflow
from transforms.models.image_model import ImageModel
from transforms.records import ImageRef, ShardKey
from transforms.schemas import IMAGE_ID, URI
from transforms.steps.preprocess_images import preprocess_batch
from transforms.steps.saved_model_handler import predict_batch

FAILURE_COLUMNS = {"step": str, "error_type": str, "message": str}
"""What a failure has besides the element's own fields."""

Tabulate = Callable[[Predictions, ImageModel], OutputRows]
ColumnsOf = Callable[[pa.RecordBatch], Sequence[dict[str, Any]]]

_FAILURES: Literal["failures"] = "failures"
_NO_COLUMNS = pa.schema([])
_NO_SHARD = ShardKey(0, 1)

_Output = WindowedValue | TaggedOutput[Literal["failures"], WindowedValue]

_logger = logging.getLogger(__name__)


class Inferred(NamedTuple):
    """Outputs of a transform.

    Attributes:
        rows: PCollection of elements with the model's columns.
        failures: PCollection of elements whose image could not be used, with FAILURE_COLUMNS.
    """

    rows: PCollection[Any]
    failures: PCollection[Any]


class Waiting(NamedTuple):
    """An element in a batch, and when it is.

    Attributes:
        element: The user's element.
        timestamp: Its timestamp.
    """

    element: Any
    timestamp: Timestamp


class _Prepared(NamedTuple):
    """A batch that is read and decoded: pixels, one batch for bytes and one for URIs."""

    waiting: Sequence[Waiting]
    window: BoundedWindow
    batches: Future[list[PixelBatch]]


class _InferBatch(beam.DoFn):
    """Reads and decodes each batch while the one before goes through the model."""

    def __init__(
        self, model: SettledModel, image: str, tabulate: Tabulate, columns_of: ColumnsOf
    ) -> None:
        self._settled = model
        self._image = image
        self._tabulate = tabulate
        self._columns_of = columns_of
        self._shared_preprocessor, self._shared_model = Shared(), Shared()
        self._warned: set[str] = set()

    def setup(self) -> None:
        policy, handler = self._settled.policy, self._settled.handler
        configure_tensorflow(handler.num_threads)
        self._preprocessor = self._shared_preprocessor.acquire(lambda: Preprocessor(policy))
        self._model = self._shared_model.acquire(handler.load_model)
        columns = FileColumns(None, None, _NO_COLUMNS)
        self._files = ImageFiles(columns, policy.max_image_bytes)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="prepare-ahead")

    def start_bundle(self) -> None:
        self._kept: _Prepared | None = None

    def process(
        self,
        batch: Sequence[Waiting],
        window: BoundedWindow = beam.DoFn.WindowParam,  # type: ignore[assignment]
    ) -> Iterator[_Output]:
        earlier = self._kept
        self._kept = _Prepared(batch, window, self._ahead.submit(self._prepare, batch))
        if earlier is not None:
            yield from self._infer(earlier)

    def finish_bundle(self) -> Iterator[_Output]:
        last, self._kept = self._kept, None
        if last is not None:
            yield from self._infer(last)

    def teardown(self) -> None:
        self._ahead.shutdown(cancel_futures=True)
        self._files.close()

    def _prepare(self, batch: Sequence[Waiting]) -> list[PixelBatch]:
        return [
            preprocess_batch(_to_batch(part), self._preprocessor)
            for part in self._read([waiting.element for waiting in batch])
        ]

    def _read(self, elements: Sequence[Any]) -> Iterator[ReadPart]:
        """Yields what is given as bytes, then what is to be read; the place is the image_id."""
        given = PartBuilder()
        refs = []
        for place, element in enumerate(elements):
            try:
                image = image_of(element, self._image)
                if isinstance(image, str):
                    refs.append(ImageRef(str(place), image))
                else:
                    check_size(len(image), self._settled.policy.max_image_bytes)
                    given.add(place, str(place), "", image)
            except ImageError as error:
                given.fail(str(place), "", error)
        yield given.finish(pa.table({"place": range(len(elements))}).select([]))
        if refs:
            yield self._files.read(refs)

    def _infer(self, prepared: _Prepared) -> Iterator[_Output]:
        def out(place: str, columns: Mapping[str, Any]) -> WindowedValue:
            element, timestamp = prepared.waiting[int(place)]
            result = with_columns(element, self._image, columns)
            return WindowedValue(result, timestamp, (prepared.window,))

        for pixels in prepared.batches.result():
            rows = self._tabulate(predict_batch(pixels, self._model), self._model)
            for place, columns in zip(
                rows.rows.column(IMAGE_ID).to_pylist(), self._columns_of(rows.rows), strict=True
            ):
                yield out(place, columns)
            for failure in rows.failures:
                yield TaggedOutput(_FAILURES, out(failure.image_id, _failure_columns(failure)))
            for warning in set(rows.warnings) - self._warned:
                self._warned.add(warning)
                _logger.warning("%s", warning)


def _failure_columns(failure: Failure) -> dict[str, str]:
    return {
        "step": failure.step.value,
        "error_type": failure.error_type,
        "message": failure.message,
    }


def _to_batch(part: ReadPart) -> EncodedImages:
    return EncodedImages(
        shard=_NO_SHARD,
        index=0,
        is_last=False,
        matched=part.matched,
        rows=part.rows,
        failures=part.failures,
        encoded=part.encoded,
    )


def columns_less_names(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Returns the columns of output rows that the model and the decoder made."""
    names = [name for name in batch.schema.names if name not in (IMAGE_ID, URI)]
    return {name: batch.column(name) for name in names}


def _hand_on(element: Any) -> Any:  # noqa: ANN401
    """Returns an element as it is.

    What a step yields as its bundle ends is lost if the next one takes batches, as WriteToParquet
    of rows does: Beam hands on what it has gathered for that just before. (DoOperation.finish in
    apache_beam/runners/worker/operations.py of 2.77) So another step is put between.
    """
    return element


def _waiting(
    element: Any,  # noqa: ANN401
    timestamp: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
) -> Waiting:
    return Waiting(element, timestamp)


@dataclasses.dataclass(frozen=True)
class _Weight:
    """Share of a batch that an element takes, in whole numbers: BATCH_BYTES end a batch, too."""

    image: str
    batch_size: int

    def __call__(self, waiting: Waiting) -> int:
        try:
            image = image_of(waiting.element, self.image)
        except ImageError:
            image = ""
        size_bytes = len(image) if isinstance(image, bytes) else 0
        return min(max(BATCH_BYTES, size_bytes * self.batch_size), self.full)

    @property
    def full(self) -> int:
        return BATCH_BYTES * self.batch_size


def infer_images(
    images: PCollection[Any],
    model: SettledModel,
    *,
    image: str,
    batch_size: int,
    max_batch_seconds: float | None,
    tabulate: Tabulate,
    columns_of: ColumnsOf,
    columns: Mapping[str, Any],
) -> Inferred:
    """Batches elements, and runs a model on them; see EmbedImages for the arguments.

    Args:
        images: The elements.
        model: The model, settled.
        image: Name of the field that holds the image.
        batch_size: Images a model call.
        max_batch_seconds: Seconds for which a batch waits across bundles; None for not at all.
        tabulate: Callback from predictions to output rows.
        columns_of: Callback from output rows to the new columns of each.
        columns: Types of the new columns, by name.
    """
    weight = _Weight(image, batch_size)
    rows_type = output_type(images.element_type, image, columns)
    failures_type = output_type(images.element_type, image, FAILURE_COLUMNS)
    sizes: dict[str, Any] = {"element_size_fn": weight}
    if max_batch_seconds is not None:  # Counted by Beam in elements, whatever they weigh.
        sizes = {"max_batch_duration_secs": max_batch_seconds}
    full = weight.full if max_batch_seconds is None else batch_size
    outputs = (
        images
        | "Wait" >> beam.Map(_waiting).with_output_types(Waiting)
        | "Batch" >> beam.BatchElements(min_batch_size=full, max_batch_size=full, **sizes)
        | "InferBatch"
        >> beam.ParDo(_InferBatch(model, image, tabulate, columns_of)).with_outputs(
            _FAILURES, main="rows"
        )
    )
    return Inferred(
        outputs.rows | "HandOnRows" >> beam.Map(_hand_on).with_output_types(rows_type),
        outputs.failures | "HandOnFailures" >> beam.Map(_hand_on).with_output_types(failures_type),
    )


@dataclasses.dataclass(eq=False, kw_only=True)
class ImageInference(beam.PTransform[PCollection[Any], Inferred]):
    """What EmbedImages and ClassifyImages share; see there."""

    image: str = "image"
    signature: str | None = None
    output_key: str | None = None
    engine: str = "tensorflow"
    precision: str = "float32"
    batch_size: int = 32
    max_batch_seconds: float | None = None
    num_model_threads: int | None = None
    image_size: tuple[int, int] | None = None
    input_range: str | None = None
    resize_mode: str | None = None
    crop_fraction: float | None = None
    interpolation: str | None = None
    antialias: bool | None = None
    exif: str | None = None
    decode: str | None = None
    max_image_pixels: int | None = None
    max_image_bytes: int | None = None
    max_image_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def settle(self, model: str) -> SettledModel:
        """Finds and inspects the model.

        Raises:
            UserError: If it cannot be used so.
        """
        names = {field.name for field in dataclasses.fields(ModelOptions)}
        mine = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        settings = {name: value for name, value in mine.items() if name in names}
        settings.pop("model", None)
        own = {field.name for field in dataclasses.fields(ImageInference)}
        policy = {
            name: value
            for name, value in mine.items()
            if name in own - names - {"image", "max_batch_seconds"} and value is not None
        }
        return settle_model(ModelOptions(model=model, **settings, preprocessing=policy))
