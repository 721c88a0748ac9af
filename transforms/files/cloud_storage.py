"""Objects on gs://, by Google's client."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import BinaryIO, cast

from google.api_core.exceptions import (
    NotFound,
    PreconditionFailed,
)
from google.cloud.storage import Blob
from google.cloud.storage.fileio import BlobWriter
from google.cloud.storage.retry import DEFAULT_RETRY

from transforms.files import object_store
from transforms.files.cloud_reads import read_object, read_object_range
from transforms.files.google_client import bucket_and_name, client
from transforms.files.google_errors import google_errors
from transforms.files.listing_pages import Page, each_page
from transforms.files.object_store import StoredObject
from transforms.files.object_writer import PART_BYTES, ObjectWriter

_FIELDS = "items(name,size,generation,crc32c,updated),prefixes,nextPageToken"
_CONTENT_TYPE = "application/octet-stream"
_ATTEMPT = "create-attempt"


class GoogleStore:
    """The store of gs://bucket/name; see ObjectStore. A version is generation and crc32c."""

    def bucket_of(self, uri: str) -> str:
        """Returns gs://bucket."""
        return "/".join(uri.split("/")[:3])

    def list_objects(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Lists the objects whose URI begins so."""
        for entry in self._list(prefix_uri):
            assert isinstance(entry, StoredObject), "without a delimiter there are no prefixes"
            yield entry

    def list_folder(self, folder_uri: str) -> Iterator[StoredObject | str]:
        """Lists what is right in a folder."""
        yield from self._list(folder_uri, delimiter="/")

    def stat(self, uri: str) -> StoredObject:
        """Returns one object as a listing has it."""
        with google_errors(uri):
            blob = _blob(uri)
            blob.reload()
            return _stored(blob)

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Reads an object whole."""
        return read_object(uri, max_bytes)

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        """Reads a part of an object."""
        if stop <= start:
            return b""
        generation = None if version is None else version.partition("/")[0]
        return read_object_range(uri, start, stop, generation)

    def create(self, uri: str) -> BinaryIO:
        """Opens an object to write."""
        return cast(BinaryIO, ObjectWriter(_Upload(uri), uri))

    def create_if_absent(self, uri: str, content: bytes) -> bool:
        """Creates an object unless there is one."""
        with google_errors(uri):
            blob = _blob(uri)
            blob.metadata = {_ATTEMPT: uuid.uuid4().hex}
            try:
                blob.upload_from_string(content, _CONTENT_TYPE, if_generation_match=0)
            except PreconditionFailed:
                # The client tries again when an answer is lost: the object may be this call's own.
                found = blob.bucket.get_blob(blob.name)
                return found is not None and found.metadata == blob.metadata
            return True

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Copies an object."""
        with google_errors(source_uri):
            source, target = _blob(source_uri), _blob(target_uri)
            token, _, _ = target.rewrite(source, retry=DEFAULT_RETRY)
            while token is not None:
                token, _, _ = target.rewrite(source, token=token, retry=DEFAULT_RETRY)

    def delete(self, uri: str) -> None:
        """Deletes an object."""
        with google_errors(uri), contextlib.suppress(NotFound):
            _blob(uri).delete(retry=DEFAULT_RETRY)

    def _list(self, uri: str, delimiter: str | None = None) -> Iterator[StoredObject | str]:
        bucket = self.bucket_of(uri)

        def fetch(token: str | None) -> Page:
            with google_errors(bucket, "no such bucket"):
                name, prefix = bucket_and_name(uri)
                blobs = client().list_blobs(
                    name,
                    prefix=prefix,
                    delimiter=delimiter,
                    fields=_FIELDS,
                    page_size=object_store.PAGE_OBJECTS,
                    page_token=token,
                )
                entries: list[StoredObject | str] = list(map(_stored, next(blobs.pages)))
                entries += (f"{bucket}/{folder}" for folder in sorted(blobs.prefixes))
                return Page(entries, blobs.next_page_token)

        return each_page(fetch, bucket)


class _Upload:
    """An object on its way; see object_writer.Upload."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with google_errors(uri):
            self._blob = _blob(uri)
        self._parts: _Parts | None = None

    def put(self, content: bytes) -> None:
        with google_errors(self._uri):
            self._blob.upload_from_string(content, _CONTENT_TYPE)

    def send(self, part: bytes) -> None:
        with google_errors(self._uri):
            if self._parts is None:
                self._parts = _Parts(
                    self._blob, PART_BYTES, ignore_flush=True, content_type=_CONTENT_TYPE
                )
            self._parts.write(part)

    def finish(self) -> None:
        assert self._parts is not None, "a part was sent"
        with google_errors(self._uri):
            self._parts.close()

    def abort(self) -> None:
        assert self._parts is not None, "a part was sent"
        with google_errors(self._uri):
            self._parts.terminate()


class _Parts(BlobWriter):  # type: ignore[misc]
    def __del__(self) -> None:
        """Leaves what nobody closed as it is: io.IOBase would close it, and half of it be there."""


def _stored(blob: Blob) -> StoredObject:
    return StoredObject(
        f"gs://{blob.bucket.name}/{blob.name}",
        blob.size,
        f"{blob.generation}/{blob.crc32c}",
        blob.updated.timestamp() if blob.updated else None,
    )


def _blob(uri: str) -> Blob:
    """Returns an object that nothing is known of yet.

    Raises:
        ValueError: If it names none.
    """
    bucket, name = bucket_and_name(uri)
    if not name:
        raise ValueError("it names no object")
    return client().bucket(bucket).blob(name)
