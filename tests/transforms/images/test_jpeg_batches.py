from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.images import encode, photo
from transforms.images.header import read_header
from transforms.images.jpeg_batches import Finish, JpegBatch, JpegBatches
from transforms.images.pixel_graphs import PixelGraphs
from transforms.images.placement import place
from transforms.images.policy import Preprocessing
from transforms.images.read_image import ReadImage

POLICY = Preprocessing(image_size=(24, 32))


@pytest.fixture(scope="module")
def graphs() -> PixelGraphs:
    return PixelGraphs(POLICY)


def read(file: bytes) -> ReadImage:
    header = read_header(file)
    return ReadImage(file, header, place(header.height, header.width, 1, POLICY))


def decode(batches: JpegBatches, graphs: PixelGraphs, images: list[ReadImage]) -> JpegBatch:
    finish = Finish(graphs, [image.placement for image in images])
    return batches(images, [finish], POLICY.max_image_seconds)


def pixels_of(batch: JpegBatch) -> npt.NDArray[Any]:
    (parts,) = batch.parts
    return np.concatenate([pixels for _, pixels in parts])


def test_pixels_do_not_depend_on_what_was_decoded_before(graphs: PixelGraphs) -> None:
    small, large = (encode(photo(side, side + 9, side), "JPEG") for side in (40, 160))
    wanted = {
        file: pixels_of(decode(JpegBatches(), graphs, [read(file)])) for file in (small, large)
    }
    batches = JpegBatches()
    # Memory that is too small, that is larger than is needed, and that holds half a picture.
    for files in ([small], [large], [small], [large[:-900]], [small, large]):
        images = [read(file) for file in files]
        batch = decode(batches, graphs, images)
        if files[0] in wanted:
            found = pixels_of(batch)
            np.testing.assert_array_equal(found, np.concatenate([wanted[file] for file in files]))
        else:
            assert list(batch.errors) == [0]


def test_pixels_are_not_overwritten_by_the_next_batch(graphs: PixelGraphs) -> None:
    batches = JpegBatches()
    first, second = (read(encode(photo(40, 50, seed), "JPEG")) for seed in (1, 2))
    (((_, pixels),),) = decode(batches, graphs, [first]).parts
    wanted = pixels.copy()
    assert not np.array_equal(pixels_of(decode(batches, graphs, [second])), wanted)
    np.testing.assert_array_equal(pixels, wanted)


def test_memory_that_threads_may_still_write_to_is_let_go(graphs: PixelGraphs) -> None:
    batches = JpegBatches()
    good, bad = (read(encode(photo(40, 50, seed), "JPEG")) for seed in (1, 2))
    bad = bad._replace(encoded=None)  # type: ignore[arg-type]
    decode(batches, graphs, [good])
    assert batches._kept is not None
    with pytest.raises(TypeError):
        decode(batches, graphs, [good, bad])
    assert batches._kept is None


def test_memory_of_a_huge_image_is_not_kept(
    graphs: PixelGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.images.jpeg_batches._KEPT_BYTES", 40 * 50 * 3 + 64)
    batches = JpegBatches()
    decode(batches, graphs, [read(encode(photo(40, 50), "JPEG"))])
    assert batches._kept is not None
    decode(batches, graphs, [read(encode(photo(80, 50), "JPEG"))])
    assert batches._kept is None
