"""Images and their classes as a tf.data pipeline: what is trained on, and what validates."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from transforms.boxes import ImageBox, boxes_of
from transforms.errors import ImageError, InputError, OutputError, brief
from transforms.images.preprocessor import Preprocessor
from transforms.records import ImageRef
from transforms.results import ShardResult
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.record import PublishedRun
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI
from transforms.training.augmentation import cut_out, draw_boxes
from transforms.training.class_labels import ClassLabels
from transforms.training.encoded_file import EncodedFile
from transforms.training.images_again import read_again
from transforms.training.vector_file import shuffle_rows

MAX_LOST_FRACTION = 0.1
"""Share of the labelled images; with more of them gone or changed the vectors are of other data."""

READ_BATCH = 32
_BATCHES_AHEAD = 2
"""Batches that are decoded while another is used. Each is decoded on all cores."""


class ImageBatch(NamedTuple):
    """A batch of images and the classes of each.

    Attributes:
        images: float32 [batch, height, width, 3], of the policy's range.
        targets: float32 [batch, classes], 1 where the image is of the class.
    """

    images: tf.Tensor
    targets: tf.Tensor


class LabelledImages:
    """Encoded images and the classes of each, decoded anew in every pass.

    Attributes:
        labels: The classes.
        rows: Number of images.
        image_size: (height, width) in pixels.
    """

    def __init__(
        self,
        file: EncodedFile,
        places: npt.NDArray[np.int64],
        labels: ClassLabels,
        preprocessor: Preprocessor,
        boxes: Sequence[ImageBox | None] | None = None,
    ) -> None:
        """Decodes nothing yet.

        Args:
            file: File that holds the images.
            places: int64 [rows], place of each in the file.
            labels: Classes of the images, one row an image.
            preprocessor: Decoder of them, to float32.
            boxes: The box of each; None, of one or all, stands for the whole image.
        """
        self._file = file
        self._places = places
        self._boxes = boxes
        self._preprocess = preprocessor
        self._error: Exception | None = None
        self.labels = labels
        self.rows = len(places)
        self.image_size = preprocessor.policy.image_size

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """Yields all images in order, as they are."""
        rows = tf.data.Dataset.from_tensor_slices(np.arange(self.rows))
        return self._run(rows.batch(size).map(self._decode, _BATCHES_AHEAD, deterministic=True))

    def shuffled(
        self, size: int, augmentation: str, random: np.random.Generator
    ) -> Iterator[ImageBatch]:
        """Yields images in random order and randomly changed, in batches of one size.

        What is left after the last whole batch waits for another pass: batch normalisation knows
        little of two or three images.

        Args:
            size: Images a batch; at most `rows`.
            augmentation: "flip_and_crop", "crop" or "none".
            random: The source of chance.

        Raises:
            InputError: If an image cannot be decoded any more.
        """
        order = shuffle_rows(self.rows, random)
        if augmentation == "none":
            dataset = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=True)
            return self._run(dataset.map(self._decode, _BATCHES_AHEAD, deterministic=True))

        def change(rows: tf.Tensor, boxes: tf.Tensor) -> ImageBatch:
            batch = self._decode(rows)
            return ImageBatch(cut_out(batch.images, boxes), batch.targets)

        boxes = draw_boxes(self.rows, augmentation, random)
        dataset = tf.data.Dataset.from_tensor_slices((order, boxes)).batch(
            size, drop_remainder=True
        )
        return self._run(dataset.map(change, _BATCHES_AHEAD, deterministic=True))

    def _decode(self, rows: tf.Tensor) -> ImageBatch:
        images, targets = tf.numpy_function(self._load, [rows], [tf.float32, tf.float32])
        images = tf.ensure_shape(images, [None, *self.image_size, 3])
        return ImageBatch(images, tf.ensure_shape(targets, [None, len(self.labels.names)]))

    def _load(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        try:
            decoded = self._preprocess(
                [self._file.read(place) for place in self._places[rows]],
                self._boxes and [self._boxes[row] for row in rows],
            )
            for error in decoded.errors.values():
                raise error
        except Exception as error:
            self._error = error  # TensorFlow makes another one of it, which holds only its text.
            raise
        return decoded.pixels, self.labels.targets(rows)

    def _run(self, dataset: tf.data.Dataset) -> Iterator[ImageBatch]:
        options = tf.data.Options()
        # Decoding waits for TensorFlow's own threads; on one of those it could wait forever.
        options.threading.private_threadpool_size = _BATCHES_AHEAD + 1
        # Nothing here is tuned, and TensorFlow's thread that tunes may sleep through the end of
        # a pass: it looks 0.01, 0.03, ... 10.2, 20.5, 41 s after the start, and the pass waits.
        options.autotune.enabled = False
        try:
            yield from dataset.prefetch(_BATCHES_AHEAD).with_options(options)
        except tf.errors.OpError as error:
            if isinstance(self._error, ImageError):
                raise InputError(
                    f"an image cannot be decoded any more: {self._error}; embed again"
                ) from error
            raise self._error or error from None


class TrainingImages(NamedTuple):
    """What a model is fine-tuned on.

    Attributes:
        training: Images to fit.
        validation: Images that say when to stop, and how good it is.
        lost: image_ids of labelled images that are gone or have changed since they were embedded.
        size_bytes: Size of the encoded images together, in bytes.
    """

    training: LabelledImages
    validation: LabelledImages
    lost: tuple[str, ...]
    size_bytes: int


def gather_images(
    runs: EmbeddingRuns,
    labels: ClassLabels,
    is_validation: npt.NDArray[np.bool_],
    preprocessor: Preprocessor,
    file: EncodedFile,
    on_images: Callable[[int], None],
) -> TrainingImages:
    """Reads every labelled image once, wherever it is, into one file.

    Args:
        runs: Runs whose rows name the images.
        labels: Classes of the images, one row an image.
        is_validation: bool [rows].
        preprocessor: Decoder of them, to float32.
        file: File that they go to, on a disk with room for them.
        on_images: Callback, told how many images more have been gone through.

    Raises:
        InputError: If too many are gone or have changed, or the storage fails.
        OutputError: If the disk has no room.
    """
    table = runs.read_columns([IMAGE_ID, URI, CONTENT_SHA256, *runs.box_names])
    boxes = boxes_of(table)
    places = np.full(table.num_rows, -1)
    start = 0
    for run in runs.runs:
        for shard in run.results:
            rows = start + np.flatnonzero(labels.is_labelled[start : start + shard.rows])
            ids, uris, hashes = (column.to_pylist() for column in table.take(rows).columns[:3])
            row_of = dict(zip(zip(ids, hashes, strict=True), rows.tolist(), strict=True))
            refs, own = list(map(ImageRef, ids, uris)), [boxes[row] for row in rows]
            last = None
            for key, encoded in _read(run, shard, refs, own, preprocessor):
                if key in row_of:
                    # Boxes of one image share its place.
                    place = len(file) - 1 if encoded is last else _append(file, encoded)
                    places[row_of[key]], last = place, encoded
            on_images(shard.rows)
            start += shard.rows
    kept = places >= 0
    lost = table[IMAGE_ID].filter(pa.array(labels.is_labelled & ~kept)).to_pylist()
    wanted = int(labels.is_labelled.sum())
    if len(lost) > MAX_LOST_FRACTION * wanted:
        raise InputError(
            f"{len(lost):,} of {wanted:,} images are gone or have changed since they were "
            f"embedded, such as {lost[0]}; more than {MAX_LOST_FRACTION:.0%} is too many: embed "
            "again"
        )
    training, validation = (
        LabelledImages(
            file,
            places[rows],
            labels.select(rows),
            preprocessor,
            [boxes[row] for row in np.flatnonzero(rows)],
        )
        for rows in (kept & ~is_validation, kept & is_validation)
    )
    return TrainingImages(training, validation, tuple(lost), file.size_bytes)


def _read(
    run: PublishedRun,
    shard: ShardResult,
    refs: Sequence[ImageRef],
    boxes: Sequence[ImageBox | None],
    preprocessor: Preprocessor,
) -> Iterator[tuple[tuple[str, str], bytes]]:
    """Yields key and bytes of the images of a shard that are there."""
    if not refs:
        return
    limit = preprocessor.policy.max_image_bytes
    config = run.record["config"]
    batches = read_again(shard, refs, boxes, config, batch_size=READ_BATCH, max_image_bytes=limit)
    try:
        for batch in batches:
            yield from zip(batch.keys, batch.encoded, strict=True)
    except OSError as error:
        raise InputError(f"the images of {run.directory} cannot be read: {brief(error)}") from error


def _append(file: EncodedFile, encoded: bytes) -> int:
    try:
        return file.append(encoded)
    except OSError as error:
        raise OutputError(
            f"no room for the images, {file.size_bytes / 1e9:.1f} GB so far, beside the output: "
            f"{brief(error)}"
        ) from error
