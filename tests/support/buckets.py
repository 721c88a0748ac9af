"""A test's own bucket, in whichever store."""

import pathlib
from typing import Protocol

import pyarrow.parquet as pq

from tests.support.runs import solid


class Place(Protocol):
    """Where runs may be: a bucket, or a directory of this machine."""

    uri: str

    def get(self, name: str) -> bytes:
        """Reads an object."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Names of the objects that start with prefix, in order."""
        ...

    def delete(self, name: str) -> None:
        """Deletes an object."""
        ...


class Bucket(Place, Protocol):
    """What `bucket` in conftest.py gives; `uri` is scheme://name."""

    name: str

    def put(self, name: str, content: bytes = b"123") -> str:
        """Writes an object; returns its URI."""
        ...

    def close(self) -> None:
        """Lets nobody do anything with the bucket."""
        ...

    def be_busy(self, *codes: int) -> None:
        """Refuses the next requests, with these codes."""
        ...

    def lose_answers(self, count: int = 1) -> None:
        """Does what the next writes ask for, and breaks the connection instead of an answer."""
        ...

    @property
    def requests(self) -> list[str]:
        """Requests since the test began, as "GET /…", whoever made them."""
        ...


class Folder:
    """A directory of this machine as a Place; `uri` is its path."""

    def __init__(self, path: pathlib.Path) -> None:
        self.uri = str(path)
        self._path = path

    def get(self, name: str) -> bytes:
        """Reads a file."""
        return (self._path / name).read_bytes()

    def names(self, prefix: str = "") -> list[str]:
        """Paths of the files, below the directory, that start with prefix, in order."""
        paths = [path for path in self._path.rglob("*") if path.is_file()]
        names = (str(path.relative_to(self._path)) for path in paths)
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, name: str) -> None:
        """Deletes a file."""
        (self._path / name).unlink()


def put_photos(bucket: Bucket, count: int) -> list[str]:
    """Writes images of a colour each to photos/; returns their URIs."""
    colours = [solid(n, 2 * n, 255 - n) for n in range(count)]
    return [bucket.put(f"photos/{n:03d}.png", colour) for n, colour in enumerate(colours)]


def ids_in(bucket: Bucket, run: str, tmp_path: pathlib.Path) -> list[str]:
    """Reads the ids of a run of vectors, sorted."""
    ids: list[str] = []
    for name in bucket.names(f"{run}/embeddings-"):
        local = tmp_path / "download.parquet"
        local.write_bytes(bucket.get(name))
        ids += pq.read_table(local)["image_id"].to_pylist()
    return sorted(ids)
