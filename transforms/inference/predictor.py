"""Predictor: a loaded model, and the way to it from images as they are given."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.batches import EncodedImages, OutputRows, PixelBatch, Predictions
from transforms.errors import ImageError
from transforms.failure import Step
from transforms.files.file_uris import path_of_uri
from transforms.files.uris import is_local
from transforms.images.preprocessor import Preprocessor
from transforms.inference.settled_model import SettledModel
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.part import PartBuilder, ReadPart, check_size
from transforms.models.image_model import ImageModel
from transforms.records import ImageRef, ShardKey
from transforms.steps.preprocess_images import preprocess_batch
from transforms.steps.saved_model_handler import predict_batch
from transforms.steps.tally import BYTES_READ, TALLY

Image = bytes | str | ImageError
"""Encoded image, its URI, or what keeps it from being either."""

Tabulate = Callable[[Predictions, ImageModel], OutputRows]

_NO_COLUMNS = pa.schema([])
_NO_SHARD = ShardKey(0, 1)

_logger = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """Images that are read and decoded.

    Attributes:
        images: Number of images that were given.
        bytes_read: Size of the encoded images, in bytes.
        batches: Pixels: a batch of what was given as bytes, and those of what was read.
    """

    images: int
    bytes_read: int
    batches: Sequence[PixelBatch]


class Predictor:
    """Reads, decodes and predicts; safe to call from several threads."""

    def __init__(self, settled: SettledModel) -> None:
        """Loads the model.

        Raises:
            ModelError: If it cannot be loaded, or is not the one that was settled.
        """
        self._max_image_bytes = settled.policy.max_image_bytes
        self._model = settled.handler.load()
        self._preprocessor = Preprocessor(settled.policy)
        columns = FileColumns(None, None, _NO_COLUMNS)
        self._files = ImageFiles(columns, self._max_image_bytes)
        self._told = {""}

    def prepare(self, images: Sequence[Image]) -> Prepared:
        """Reads and decodes a batch; the image_id of each is its place, from "0".

        What is to be read is read in parts of BATCH_BYTES, each decoded before the next.
        """
        bytes_read, batches = 0, []
        for encoded in self._read(images):
            bytes_read += sum(map(len, encoded.encoded))
            batches.append(preprocess_batch(encoded, self._preprocessor))
        return Prepared(len(images), bytes_read, batches)

    def infer(self, prepared: Prepared, tabulate: Tabulate) -> Iterator[OutputRows]:
        """Runs the model, and counts; the rows and failures together are the images.

        Ask in the thread of the runner: Beam's metrics belong to its step.

        Args:
            prepared: The images.
            tabulate: Callback from predictions to output rows.
        """
        TALLY.add(total=prepared.images)
        TALLY.count(BYTES_READ, prepared.bytes_read)
        for pixels in prepared.batches:
            rows = tabulate(predict_batch(pixels, self._model), self._model)
            TALLY.add_seconds(rows.seconds)
            TALLY.add_batch(rows)
            self._tell({*rows.warnings, rows.range_doubt})
            yield rows

    def _tell(self, warnings: set[str]) -> None:
        """Logs what has not been told in this process."""
        for warning in warnings - self._told:
            self._told.add(warning)
            _logger.warning("%s", warning)

    def _read(self, images: Sequence[Image]) -> Iterator[EncodedImages]:
        """Yields what is given as bytes, then parts of what is to be read, if any."""
        started = time.perf_counter()
        given = PartBuilder()
        refs = []
        for place, image in enumerate(images):
            try:
                if isinstance(image, ImageError):
                    raise image
                if isinstance(image, str):
                    refs.append(ImageRef(str(place), image, _size_on_disk(image)))
                else:
                    check_size(len(image), self._max_image_bytes)
                    given.add(place, str(place), "", image)
            except ImageError as error:
                given.fail(str(place), "", error)
        if len(refs) < len(images):
            yield _to_batch(given.finish(_NO_COLUMNS.empty_table()), started)
        started = time.perf_counter()
        for part in self._files.read_batches(refs, len(refs)):
            yield _to_batch(part, started)
            started = time.perf_counter()


def _size_on_disk(uri: str) -> int | None:
    """Returns a local file's size, if it has one; that of one in a store would cost a request."""
    path = path_of_uri(uri)
    with contextlib.suppress(OSError, ValueError):
        return os.stat(path).st_size if is_local(path) else None
    return None


def _to_batch(part: ReadPart, started: float) -> EncodedImages:
    return EncodedImages(
        shard=_NO_SHARD,
        index=0,
        is_last=False,
        matched=part.matched,
        rows=part.rows,
        failures=part.failures,
        encoded=part.encoded,
        seconds={Step.READ: time.perf_counter() - started},
    )
