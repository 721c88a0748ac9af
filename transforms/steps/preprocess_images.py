"""PreprocessImages: a batch of encoded images -> the pixels that the model takes."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection
from apache_beam.utils.shared import Shared

from transforms.batches import EncodedImages, PixelBatch
from transforms.boxes import ImageBox, boxes_of, distinct_sizes
from transforms.failure import Step
from transforms.images.careful_preprocessor import CarefulPreprocessor
from transforms.images.policy import Preprocessing
from transforms.lifecycle.staging import begin_shard, writing_shard
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.schemas import HEIGHT, STATISTICS_FIELDS, WIDTH
from transforms.steps.decode_ahead import DecodeAhead, Handler, pixel_bytes
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.tally import BYTES_READ, SHARDS_RETRIED, TALLY

if TYPE_CHECKING:
    from transforms.images.preprocessor import Preprocessed, Preprocessor


def preprocess_batch(
    batch: EncodedImages,
    preprocessor: "Preprocessor | CarefulPreprocessor",
    measured_by: Preprocessing | None = None,
) -> PixelBatch:
    """Decodes, orients, resizes and scales a batch; undecodable images become failures.

    Args:
        batch: The batch.
        preprocessor: What decodes.
        measured_by: Its policy, if images are to be measured, too.
    """
    started = time.perf_counter()
    preprocessed = preprocessor(batch.encoded, wanted_boxes(batch, preprocessor.policy))
    return to_pixel_batch(batch, preprocessed, time.perf_counter() - started, measured_by)


def wanted_boxes(batch: EncodedImages, policy: Preprocessing) -> list[ImageBox | None] | None:
    """Returns the box of each image of a batch, if a policy is one of boxes."""
    return None if policy.box_margin is None else boxes_of(batch.rows)


def to_pixel_batch(
    batch: EncodedImages,
    preprocessed: "Preprocessed",
    seconds: float,
    measured_by: Preprocessing | None = None,
) -> PixelBatch:
    """Makes the next step's batch of what preprocessing made of the images.

    Args:
        batch: The batch as read.
        preprocessed: Pixels and errors of its images.
        seconds: Wall time that it took.
        measured_by: Policy of the pixels, if images are to be measured, too.
    """
    started = time.perf_counter()
    pixels, heights, widths, errors = preprocessed
    rows, failures = batch.set_aside(Step.DECODE, errors)
    size = [
        (WIDTH, pa.array(widths, pa.int32())),
        (HEIGHT, pa.array(heights, pa.int32())),
    ]
    for name, values in size:
        rows = rows.append_column(pa.field(name, pa.int32(), nullable=False), values)
    if measured_by is not None:
        from transforms.images.image_statistics import measure_images  # It imports TensorFlow.

        good = [file for index, file in enumerate(batch.encoded) if index not in errors]
        statistics = measure_images(good, pixels, measured_by)
        for field, values in zip(STATISTICS_FIELDS, statistics, strict=True):
            rows = rows.append_column(field, pa.array(values, field.type))
    seconds += time.perf_counter() - started
    times = {**batch.seconds, Step.DECODE: seconds}
    fields = batch.common_fields(rows=rows, failures=failures, seconds=times)
    return PixelBatch(**fields, pixels=pixels)


def is_begun_again(staging: str, batch: EncodedImages) -> bool:
    """Notes that a shard's decoding begins; returns whether it had begun before.

    Then it is decoded in other processes: an image may have ended the run.
    """
    with writing_shard(staging, batch.shard):
        return begin_shard(staging, batch.shard)


class _PreprocessBatch(DecodeAhead[EncodedImages, PixelBatch]):
    def __init__(
        self,
        policy: Preprocessing,
        num_model_threads: int | None,
        staging: str | None = None,
        statistics: bool = False,
        handlers: Sequence[Handler] = (),
    ) -> None:
        super().__init__(handlers)
        self._policy = policy
        self._measured_by = policy if statistics else None
        self._staging = staging
        self._careful = CarefulPreprocessor(policy)
        self._is_careful = False
        self._num_model_threads = num_model_threads
        self._shared = Shared()
        self._preprocessor: Preprocessor | None = None

    def prepare(self, batch: EncodedImages) -> Callable[[], PixelBatch]:
        if self._preprocessor is None:
            self._preprocessor = self._shared.acquire(self._make_preprocessor)
        if batch.index == 0 and self._staging is not None:
            self._is_careful = is_begun_again(self._staging, batch)
            TALLY.count(SHARDS_RETRIED, self._is_careful)
        TALLY.count(BYTES_READ, sum(distinct_sizes(batch.encoded)))
        preprocessor = self._careful if self._is_careful else self._preprocessor
        return functools.partial(preprocess_batch, batch, preprocessor, self._measured_by)

    def size_bytes(self, batch: EncodedImages) -> int:
        return len(batch.encoded) * pixel_bytes(self._policy)

    def models_of(self, batch: EncodedImages) -> range:
        return range(len(self._handlers) if batch.encoded else 0)

    def hand_on(self, decoded: PixelBatch) -> Iterator[PixelBatch]:
        yield decoded

    def _make_preprocessor(self) -> "Preprocessor":
        start_tensorflow(self._num_model_threads)
        from transforms.images.preprocessor import Preprocessor

        return Preprocessor(self._policy)


@beam.typehints.with_input_types(EncodedImages)
@dataclasses.dataclass(eq=False)
class PreprocessImages(beam.PTransform[PCollection[EncodedImages], PCollection[PixelBatch]]):
    """Turns encoded images into pixels, batch for batch, one batch ahead of the model.

    Attributes:
        policy: Size, range and dtype of the pixels, and the way there.
        num_model_threads: Number of TensorFlow's threads, or None for one a core.
        staging: Directory that the run works in, where shards are noted that were begun; or None.
        statistics: Whether images are measured, too: the columns of STATISTICS_FIELDS.
        handler: Handler of the model that takes the pixels, to be loaded meanwhile; or None.
    """

    policy: Preprocessing
    num_model_threads: int | None = None
    staging: str | None = None
    statistics: bool = False
    handler: SavedModelHandler | None = None

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[EncodedImages]) -> PCollection[PixelBatch]:
        """Returns one batch of pixels a batch of images."""
        handlers = () if self.handler is None else (self.handler,)
        return batches | "PreprocessBatch" >> beam.ParDo(
            _PreprocessBatch(
                self.policy, self.num_model_threads, self.staging, self.statistics, handlers
            )
        ).with_output_types(PixelBatch)
