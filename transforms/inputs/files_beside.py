"""Image files that a table names by their paths, read from below the table's own directory.

Of /data/train/0.parquet, a.jpg is /data/train/a.jpg and images/b.jpg is /data/train/images/b.jpg.
Whoever wrote the table may be a stranger: ../other/c.jpg, /etc/d.jpg and s3://bucket/e.jpg are not
read.
"""

import functools
import os
from collections.abc import Iterator, Sequence

from transforms.errors import CorruptRecordError, ImageError
from transforms.files.flight import FLIGHT
from transforms.files.pace import Pace
from transforms.files.read_ahead import Read
from transforms.files.uris import is_local, open_uri, read_remote, read_within

_PACE = Pace()


def read_beside(
    table: str, paths: Sequence[str], max_image_bytes: int
) -> Iterator[bytes | ImageError]:
    """Reads image files, in order; remote ones many at a time.

    Args:
        table: URI of the file that names them.
        paths: Paths as it has them.
        max_image_bytes: Largest encoded image that is read, in bytes.

    Yields:
        Each file's content, or why there is none.

    Raises:
        OSError: If a local disk fails; trying again may help.
    """
    places = [_place(table, path) for path in paths]
    if is_local(table):
        for place in places:
            yield place if isinstance(place, ImageError) else _read(place, max_image_bytes)
        return
    remote = [place for place in places if isinstance(place, str)]
    reads = (Read(functools.partial(read_remote, uri, max_image_bytes), None) for uri in remote)
    ahead = FLIGHT.read_ahead(reads, _PACE)
    try:
        for place in places:
            yield place if isinstance(place, ImageError) else next(ahead)
    finally:
        ahead.close()


def _place(table: str, path: str) -> str | ImageError:
    """Returns where a file is, if it is below the directory of the table."""
    folder = table.rpartition("/")[0]
    if is_local(path) and not os.path.isabs(path):
        path = f"{folder}/{path}"
    is_below = path.startswith(f"{folder}/") and ".." not in path.split("/") and "\0" not in path
    if is_below and is_local(table):
        # A link to a directory leads anywhere.
        real = os.path.realpath(os.path.dirname(path))
        is_below = f"{real}/".startswith(os.path.realpath(folder).rstrip("/") + "/")
    if is_below:
        return path
    return CorruptRecordError(
        f"it holds no bytes, and its path {path!r:.200} is not below {folder}; put the images "
        "there, give the paths as --manifest, or embed the files as you write the table"
    )


def _read(path: str, max_image_bytes: int) -> bytes | ImageError:
    try:
        with open_uri(path) as handle:
            return read_within(handle, max_image_bytes)
    except ImageError as error:
        return error
