import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from transforms.training.encoded_file import EncodedFile


def test_images_come_back_by_their_place_also_to_several_threads(tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    images = [random.bytes(size) for size in (3, 0, 70_000, 1)] * 20
    with EncodedFile(str(tmp_path)) as file, ThreadPoolExecutor(4) as threads:
        assert [file.append(image) for image in images] == list(range(len(images)))
        assert list(tmp_path.iterdir()) == []  # It has no name, whatever happens to the process.
        order = random.permutation(len(images)).tolist() * 5
        assert list(threads.map(file.read, order)) == [images[place] for place in order]
        assert (len(file), file.size_bytes) == (len(images), sum(map(len, images)))


def test_a_place_that_holds_nothing_is_an_error(tmp_path: pathlib.Path) -> None:
    with EncodedFile(str(tmp_path)) as file:
        file.append(b"one")
        with pytest.raises(IndexError):
            file.read(1)
