"""Google's client for Cloud Storage, one a process, and URIs as it takes them apart."""

import functools
import os
import re
import threading

from google.auth.exceptions import DefaultCredentialsError
from google.cloud.storage import Client
from requests.adapters import HTTPAdapter

from transforms.files.object_store import CONNECTIONS

# Or else every client, and Beam makes many, asks for its bucket in a thread of its own; whoever may
# only read objects is refused, and each refusal is an error in the bucket owner's audit log.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_URI = re.compile(r"gs://([^/]+)/(.*)", re.DOTALL)
_LOCK = threading.Lock()


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
