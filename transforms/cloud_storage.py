"""Objects on gs://: listing them with their versions, and creating one only if it is not there."""

import functools
import os
import re
import threading
import uuid
from collections.abc import Iterator
from typing import NamedTuple

from google.api_core.exceptions import PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage import Client

# Or else every client, and Beam makes many, asks for its bucket in a thread of its own; whoever may
# only read objects is refused, and each refusal is an error in the bucket owner's audit log.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

PAGE_OBJECTS = 1000
"""Objects asked for at a time; the API gives no more."""

_FIELDS = "items(name,size,generation,crc32c),nextPageToken"
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
    bucket, prefix = _bucket_and_name(prefix_uri)
    blobs = _client().list_blobs(bucket, prefix=prefix, fields=_FIELDS, page_size=PAGE_OBJECTS)
    for blob in blobs:
        version = f"{blob.generation}/{blob.crc32c}"
        yield StoredObject(f"gs://{bucket}/{blob.name}", blob.size, version)


def create_if_absent(uri: str, text: str) -> bool:
    """Creates an object in one step, unless there is one; of many callers one succeeds.

    Returns:
        Whether this call has created it.

    Raises:
        ValueError: If uri names no bucket, or one that cannot be.
        google.api_core.exceptions.GoogleAPIError: If it may not be created, or the storage fails.
    """
    bucket_name, name = _bucket_and_name(uri)
    bucket = _client().bucket(bucket_name)
    blob = bucket.blob(name)
    blob.metadata = {_ATTEMPT: uuid.uuid4().hex}
    try:
        blob.upload_from_string(text, if_generation_match=0)
    except PreconditionFailed:
        # The client tries again when an answer is lost: the object may be this call's own.
        found = bucket.get_blob(name)
        return found is not None and found.metadata == blob.metadata
    return True


def _bucket_and_name(uri: str) -> tuple[str, str]:
    """Splits gs://bucket/name; the name may be empty.

    Raises:
        ValueError: If it names no bucket.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri!r} is not gs://bucket/ and a name")
    return match[1], match[2]


def _client() -> Client:
    with _LOCK:  # A cache alone lets threads that start together make one each.
        return kept_client()


@functools.cache
def kept_client() -> Client:
    """Makes the process's client: for STORAGE_EMULATOR_HOST, or with default credentials."""
    try:
        return Client(project=None)
    except DefaultCredentialsError:  # Public buckets need none, and the others say so.
        return Client.create_anonymous_client()
