"""The objects that reading is measured with: bytes that are no matter, and small photos."""

import os
import pathlib
import random

import numpy as np

from scripts.benchmarks.photos import SEED, PhotoSize, write_photo

OBJECTS = 6000
OBJECT_BYTES = 20_000
BYTES, PHOTOS = "bytes", "photos"
"""Buckets: objects of OBJECT_BYTES each, and photos of about as many."""

_DISTINCT = 50
_PHOTO = PhotoSize(width=246, height=184, octaves=6, grain=14.0, quality=86, distinct=_DISTINCT)


def uri_of(bucket: str, number: int) -> str:
    """Returns the URI of an object."""
    return f"gs://{bucket}/{number:06d}.jpg"


def make_objects(data: pathlib.Path) -> list[pathlib.Path]:
    """Writes the objects, most of them links; returns the directory of each bucket."""
    drawn = np.random.default_rng(SEED)
    buckets = [data / BYTES, data / PHOTOS]
    for bucket in buckets:
        bucket.mkdir()
        for number in range(OBJECTS):
            path = bucket / f"{number:06d}.jpg"
            if number >= _DISTINCT:
                os.link(bucket / f"{number % _DISTINCT:06d}.jpg", path)
            elif bucket.name == BYTES:
                path.write_bytes(random.Random(number).randbytes(OBJECT_BYTES))
            else:
                write_photo(drawn, _PHOTO, path)
    return buckets
