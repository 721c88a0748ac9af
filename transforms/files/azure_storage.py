"""Objects on az://, by Microsoft's client: Azure Blob Storage, and Data Lake Storage Gen2.

    az://container/name              of the account that the environment names
    azfs://account/container/name    the same as Beam writes it

azure_account says which account that is, and who asks.
"""

import base64
import contextlib
import functools
import hashlib
import re
import time
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, BinaryIO, cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestTimeoutError,
    ServiceResponseTimeoutError,
)
from azure.storage.blob import BlobBlock, BlobPrefix

from transforms.errors import FileTooLargeError, NotFoundError, PermissionDeniedError
from transforms.files import object_store
from transforms.files.azure_account import service_of
from transforms.files.azure_reads import get_blob
from transforms.files.http_get import Answer
from transforms.files.listing_pages import Page, each_page
from transforms.files.object_parts import check_version, read_part
from transforms.files.object_store import StoredObject, TransientError
from transforms.files.object_writer import ObjectWriter
from transforms.files.store_errors import http_error, no_answer, short_body

COPY_LOOKS_SECONDS = 0.5
"""Pause between looks at a copy that the store has not done at once."""

_URI = re.compile(r"(?:az:/|azfs://([^/]+))/([^/]+)/(.*)", re.DOTALL)
_ATTEMPT = "attempt"
_GOOD = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_ABSENT = {
    "ContainerNotFound": "no such container",
    "CannotVerifyCopySource": "there is no such object to copy, or whoever asks may not read it",
}
_BEYOND = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class AzureStore:
    """The store of az://container/name; see ObjectStore. A version is the ETag."""

    def bucket_of(self, uri: str) -> str:
        """Returns az://container, or azfs://account/container."""
        return "/".join(uri.split("/")[: 4 if uri.startswith("azfs:") else 3])

    def list_objects(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Lists the objects whose URI begins so."""
        for entry in self._list(prefix_uri, in_folder=False):
            assert isinstance(entry, StoredObject), "without a delimiter there are no prefixes"
            yield entry

    def list_folder(self, folder_uri: str) -> Iterator[StoredObject | str]:
        """Lists what is right in a folder."""
        return self._list(folder_uri, in_folder=True)

    def stat(self, uri: str) -> StoredObject:
        """Returns one object as a listing has it."""
        with _own_errors(uri):
            found = _blob(uri).get_blob_properties()
            if _is_directory(found):
                raise NotFoundError(f"{uri}: it is a directory")
            return _stored(uri, found)

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Reads an object whole."""
        answer = self._read(uri, None, max_bytes)
        noted = answer.headers.get("Content-MD5")
        if noted and noted != _md5(answer.body):
            raise TransientError(
                f"{uri}: what came has not the MD5 that is noted of it", reason="checksum"
            )
        return answer.body

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        """Reads a part of an object."""
        if stop <= start:
            return b""
        answer = read_part(functools.partial(self._read, uri), uri, start, stop)
        check_version(uri, answer.headers.get("ETag"), version)
        return answer.body

    def create(self, uri: str) -> BinaryIO:
        """Opens an object to write."""
        with _own_errors(uri):
            return cast(BinaryIO, ObjectWriter(_Upload(uri), uri))

    def create_if_absent(self, uri: str, content: bytes) -> bool:
        """Creates an object unless there is one."""
        own = {_ATTEMPT: uuid.uuid4().hex}
        with _own_errors(uri):
            blob = _blob(uri)
            try:
                blob.upload_blob(content, overwrite=False, metadata=own)
            except ResourceExistsError:
                # The client tries again when an answer is lost: the object may be this call's own.
                with contextlib.suppress(ResourceNotFoundError):
                    found = blob.get_blob_properties().metadata
                    return {name.lower(): value for name, value in found.items()} == own
                return False
            return True

    def copy(self, source_uri: str, target_uri: str) -> None:
        """Copies an object within an account."""
        with _own_errors(source_uri):
            target = _blob(target_uri)
            status = target.start_copy_from_url(_blob(source_uri).url)["copy_status"]
            while status == "pending":
                time.sleep(COPY_LOOKS_SECONDS)
                status = target.get_blob_properties().copy.status
            if status != "success":
                raise TransientError(f"{source_uri}: copied to {target_uri}, it ended as {status}")

    def delete(self, uri: str) -> None:
        """Deletes an object."""
        with _own_errors(uri):
            try:
                _blob(uri).delete_blob()
            except ResourceNotFoundError as error:
                if error.error_code != "BlobNotFound":
                    raise

    def _read(self, uri: str, part: str | None, max_bytes: int) -> Answer:
        """Sends one request; the answer has the status 200, 206 or 416."""
        with _own_errors(uri):
            service, container, name = _place(uri)
            answer = get_blob(service, container, name, part, max_bytes, uri)
            if answer.status in _GOOD or (answer.status == _BEYOND and part is not None):
                return answer
            # The client knows what a refusal means, and how to answer one that asks who asks.
            return self._read_by_client(uri, part, max_bytes)

    def _read_by_client(self, uri: str, part: str | None, max_bytes: int) -> Answer:
        start = 0 if part is None else int(part.removeprefix("bytes=").partition("-")[0])
        size_bytes = max_bytes + (part is None)
        try:
            answer = _blob(uri).download_blob(
                start, size_bytes, max_concurrency=1, decompress=False, retry_total=0
            )
            content: bytes = answer.readall()
        except HttpResponseError as error:
            if error.status_code != _BEYOND:  # Which an empty object answers, too.
                raise
            return Answer(_BEYOND, {}, b"")
        if len(content) != answer.size:
            raise short_body(uri, len(content), answer.size)
        if len(content) > max_bytes:
            raise FileTooLargeError(f"more bytes than --max_image_bytes={max_bytes}")
        headers = {"ETag": answer.properties.etag}
        if md5 := answer.properties.content_settings.content_md5:
            headers["Content-MD5"] = base64.b64encode(md5).decode()
        return Answer(HTTPStatus.PARTIAL_CONTENT, headers, content)

    def _list(self, uri: str, *, in_folder: bool) -> Iterator[StoredObject | str]:
        bucket = self.bucket_of(uri)

        def fetch(token: str | None) -> Page:
            with _own_errors(bucket, "no such container"):
                container, prefix = _container_and_name(uri)
                blobs = container.walk_blobs if in_folder else container.list_blobs
                pages = blobs(prefix, **_LISTING, **_page()).by_page(token)
                entries = [
                    f"{bucket}/{blob.name}"
                    if isinstance(blob, BlobPrefix)
                    else _stored(f"{bucket}/{blob.name}", blob)
                    for blob in next(pages)
                    if isinstance(blob, BlobPrefix) or not _is_directory(blob)
                ]
                return Page(entries, pages.continuation_token)

        return each_page(fetch, bucket)


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


class _Upload:
    """An object on its way; see object_writer.Upload."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._blob = _blob(uri)
        self._name = uuid.uuid4().hex
        self._blocks: list[BlobBlock] = []

    def put(self, content: bytes) -> None:
        with _own_errors(self._uri):
            self._blob.upload_blob(content, overwrite=True)

    def send(self, part: bytes) -> None:
        block = f"{self._name}-{len(self._blocks):05d}"
        with _own_errors(self._uri):
            self._blob.stage_block(block, part)
        self._blocks.append(BlobBlock(block))

    def finish(self) -> None:
        with _own_errors(self._uri):
            self._blob.commit_block_list(self._blocks)

    def abort(self) -> None:
        """Leaves the blocks: the store deletes them after a week."""


_LISTING = {"include": ["metadata"]}


def _page() -> dict[str, int]:
    return {"results_per_page": object_store.PAGE_OBJECTS}


@contextlib.contextmanager
def _own_errors(uri: str, absent: str = "no such object") -> Iterator[None]:
    try:
        yield
    except HttpResponseError as error:
        raise _of_answer(uri, error, absent) from error
    except (ServiceRequestTimeoutError, ServiceResponseTimeoutError) as error:
        raise TransientError(f"{uri}: {_first_line(error)}", reason="stall") from error
    except AzureError as error:  # No answer, or half of one.
        raise TransientError(f"{uri}: {_first_line(error)}", reason="reset") from error
    except (DeserializationError, AttributeError) as error:  # The client takes nothing for None.
        raise no_answer(uri) from error
    except ValueError as error:  # What cannot be a container, or an account.
        raise NotFoundError(f"{uri}: {error}") from error


def _of_answer(uri: str, error: HttpResponseError, absent: str) -> Exception:
    status, code = error.status_code, getattr(error, "error_code", None)
    said = _first_line(error)
    if status is not None and status < HTTPStatus.MULTIPLE_CHOICES:  # Half a page.
        return no_answer(uri)
    if status is None:
        if isinstance(error, ClientAuthenticationError):
            return PermissionDeniedError(f"{uri}: {said}")
        return TransientError(f"{uri}: {said}", reason="short_body")
    if code in ("InvalidResourceName", "InvalidUri", "OutOfRangeInput"):
        return NotFoundError(f"{uri}: {said}")
    if status == 404:
        said = _ABSENT.get(code or "", absent)
    headers = error.response.headers if error.response is not None else {}
    return http_error(uri, status, said, headers.get("Retry-After"))


def _first_line(error: AzureError) -> str:
    """Returns what is said, without a URL's signature, and the lines after it: number and time."""
    lines = str(error.message).strip().splitlines()
    return re.sub(r"(?<=[?&]sig=)[^&\s]+", "…", lines[0]) if lines else type(error).__name__


def _is_directory(found: Any) -> bool:  # noqa: ANN401 - a blob's properties
    """Tells a directory of Data Lake Storage, which is listed like a blob."""
    return (found.metadata or {}).get("hdi_isfolder") == "true"


def _stored(uri: str, found: Any) -> StoredObject:  # noqa: ANN401 - a blob's properties
    return StoredObject(uri, found.size, found.etag.strip('"'), found.last_modified.timestamp())


def _container_and_name(uri: str) -> tuple[Any, str]:
    service, container, name = _parts(uri)
    return service.get_container_client(container), name


def _parts(uri: str) -> tuple[Any, str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        wanted = "azfs://account/" if uri.startswith("azfs:") else "az://"
        raise NotFoundError(f"{uri}: it is not {wanted}container/ and a name")
    return service_of(match[1]), match[2], match[3]


def _place(uri: str) -> tuple[Any, str, str]:
    service, container, name = _parts(uri)
    if not name:
        raise NotFoundError(f"{uri}: it names no object")
    return service, container, name


def _blob(uri: str) -> Any:  # noqa: ANN401 - a client
    service, container, name = _place(uri)
    return service.get_blob_client(container, name)
