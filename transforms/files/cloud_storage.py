"""Objects on gs://, by Google's client."""

import contextlib
import functools
import io
import os
import re
import threading
import uuid
from collections.abc import Iterator
from typing import BinaryIO, cast

from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RequestRangeNotSatisfiable,
)
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage import Blob, Client
from google.cloud.storage.fileio import BlobWriter
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from transforms.errors import FileTooLargeError
from transforms.files import object_store
from transforms.files.google_errors import google_errors
from transforms.files.object_store import CONNECTIONS, StoredObject
from transforms.files.object_writer import PART_BYTES, ObjectWriter

# Or else every client, and Beam makes many, asks for its bucket in a thread of its own; whoever may
# only read objects is refused, and each refusal is an error in the bucket owner's audit log.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_FIELDS = "items(name,size,generation,crc32c,updated),prefixes,nextPageToken"
_CONTENT_TYPE = "application/octet-stream"
_URI = re.compile(r"gs://([^/]+)/(.*)", re.DOTALL)
_ATTEMPT = "create-attempt"
_LOCK = threading.Lock()


def is_cloud_uri(uri: str) -> bool:
    """Whether a URI is on gs://."""
    return uri.startswith("gs://")


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
        with google_errors(uri):
            return read_object(uri, max_bytes)

    def read_range(self, uri: str, start: int, stop: int) -> bytes:
        """Reads a part of an object."""
        if stop <= start:
            return b""
        with google_errors(uri):
            try:
                # The checksum that is sent is that of the whole object.
                content: bytes = _blob(uri).download_as_bytes(
                    start=start, end=stop - 1, raw_download=True, checksum=None, retry=None
                )
            except RequestRangeNotSatisfiable:
                return b""
            return content[: stop - start]

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
        with google_errors(bucket, "no such bucket"):
            name, prefix = bucket_and_name(uri)
            blobs = client().list_blobs(
                name,
                prefix=prefix,
                delimiter=delimiter,
                fields=_FIELDS,
                page_size=object_store.PAGE_OBJECTS,
            )
            given: set[str] = set()
            for page in blobs.pages:
                yield from map(_stored, page)
                for folder in blobs.prefixes - given:
                    yield f"{bucket}/{folder}"
                given |= blobs.prefixes


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


def read_object(uri: str, max_bytes: int) -> bytes:
    """Reads an object as it is stored, in one request, and checks its checksum.

    The client tries again what may pass: 429, 5xx and lost connections, for two minutes.

    Raises:
        FileTooLargeError: If it has more than max_bytes; no more than that is kept in memory.
        ValueError: If uri names no object, or a bucket that cannot be.
        google.api_core.exceptions.GoogleAPIError: If it is not there or may not be read, or the
            storage fails.
    """
    bucket, name = bucket_and_name(uri)
    if not name:
        raise ValueError("it names no object")
    content = _Bounded(max_bytes)
    try:
        client().bucket(bucket).blob(name).download_to_file(content, raw_download=True)
    except GoogleAPICallError as error:
        if error.response is not None:
            error.response.close()  # Else its connection is lost until it is collected as garbage.
        raise
    return content.getvalue()


def read_object_beginning(uri: str, size_bytes: int) -> bytes:
    """Reads the first bytes of an object as it is stored, in one request.

    Raises:
        ValueError, google.api_core.exceptions.GoogleAPIError: As read_object.
    """
    bucket, name = bucket_and_name(uri)
    if not name:
        raise ValueError("it names no object")
    blob = client().bucket(bucket).blob(name)
    try:
        # The checksum that is sent is that of the whole object.
        content: bytes = blob.download_as_bytes(
            start=0, end=size_bytes - 1, raw_download=True, checksum=None
        )
    except RequestRangeNotSatisfiable:  # It is empty.
        return b""
    return content[:size_bytes]


class _Bounded(io.BytesIO):
    """Memory that refuses more than its share, whatever the server sends."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self._max_bytes:
            raise FileTooLargeError(f"more bytes than --max_image_bytes={self._max_bytes}")
        return super().write(data)


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


def bucket_and_name(uri: str) -> tuple[str, str]:
    """Splits gs://bucket/name; the name may be empty.

    Raises:
        ValueError: If it names no bucket.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri!r} is not gs://bucket/ and a name")
    return match[1], match[2]


def client() -> Client:
    """Returns the process's client."""
    with _LOCK:  # A cache alone lets threads that start together make one each.
        return kept_client()


@functools.cache
def kept_client() -> Client:
    """Makes the process's client: for STORAGE_EMULATOR_HOST, or with default credentials."""
    try:
        client = Client(project=None)
    except DefaultCredentialsError:  # Public buckets need none, and the others say so.
        client = Client.create_anonymous_client()
    # As Google advises for many threads: the default keeps ten, and drops the others after use.
    client._http.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    return client
