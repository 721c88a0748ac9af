"""Reading and decoding alone: files in, the pixels of batches out and thrown away."""

import functools
import pathlib
from concurrent.futures import ThreadPoolExecutor

from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

BATCH_SIZE = 32
SIDE = 224


@functools.cache
def make_preprocessor() -> Preprocessor:
    """Makes the pipeline's own, with its default policy."""
    return Preprocessor(Preprocessing(image_size=(SIDE, SIDE)))


def run(photos: pathlib.Path, model_dir: pathlib.Path, threads: int) -> None:
    """Reads and decodes photos, in batches of 32 files; needs no model."""
    preprocessor = make_preprocessor()
    paths = sorted(photos.iterdir())

    def decode(start: int) -> None:
        encoded = []
        for path in paths[start : start + BATCH_SIZE]:
            with open(path, "rb") as file:
                encoded.append(file.read())
        if errors := preprocessor(encoded).errors:
            raise SystemExit(f"photos that cannot be decoded: {errors}")

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(decode, range(0, len(paths), BATCH_SIZE)):
            pass
