"""A batch's worth of input, as every reader hands it over."""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import pyarrow as pa

from transforms.batches import ReusedRows
from transforms.boxes import box_names, boxes_of, content_of_box
from transforms.errors import (
    FileTooLargeError,
    ImageError,
    InterruptedFileError,
    TruncatedFileError,
    UnavailableError,
)
from transforms.failure import Failure, Step
from transforms.files.uris import PART_LOST, REST_LOST
from transforms.records import InputFile
from transforms.schemas import read_schema

BATCH_BYTES = 24 << 20
"""Encoded images that end a batch early. Several batches are in memory for each thread, and what
is larger leaves the processor's cache between being read, hashed and decoded.
"""

_T = TypeVar("_T")


class ReadPart(NamedTuple):
    """Consecutive inputs of one shard, read; rows and failures together are what was given.

    Attributes:
        rows: Columns image_id, uri, content_sha256 (strings), then the carried ones.
        encoded: Bytes of one image file a row; none of one that was not read, since its content is
            known (PartBuilder.add_known).
        failures: Inputs that could not be read.
        reused: Inputs whose rows are known, of a shard that is gathered before it is written.
        without_boxes: URIs of images that have no boxes, where a row is one: no inputs.
    """

    rows: pa.RecordBatch
    encoded: tuple[bytes, ...]
    failures: tuple[Failure, ...]
    reused: ReusedRows | None = None
    without_boxes: tuple[str, ...] = ()

    @property
    def matched(self) -> int:
        """Number of inputs that it accounts for."""
        reused = self.reused.num_rows if self.reused else 0
        return self.rows.num_rows + len(self.failures) + reused


class PartBuilder:
    """Gathers what became of a batch of inputs, in order.

    Of inputs a, b and c, of which b cannot be read: add(0, "a", ...), fail("b", ...),
    add(2, "c", ...), finish(carried columns of a, b and c). The part has rows a and c, with rows 0
    and 2 of the carried columns, and the failure b.
    """

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._image_ids: list[str] = []
        self._uris: list[str] = []
        self._encoded: list[bytes] = []
        self._digests: list[str] = []
        self._known: set[int] = set()
        self._failures: list[Failure] = []

    def add(self, row: int, image_id: str, uri: str, encoded: bytes) -> None:
        """Keeps an image; row is the place of its carried columns among the inputs."""
        if self._encoded and encoded is self._encoded[-1] and len(encoded):
            digest = self._digests[-1]
        else:
            digest = hashlib.sha256(encoded).hexdigest()
        self._add(row, image_id, uri, encoded, digest)

    def add_known(self, row: int, image_id: str, uri: str, content_sha256: str) -> None:
        """Keeps an image that was not read, since its content is known; encoded is empty then."""
        self._known.add(len(self._kept))
        self._add(row, image_id, uri, b"", content_sha256)

    def _add(self, row: int, image_id: str, uri: str, encoded: bytes, digest: str) -> None:
        self._kept.append(row)
        self._image_ids.append(image_id)
        self._uris.append(uri)
        self._encoded.append(encoded)
        self._digests.append(digest)

    def fail(self, image_id: str, uri: str, error: ImageError) -> None:
        """Adds an input that could not be read, as a failure of the part."""
        failure = Failure(image_id, uri, Step.READ, error.error_type, str(error))
        self._failures.append(failure)

    def finish(self, carried: pa.Table) -> ReadPart:
        """Builds the rows; of a box, the content is that of the image and the box.

        Args:
            carried: The carried columns of all inputs, in the run's carried schema.
        """
        kept = carried.take(pa.array(self._kept, pa.int64()))
        digests = self._digests
        if box_names(kept.schema.names):
            digests = [
                digest if place in self._known else content_of_box(digest, box)
                for place, (digest, box) in enumerate(zip(digests, boxes_of(kept), strict=True))
            ]
        arrays = [pa.array(own, pa.string()) for own in (self._image_ids, self._uris, digests)]
        arrays += [column.combine_chunks() for column in kept.columns]
        rows = pa.RecordBatch.from_arrays(arrays, schema=read_schema(carried.schema))
        return ReadPart(rows, tuple(self._encoded), tuple(self._failures))


def take_batch(items: Iterator[_T], batch_size: int, size_bytes: Callable[[_T], int]) -> list[_T]:
    """Takes the next batch_size items, or fewer that have BATCH_BYTES between them."""
    batch: list[_T] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size_bytes(item)
        if is_full(len(batch), total, batch_size):
            break
    return batch


def in_batches(part: ReadPart, batch_size: int) -> Iterator[ReadPart]:
    """Cuts a part of more than batch_size images into parts of as many, or of BATCH_BYTES."""
    start = 0
    failures = part.failures
    while part.rows.num_rows - start > batch_size:
        count = len(take_batch(iter(part.encoded[start:]), batch_size, len))
        encoded = part.encoded[start : start + count]
        yield ReadPart(part.rows.slice(start, count), encoded, failures)
        start, failures = start + count, ()
    yield ReadPart(part.rows.slice(start), part.encoded[start:], failures)


def is_full(images: int, total_bytes: int, batch_size: int) -> bool:
    """Tells whether a batch of so many images takes no more."""
    return images >= batch_size or total_bytes >= BATCH_BYTES


def unreadable_file(uri: str, carried: pa.Schema, error: ImageError) -> ReadPart:
    """Reports a whole file, or the rest of one, as a single failure."""
    if isinstance(error, UnavailableError):
        error = InterruptedFileError(f"{error}; {REST_LOST}")
    part = PartBuilder()
    part.fail(uri, uri, error)
    return part.finish(carried.empty_table())


def told_where(error: ImageError, file: InputFile, images_before: int) -> ImageError:
    """Says of a file's end that came too early how large the file is, and what came before.

    Other errors are returned as they are.

    Args:
        error: What is wrong with an image, or with the rest of the file.
        file: The file.
        images_before: Number of images, good or bad, that were read before.
    """
    if not isinstance(error, TruncatedFileError) or str(error).endswith(PART_LOST):
        return error
    what = str(error).removesuffix(f"; {REST_LOST}")
    return type(error)(
        f"{what}; the file has {file.size_bytes:,} bytes, and {images_before:,} images came "
        f"before; {REST_LOST}"
    )


def check_size(size_bytes: int, max_image_bytes: int) -> None:
    """Checks an encoded image's size.

    Raises:
        FileTooLargeError: If it has more than max_image_bytes.
    """
    if size_bytes > max_image_bytes:
        raise FileTooLargeError(
            f"{size_bytes:,} bytes, more than --max_image_bytes={max_image_bytes}"
        )
