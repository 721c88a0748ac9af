import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.heads import labels_from
from tests.support.images import encode, photo
from transforms.errors import InputError
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.training.encoded_file import EncodedFile
from transforms.training.images import ImageBatch, LabelledImages

POLICY = Preprocessing(image_size=(20, 24), resize_mode="crop")
FORMATS = ("JPEG", "PNG", "TIFF", "BMP")  # Pillow decodes TIFF.
PHOTOS = [encode(photo(40 + n, 50, n), FORMATS[n % 4]) for n in range(22)]
CLASSES = np.arange(22) % 3


@pytest.fixture
def images(tmp_path: pathlib.Path) -> Iterator[LabelledImages]:
    """The photos, in a file that holds another one, too."""
    with EncodedFile(str(tmp_path)) as file:
        file.append(b"not used")
        places = np.array([file.append(encoded) for encoded in PHOTOS])
        yield LabelledImages(file, places, labels_from(CLASSES), Preprocessor(POLICY))


def gather(
    batches: Iterable[ImageBatch],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[int]]:
    """Returns all pixels, classes and the sizes of the batches."""
    found = [(batch.images.numpy(), batch.targets.numpy()) for batch in batches]
    pixels, targets = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return pixels, targets.argmax(axis=1), [len(part) for part, _ in found]


def test_images_in_order_are_the_runs_pixels_to_the_bit(images: LabelledImages) -> None:
    pixels, classes, sizes = gather(images.batches(8))
    np.testing.assert_array_equal(pixels, Preprocessor(POLICY)(PHOTOS).pixels)
    np.testing.assert_array_equal(classes, CLASSES)
    assert sizes == [8, 8, 6]


def test_shuffled_images_keep_their_classes_and_a_rest_waits(images: LabelledImages) -> None:
    originals = Preprocessor(POLICY)(PHOTOS).pixels
    random = np.random.default_rng(0)
    orders = []
    for _ in range(2):
        pixels, classes, sizes = gather(images.shuffled(8, "none", random))
        assert sizes == [8, 8]
        order = [int(np.flatnonzero((originals == one).all(axis=(1, 2, 3)))[0]) for one in pixels]
        assert len(set(order)) == 16
        np.testing.assert_array_equal(classes, CLASSES[order])
        orders.append(order)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("augmentation", ["flip_and_crop", "crop"])
def test_the_same_seed_gives_the_same_images_and_they_are_changed(
    images: LabelledImages, augmentation: str
) -> None:
    first, again, plain = (
        gather(images.shuffled(11, kind, np.random.default_rng(3)))
        for kind in (augmentation, augmentation, "none")
    )
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], plain[1])
    assert (np.abs(first[0] - plain[0]).mean(axis=(1, 2, 3)) > 1e-3).all()
    assert first[0].min() >= 0
    assert first[0].max() <= 1


def test_an_image_that_cannot_be_decoded_any_more_is_named_an_input_error(
    tmp_path: pathlib.Path,
) -> None:
    with EncodedFile(str(tmp_path)) as file:
        places = np.array([file.append(encoded) for encoded in (PHOTOS[0], PHOTOS[1][:80])])
        images = LabelledImages(file, places, labels_from(np.arange(2)), Preprocessor(POLICY))
        with pytest.raises(InputError, match=r"cannot be decoded any more: .*; embed again"):
            list(images.batches(2))
