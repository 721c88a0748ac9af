"""InferBatch: a batch of elements with an image each -> the same with what a model says of it."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batches import EncodedImages, OutputRows, PixelBatch, Predictions
from transforms.errors import ImageError
from transforms.failure import Failure
from transforms.images.preprocessor import Preprocessor
from transforms.inference.elements import image_of, with_columns
from transforms.inference.settled_model import SettledModel
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.part import PartBuilder, ReadPart, check_size
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.models.image_model import ImageModel
from transforms.records import ImageRef, ShardKey
from transforms.schemas import IMAGE_ID, URI
from transforms.steps.preprocess_images import preprocess_batch
from transforms.steps.saved_model_handler import predict_batch

FAILURES: Literal["failures"] = "failures"
"""Tag of the output of elements whose image could not be used."""

FAILURE_COLUMNS = {"step": str, "error_type": str, "message": str}
"""What a failure has besides the element's own fields."""

Tabulate = Callable[[Predictions, ImageModel], OutputRows]
ColumnsOf = Callable[[pa.RecordBatch], Sequence[dict[str, Any]]]

_NO_COLUMNS = pa.schema([])
_NO_SHARD = ShardKey(0, 1)

_Output = WindowedValue | TaggedOutput[Literal["failures"], WindowedValue]

_logger = logging.getLogger(__name__)


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


class InferBatch(beam.DoFn):
    """Reads and decodes each batch while the one before goes through the model."""

    def __init__(
        self, model: SettledModel, image: str, tabulate: Tabulate, columns_of: ColumnsOf
    ) -> None:
        self._settled = model
        self._image = image
        self._tabulate = tabulate
        self._columns_of = columns_of
        self._shared_preprocessor, self._shared_model = Shared(), Shared()
        self._warned = {""}

    def setup(self) -> None:
        """Loads the model, once a process."""
        policy, handler = self._settled.policy, self._settled.handler
        start_tensorflow(handler.num_threads)
        self._preprocessor = self._shared_preprocessor.acquire(lambda: Preprocessor(policy))
        self._model = self._shared_model.acquire(handler.load)
        columns = FileColumns(None, None, _NO_COLUMNS)
        self._files = ImageFiles(columns, policy.max_image_bytes)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="prepare-ahead")

    def start_bundle(self) -> None:
        """Forgets a batch of a bundle that failed."""
        self._kept: _Prepared | None = None

    def process(
        self,
        batch: Sequence[Waiting],
        window: BoundedWindow = beam.DoFn.WindowParam,  # type: ignore[assignment]
    ) -> Iterator[_Output]:
        """Yields what becomes of the batch before."""
        earlier = self._kept
        self._kept = _Prepared(batch, window, self._ahead.submit(self._prepare, batch))
        if earlier is not None:
            yield from self._infer(earlier)

    def finish_bundle(self) -> Iterator[_Output]:
        """Yields what becomes of the last batch."""
        last, self._kept = self._kept, None
        if last is not None:
            yield from self._infer(last)

    def teardown(self) -> None:
        """Ends the threads."""
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
        yield given.finish(_NO_COLUMNS.empty_table())
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
                yield TaggedOutput(FAILURES, out(failure.image_id, _failure_columns(failure)))
            for warning in {*rows.warnings, rows.range_doubt} - self._warned:
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
