"""Decodes JPEG files side by side, into one piece of memory that TensorFlow reads in place."""

import concurrent.futures
import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.boxes import same_runs
from transforms.errors import CorruptImageError, ImageError
from transforms.images.color_profile import is_of_inks
from transforms.images.header import ImageHeader
from transforms.images.isolated_decoder import to_srgb_apart
from transforms.images.jpeg_decoder import decode_jpeg
from transforms.images.pixel_graphs import PixelGraphs, PlacementRow
from transforms.images.placement import Placement
from transforms.images.read_image import ReadImage
from transforms.images.tensor_view import view
from transforms.machine.cores import usable_cores

_CORES = usable_cores()
_ALIGNMENT = 64
"""Bytes; TensorFlow reads in place what starts at a multiple, and copies what does not."""
_PIECE_BYTES = 64_000_000
"""Memory of a piece that holds more than an image a core."""
_KEPT_BYTES = 80_000_000 * _CORES
"""Memory kept from piece to piece: a photo of 26 megapixels a core. To get it anew and give it back
takes a tenth of decoding a large photo, and more where cores do it side by side."""


class JpegBatch(NamedTuple):
    """What became of a batch of JPEG files.

    Attributes:
        parts: Of each way to finish, places in the batch, and their pixels [places, height, width,
            3]; read only.
        errors: Errors of the files that are damaged, by place.
    """

    parts: list[list[tuple[list[int], npt.NDArray[Any]]]]
    errors: dict[int, ImageError]


class Finish(NamedTuple):
    """A way from decoded pixels to those that a model takes.

    Attributes:
        graphs: Graphs of the policy.
        placements: Places of the images' pixels, one an image of the batch.
    """

    graphs: PixelGraphs
    placements: Sequence[Placement]


class JpegBatches:
    """Decodes batches of JPEG files on a thread a core. Threads may call it at the same time."""

    def __init__(self) -> None:
        """Makes the threads."""
        self._threads = concurrent.futures.ThreadPoolExecutor(_CORES, "jpeg")
        # One piece at a time has all cores, so that callers do not multiply the decoded images.
        self._turn = threading.Lock()
        self._kept: npt.NDArray[np.uint8] | None = None

    def __call__(
        self, images: Sequence[ReadImage], finishes: Sequence[Finish], max_image_seconds: float
    ) -> JpegBatch:
        """Decodes a batch, and finishes it in one or more ways; a bad image costs only itself.

        Args:
            images: The files; their placements say how small they are decoded.
            finishes: Ways to finish, of placements with the same ratios.
            max_image_seconds: Seconds that turning an image's colours into sRGB may take.
        """
        batch = JpegBatch([[] for _ in finishes], {})
        for files in _pieces(images):
            with self._turn:
                self._run(images, files, finishes, max_image_seconds, batch)
        return batch

    def _run(
        self,
        images: Sequence[ReadImage],
        files: list[range],
        finishes: Sequence[Finish],
        max_image_seconds: float,
        batch: JpegBatch,
    ) -> None:
        """Decodes the files of a piece and adds what became of their images, one or several parts.

        Three images of 2 x 2, 1 x 1 and 5 x 5 pixels, the second damaged:

            memory      12 bytes, 52 unused; 3 bytes, 61 unused; 75 bytes, 53 unused
            starts      0  128
            sizes       2 x 2  5 x 5
        """
        rooms = [_room(images[places[0]].header) for places in files]
        starts = [0, *itertools.accumulate(rooms)]
        # Put back only at the end: after an exception threads may be writing still.
        memory, self._kept = self._kept, None
        if memory is None or memory.size < starts[-1]:
            memory = _aligned(starts[-1])

        def decode(number: int) -> tuple[int, int] | ImageError | None:
            encoded, header, placement, _, profile = images[files[number][0]]
            size = header.height, header.width
            room = memory[starts[number] : starts[number + 1]]
            try:
                decoded = decode_jpeg(encoded, size, placement.ratio, room)
                if decoded is not None and profile is not None:
                    if is_of_inks(profile):
                        return None  # It is whole, and Pillow gives its inks.
                    _turn_into_srgb(room, decoded, profile, max_image_seconds)
            except ImageError as error:
                return error
            if decoded not in (None, placement.decoded_size(*size)):
                return CorruptImageError(f"the JPEG data decode to {decoded} pixels")
            return decoded

        results = list(self._threads.map(decode, range(len(files))))
        good: list[tuple[int, int]] = []
        for number, (places, result) in enumerate(zip(files, results, strict=True)):
            if isinstance(result, ImageError):
                batch.errors.update(dict.fromkeys(places, result))
            elif result is not None:  # Else another library is to decode it.
                good.extend((number, place) for place in places)
        if good:
            decoded = (
                tf.experimental.dlpack.from_dlpack(memory.__dlpack__()),
                tf.constant([starts[number] for number, _ in good], tf.int64),
                tf.constant([results[number] for number, _ in good], tf.int32),
            )
            good_places = [place for _, place in good]
            for (graphs, placements), parts in zip(finishes, batch.parts, strict=True):
                rows = [PlacementRow.of(placements[place]) for place in good_places]
                pixels = graphs.finish_together(*decoded, tf.constant(rows, tf.int32))
                parts.append((good_places, view(pixels)))
        if memory.size <= _KEPT_BYTES:
            self._kept = memory


def _turn_into_srgb(
    room: npt.NDArray[np.uint8], size: tuple[int, int], profile: bytes, max_seconds: float
) -> None:
    height, width = size
    pixels = room[: height * width * 3].reshape(height, width, 3)
    pixels[:] = to_srgb_apart(pixels, profile, max_seconds)


def _pieces(images: Sequence[ReadImage]) -> Iterator[list[range]]:
    """Yields the files to decode at a time, as the places of their images.

    One file a core, more if they are small.
    """
    files: list[range] = []
    piece_bytes = 0
    for places in same_runs([image.header for image in images]):
        file_bytes = _room(images[places[0]].header)
        if len(files) >= _CORES and piece_bytes + file_bytes > _PIECE_BYTES:
            yield files
            files, piece_bytes = [], 0
        files.append(places)
        piece_bytes += file_bytes
    if files:
        yield files


def _room(header: ImageHeader) -> int:
    """Returns the bytes of a whole image, rounded up to the alignment."""
    return -(-header.height * header.width * 3 // _ALIGNMENT) * _ALIGNMENT


def _aligned(size: int) -> npt.NDArray[np.uint8]:
    """Returns memory whose first byte is aligned; what is never written, is never there."""
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]
