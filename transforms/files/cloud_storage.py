"""Objects on gs://: listing them, and creating one only if it is not there."""

import functools
import itertools
import os
import re
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from google.api_core.exceptions import PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage import Blob, Client
from requests.adapters import HTTPAdapter

# Or else every client, and Beam makes many, asks for its bucket in a thread of its own; whoever may
# only read objects is refused, and each refusal is an error in the bucket owner's audit log.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

PAGE_OBJECTS = 1000
"""Objects asked for at a time; the API gives no more."""

LISTINGS = 16
"""Prefixes listed at a time: a page of 1,000 objects takes a tenth of a second to wait for."""

OBJECTS_AHEAD = 32_000
"""Of each directory that is being listed: about 10 MB."""

CONNECTIONS = 64
"""Kept open by a process for its reading threads; a new one takes several round trips."""

_FIELDS = "items(name,size,generation,crc32c),prefixes,nextPageToken"
_URI = re.compile(r"gs://([^/]+)/(.*)", re.DOTALL)
_ATTEMPT = "create-attempt"
_LOCK = threading.Lock()


class StoredObject(NamedTuple):
    """An object in a listing; version is another one whenever the object was written again."""

    uri: str
    size_bytes: int
    version: str


def is_cloud_uri(uri: str) -> bool:
    """Whether a URI is on gs://."""
    return uri.startswith("gs://")


def list_objects(prefix_uri: str) -> Iterator[StoredObject]:
    """Lists the objects whose URI starts with gs://bucket/ and any prefix, names in order.

    Raises:
        ValueError: If prefix_uri names no bucket, or one that cannot be.
        google.api_core.exceptions.NotFound: If there is no such bucket.
        google.api_core.exceptions.GoogleAPIError: If it may not be listed, or the storage fails.
    """
    bucket, prefix = bucket_and_name(prefix_uri)
    for blob in client().list_blobs(bucket, prefix=prefix, fields=_FIELDS, page_size=PAGE_OBJECTS):
        yield _stored(bucket, blob)


def list_directory(directory_uri: str) -> Iterator[StoredObject]:
    """Lists what list_objects lists, in the same order, several directories at a time.

    Args:
        directory_uri: gs://bucket/, or gs://bucket/ and a name that ends in a slash.

    Raises:
        As list_objects.
    """
    entries: list[_Directory | StoredObject] = [_Directory(directory_uri)]
    while True:
        directories = [entry for entry in entries if isinstance(entry, _Directory)]
        to_split = {directory for directory in directories if directory.may_be_split}
        if not to_split or len(directories) >= LISTINGS:
            break
        parts = (_split(entry) if entry in to_split else [entry] for entry in entries)
        entries = list(itertools.chain.from_iterable(parts))
    yield from _in_parallel(entries)


def create_if_absent(uri: str, text: str) -> bool:
    """Creates an object in one step, unless there is one; of many callers one succeeds.

    Returns:
        Whether this call has created it.

    Raises:
        ValueError: If uri names no bucket, or one that cannot be.
        google.api_core.exceptions.GoogleAPIError: If it may not be created, or the storage fails.
    """
    bucket_name, name = bucket_and_name(uri)
    bucket = client().bucket(bucket_name)
    blob = bucket.blob(name)
    blob.metadata = {_ATTEMPT: uuid.uuid4().hex}
    try:
        blob.upload_from_string(text, if_generation_match=0)
    except PreconditionFailed:
        # The client tries again when an answer is lost: the object may be this call's own.
        found = bucket.get_blob(name)
        return found is not None and found.metadata == blob.metadata
    return True


class _Directory(NamedTuple):
    """What has yet to be listed; its URI ends in a slash."""

    uri: str
    may_be_split: bool = True


def _split(directory: _Directory) -> list["_Directory | StoredObject"]:
    """Lists the names right in a directory, unless so many are objects that it will not pay."""
    bucket, prefix = bucket_and_name(directory.uri)
    blobs = client().list_blobs(
        bucket, prefix=prefix, delimiter="/", fields=_FIELDS, page_size=PAGE_OBJECTS
    )
    objects: list[StoredObject] = []
    for page in blobs.pages:
        objects += (_stored(bucket, blob) for blob in page)
        if len(objects) > PAGE_OBJECTS:
            return [directory._replace(may_be_split=False)]
    below = [_Directory(f"gs://{bucket}/{name}") for name in blobs.prefixes]
    # All names that start alike follow each other, so that directories have a place in the order.
    return sorted([*objects, *below], key=lambda entry: entry.uri.encode())


def _in_parallel(entries: list[_Directory | StoredObject]) -> Iterator[StoredObject]:
    """Gives entries in order, with everything below them in their place."""
    directories = iter([entry for entry in entries if isinstance(entry, _Directory)])
    pool = ThreadPoolExecutor(LISTINGS, thread_name_prefix="list-objects")
    begun: deque[tuple[Iterator[StoredObject], Future[list[StoredObject]]]] = deque()

    def begin_next() -> None:
        for directory in itertools.islice(directories, 1):
            objects = list_objects(directory.uri)
            begun.append((objects, pool.submit(_take, objects)))

    try:
        for _ in range(LISTINGS):
            begin_next()
        for entry in entries:
            if not isinstance(entry, _Directory):
                yield entry
                continue
            objects, part = begun.popleft()
            begin_next()
            while found := part.result():
                part = pool.submit(_take, objects)
                yield from found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _take(objects: Iterator[StoredObject]) -> list[StoredObject]:
    return list(itertools.islice(objects, OBJECTS_AHEAD))


def _stored(bucket: str, blob: Blob) -> StoredObject:
    version = f"{blob.generation}/{blob.crc32c}"
    return StoredObject(f"gs://{bucket}/{blob.name}", blob.size, version)


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
