"""The objects that reading is measured with: as many bytes as a small photo, which is no matter."""

import os
import pathlib
import random

OBJECTS = 6000
OBJECT_BYTES = 20_000
BUCKET = "photos"

_DISTINCT = 50


def uri_of(number: int) -> str:
    """Returns the URI of an object."""
    return f"gs://{BUCKET}/{number:06d}.jpg"


def make_objects(data: pathlib.Path) -> pathlib.Path:
    """Writes the objects, most of them links; returns their directory."""
    bucket = data / BUCKET
    bucket.mkdir()
    for number in range(OBJECTS):
        path = bucket / f"{number:06d}.jpg"
        if number < _DISTINCT:
            path.write_bytes(random.Random(number).randbytes(OBJECT_BYTES))
        else:
            os.link(bucket / f"{number % _DISTINCT:06d}.jpg", path)
    return bucket
