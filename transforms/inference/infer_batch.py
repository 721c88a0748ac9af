"""InferBatch: a batch of elements with an image each -> the same with what a model says of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.inference.elements import check_names, image_or_error, with_columns
from transforms.inference.image_failure import to_image_failure
from transforms.inference.predictor import Predictor, Prepared, Tabulate
from transforms.inference.settled_model import SettledModel
from transforms.schemas import IMAGE_ID, URI

FAILURES: Literal["failures"] = "failures"
"""Tag of the output of elements whose image could not be used."""

ColumnsOf = Callable[[pa.RecordBatch], Sequence[dict[str, Any]]]

_Output = WindowedValue | TaggedOutput[Literal["failures"], WindowedValue]


class Waiting(NamedTuple):
    """An element in a batch, and when it is.

    Attributes:
        element: The user's element.
        timestamp: Its timestamp.
    """

    element: Any
    timestamp: Timestamp


class _Kept(NamedTuple):
    """A batch that is being read and decoded."""

    waiting: Sequence[Waiting]
    window: BoundedWindow
    images: Future[Prepared]


class InferBatch(beam.DoFn):
    """Reads and decodes each batch while the one before goes through the model."""

    def __init__(
        self,
        model: SettledModel,
        image: str,
        tabulate: Tabulate,
        columns_of: ColumnsOf,
        names: Set[str],
    ) -> None:
        self._settled = model
        self._image = image
        self._tabulate = tabulate
        self._columns_of = columns_of
        self._names = names
        self._shared = Shared()

    def setup(self) -> None:
        """Loads the model, once a process."""
        self._predictor = self._shared.acquire(lambda: Predictor(self._settled))
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="prepare-ahead")

    def start_bundle(self) -> None:
        """Forgets a batch of a bundle that failed."""
        self._kept: _Kept | None = None

    def process(
        self,
        batch: Sequence[Waiting],
        window: BoundedWindow = beam.DoFn.WindowParam,  # type: ignore[assignment]
    ) -> Iterator[_Output]:
        """Yields what becomes of the batch before."""
        for waiting in batch:
            check_names(waiting.element, self._image, self._names)
        earlier = self._kept
        images = [image_or_error(waiting.element, self._image) for waiting in batch]
        self._kept = _Kept(batch, window, self._ahead.submit(self._predictor.prepare, images))
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

    def _infer(self, kept: _Kept) -> Iterator[_Output]:
        def out(place: str, columns: Mapping[str, Any]) -> WindowedValue:
            element, timestamp = kept.waiting[int(place)]
            result = with_columns(element, self._image, columns)
            return WindowedValue(result, timestamp, (kept.window,))

        for rows in self._predictor.infer(kept.images.result(), self._tabulate):
            for place, columns in zip(
                rows.rows.column(IMAGE_ID).to_pylist(), self._columns_of(rows.rows), strict=True
            ):
                yield out(place, columns)
            for failure in rows.failures:
                columns = to_image_failure(failure)._asdict()
                yield TaggedOutput(FAILURES, out(failure.image_id, columns))


def columns_less_names(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Returns the columns of output rows that the model and the decoder made."""
    names = [name for name in batch.schema.names if name not in (IMAGE_ID, URI)]
    return {name: batch.column(name) for name in names}
