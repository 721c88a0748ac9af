"""PreprocessShared: encoded images that several runs share -> the pixels that each model takes."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.utils.shared import Shared

from transforms.batches import PixelBatch, SharedImages, SharedPixels
from transforms.boxes import ImageBox, distinct_sizes
from transforms.images.careful_preprocessor import CarefulPreprocessor
from transforms.images.policy import Preprocessing
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.steps.decode_ahead import DecodeAhead, Handler, pixel_bytes
from transforms.steps.preprocess_images import is_begun_again, to_pixel_batch, wanted_boxes
from transforms.steps.tally import BYTES_READ, SHARDS_RETRIED, TALLY

if TYPE_CHECKING:
    from transforms.images.preprocessor import Preprocessed
    from transforms.images.shared_preprocessor import SharedPreprocessor

    _Preprocess = Callable[
        [Sequence[bytes], Sequence[Preprocessing], Sequence[ImageBox | None] | None],
        list[Preprocessed],
    ]


class RunPixels(NamedTuple):
    """What a run wants of images.

    Attributes:
        policy: Size, range and dtype of its pixels, and the way there.
        staging: Directory that it works in, where shards are noted that were begun.
        statistics: Whether images are measured, too.
    """

    policy: Preprocessing
    staging: str
    statistics: bool = False

    @property
    def measured_by(self) -> Preprocessing | None:
        """Policy to measure images by, if they are to be."""
        return self.policy if self.statistics else None


def preprocess_shared(
    images: SharedImages,
    runs: Sequence[RunPixels],
    preprocess: "_Preprocess",
) -> dict[int, PixelBatch]:
    """Makes the batch of each run, by its place; what runs have in common is done once.

    Args:
        images: The images.
        runs: What each run wants, by its place.
        preprocess: Callback, given image files, different policies, and the boxes that are wanted,
            if any are; returns what each policy makes of them.
    """
    started = time.perf_counter()
    wanted = list(dict.fromkeys(runs[run].policy for run in images.batches))
    boxes = wanted_boxes(images.first, wanted[0])
    made = dict(zip(wanted, preprocess(images.first.encoded, wanted, boxes), strict=True))
    seconds = (time.perf_counter() - started) / len(images.batches)
    return {
        run: to_pixel_batch(batch, made[runs[run].policy], seconds, runs[run].measured_by)
        for run, batch in images.batches.items()
    }


class _PreprocessShared(DecodeAhead[SharedImages, dict[int, PixelBatch]]):
    def __init__(
        self,
        runs: Sequence[RunPixels],
        groups: Sequence[Sequence[int]],
        num_model_threads: int | None,
        handlers: Sequence[Handler],
    ) -> None:
        super().__init__(handlers)
        self._groups = groups
        self._runs = runs
        self._num_model_threads = num_model_threads
        self._careful = {run.policy: CarefulPreprocessor(run.policy) for run in runs}
        self._begun_again: dict[int, bool] = {}
        self._shared = Shared()
        self._preprocessor: SharedPreprocessor | None = None

    def prepare(self, images: SharedImages) -> Callable[[], dict[int, PixelBatch]]:
        if self._preprocessor is None:
            self._preprocessor = self._shared.acquire(self._make_preprocessor)
        for run, batch in images.batches.items():
            if batch.index == 0:
                self._begun_again[run] = is_begun_again(self._runs[run].staging, batch)
                TALLY.count(SHARDS_RETRIED, self._begun_again[run])
        TALLY.count(BYTES_READ, sum(distinct_sizes(images.first.encoded)))
        is_careful = any(self._begun_again[run] for run in images.batches)
        preprocess = self._preprocess_carefully if is_careful else self._preprocessor
        return functools.partial(preprocess_shared, images, self._runs, preprocess)

    def size_bytes(self, images: SharedImages) -> int:
        policies = {self._runs[run].policy for run in images.batches}
        return len(images.first.encoded) * sum(map(pixel_bytes, policies))

    def models_of(self, images: SharedImages) -> list[int]:
        working = {run for run, batch in images.batches.items() if batch.encoded}
        return [place for place, runs in enumerate(self._groups) if not working.isdisjoint(runs)]

    def hand_on(self, decoded: dict[int, PixelBatch]) -> Iterator[Any]:
        for group, runs in enumerate(self._groups):
            batches = {run: decoded[run] for run in runs if run in decoded}
            if len(runs) == 1:
                yield from (TaggedOutput(_output_of(group), batch) for batch in batches.values())
            elif batches:
                yield TaggedOutput(_output_of(group), SharedPixels(batches))

    def _preprocess_carefully(
        self,
        encoded: Sequence[bytes],
        policies: Sequence[Preprocessing],
        boxes: Sequence[ImageBox | None] | None,
    ) -> "list[Preprocessed]":
        return [self._careful[policy](encoded, boxes) for policy in policies]

    def _make_preprocessor(self) -> "SharedPreprocessor":
        start_tensorflow(self._num_model_threads)
        from transforms.images.shared_preprocessor import SharedPreprocessor

        return SharedPreprocessor(list(dict.fromkeys(run.policy for run in self._runs)))


def _output_of(group: int) -> str:
    return f"model_{group}"


@beam.typehints.with_input_types(SharedImages)
@dataclasses.dataclass(eq=False)
class PreprocessShared(
    beam.PTransform[
        PCollection[SharedImages], tuple[PCollection[PixelBatch] | PCollection[SharedPixels], ...]
    ]
):
    """Turns images into the pixels of each run, one element ahead of the models.

    Attributes:
        runs: Policies and staging directories of the runs, in order.
        groups: Places of the runs that share a model, and with it the policy, by model.
        num_model_threads: Number of TensorFlow's threads, or None for one a core.
        handlers: Handlers of the models that take the pixels, to be loaded meanwhile.
    """

    runs: Sequence[RunPixels]
    groups: Sequence[Sequence[int]]
    num_model_threads: int | None = None
    handlers: Sequence[Handler] = ()

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(
        self, images: PCollection[SharedImages]
    ) -> tuple[PCollection[PixelBatch] | PCollection[SharedPixels], ...]:
        """Returns the batches for each model: of one run, or of several together."""
        names = [_output_of(group) for group in range(len(self.groups))]
        made = images | "PreprocessBatch" >> beam.ParDo(
            _PreprocessShared(self.runs, self.groups, self.num_model_threads, self.handlers)
        ).with_outputs(*names)
        for name, runs in zip(names, self.groups, strict=True):
            made[name].element_type = PixelBatch if len(runs) == 1 else SharedPixels
        return tuple(made[name] for name in names)
