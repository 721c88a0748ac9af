"""A few images of published runs: read and decoded again, beside the vectors they were given."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.results import ShardResult
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.training.images_again import read_again

IMAGES_OF_A_SHARD = 4
MAX_IMAGES = 32


class StoredImages(NamedTuple):
    """Images that are still what they were.

    Attributes:
        pixels: [images, height, width, 3], as the policy says.
        vectors: float32 [images, dim], as stored.
    """

    pixels: npt.NDArray[np.generic]
    vectors: npt.NDArray[np.float32]


def read_stored_images(runs: EmbeddingRuns, policy: Preprocessing) -> StoredImages:
    """Reads the first images of some shards again.

    Images that are gone or have changed are left out; there may be none.

    Args:
        runs: Runs that hold the vectors.
        policy: Policy by which the images become pixels.

    Raises:
        InputError: If a data file is damaged.
        OSError: If the storage fails.
    """
    preprocessor = Preprocessor(policy)
    pairs = itertools.chain.from_iterable(
        _pairs(runs, shard, run.record["config"], preprocessor, policy)
        for run in runs.runs
        for shard in run.results
    )
    found = list(itertools.islice(pairs, MAX_IMAGES))
    if not found:
        shape = (0, *policy.image_size, 3)
        return StoredImages(np.empty(shape, policy.dtype), np.empty((0, 0), np.float32))
    pixels, vectors = zip(*found, strict=True)
    return StoredImages(np.stack(pixels), np.stack(vectors))


def _pairs(
    runs: EmbeddingRuns,
    shard: ShardResult,
    config: dict[str, str],
    preprocessor: Preprocessor,
    policy: Preprocessing,
) -> Iterator[tuple[npt.NDArray[np.generic], npt.NDArray[np.float32]]]:
    """Yields pixels and vector of a few images of a shard."""
    keys, refs, boxes, vectors = runs.first_rows(shard, IMAGES_OF_A_SHARD)
    rows = dict(zip(keys, vectors, strict=True))
    batches = read_again(
        shard,
        refs,
        boxes,
        config,
        batch_size=IMAGES_OF_A_SHARD,
        max_image_bytes=policy.max_image_bytes,
    )
    looked_at = 0
    with contextlib.closing(batches):
        for batch in batches:
            decoded = preprocessor(batch.encoded, batch.boxes)
            good = [key for row, key in enumerate(batch.keys) if row not in decoded.errors]
            for key, pixels in zip(good, decoded.pixels, strict=True):
                if key in rows:
                    yield pixels, rows[key]
            looked_at += len(batch.keys)
            if looked_at >= IMAGES_OF_A_SHARD:
                return
