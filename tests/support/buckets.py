"""A test's own bucket, in whichever store."""

from typing import Protocol


class Bucket(Protocol):
    """What `bucket` in conftest.py gives; `uri` is scheme://name."""

    uri: str
    name: str

    def put(self, name: str, content: bytes = b"123") -> str:
        """Writes an object; returns its URI."""
        ...

    def get(self, name: str) -> bytes:
        """Reads an object."""
        ...

    def delete(self, name: str) -> None:
        """Deletes an object."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Names of the objects that start with prefix, in order."""
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
