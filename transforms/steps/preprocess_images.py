"""PreprocessImages: a batch of encoded images -> the pixels that the model takes."""

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batches import EncodedImages, PixelBatch
from transforms.failure import Step
from transforms.images.careful_preprocessor import CarefulPreprocessor
from transforms.images.policy import Preprocessing
from transforms.lifecycle.staging import begin_shard, writing_shard
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.schemas import HEIGHT, STATISTICS_FIELDS, WIDTH
from transforms.steps.tally import BYTES_READ, SHARDS_RETRIED, TALLY

if TYPE_CHECKING:
    from transforms.images.preprocessor import Preprocessor


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
    pixels, heights, widths, errors = preprocessor(batch.encoded)
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
    seconds = {**batch.seconds, Step.DECODE: time.perf_counter() - started}
    fields = batch.common_fields(rows=rows, failures=failures, seconds=seconds)
    return PixelBatch(**fields, pixels=pixels)


class _PreprocessBatch(beam.DoFn):
    """Hands on each batch when the next one has come, and decodes that one meanwhile.

    What it hands on goes through the model before it is asked for more. So the two overlap on
    every runner, also on one with a single thread, at the price of one batch of pixels. Order is
    kept, and nothing beyond a bundle.

    A shard that was begun before is decoded in other processes: an image may have ended the run.
    """

    def __init__(
        self,
        policy: Preprocessing,
        num_model_threads: int | None,
        staging: str | None = None,
        statistics: bool = False,
    ) -> None:
        self._policy = policy
        self._measured_by = policy if statistics else None
        self._staging = staging
        self._careful = CarefulPreprocessor(policy)
        self._is_careful = False
        self._num_model_threads = num_model_threads
        self._shared = Shared()
        self._preprocessor: Preprocessor | None = None
        self._ahead: ThreadPoolExecutor | None = None
        self._kept: Future[PixelBatch] | None = None

    def setup(self) -> None:
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="decode-ahead")

    def start_bundle(self) -> None:
        self._kept = None  # Of a bundle that failed.

    def process(self, batch: EncodedImages) -> Iterator[PixelBatch]:
        if self._preprocessor is None:
            self._preprocessor = self._shared.acquire(self._make_preprocessor)
        assert self._ahead is not None, "setup runs before process"
        if batch.index == 0 and self._staging is not None:
            with writing_shard(self._staging, batch.shard):
                self._is_careful = begin_shard(self._staging, batch.shard)
            TALLY.count(SHARDS_RETRIED, self._is_careful)
        TALLY.count(BYTES_READ, sum(map(len, batch.encoded)))
        earlier = self._kept
        preprocessor = self._careful if self._is_careful else self._preprocessor
        self._kept = self._ahead.submit(preprocess_batch, batch, preprocessor, self._measured_by)
        if earlier is not None:
            yield earlier.result()

    def _make_preprocessor(self) -> "Preprocessor":
        start_tensorflow(self._num_model_threads)
        from transforms.images.preprocessor import Preprocessor

        return Preprocessor(self._policy)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        last, self._kept = self._kept, None
        if last is not None:
            window = GlobalWindow()
            yield WindowedValue(last.result(), window.max_timestamp(), (window,))

    def teardown(self) -> None:
        if self._ahead is not None:
            self._ahead.shutdown(cancel_futures=True)


@beam.typehints.with_input_types(EncodedImages)
@dataclasses.dataclass(eq=False)
class PreprocessImages(beam.PTransform[PCollection[EncodedImages], PCollection[PixelBatch]]):
    """Turns encoded images into pixels, batch for batch, one batch ahead of the model.

    Attributes:
        policy: Size, range and dtype of the pixels, and the way there.
        num_model_threads: Number of TensorFlow's threads, or None for one a core.
        staging: Directory that the run works in, where shards are noted that were begun; or None.
        statistics: Whether images are measured, too: the columns of STATISTICS_FIELDS.
    """

    policy: Preprocessing
    num_model_threads: int | None = None
    staging: str | None = None
    statistics: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[EncodedImages]) -> PCollection[PixelBatch]:
        """Returns one batch of pixels a batch of images."""
        return batches | "PreprocessBatch" >> beam.ParDo(
            _PreprocessBatch(self.policy, self.num_model_threads, self.staging, self.statistics)
        ).with_output_types(PixelBatch)
