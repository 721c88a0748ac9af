"""gs:// on this machine: a storage emulator, and what it lacks of the real API.

Added to the emulator are pages, partial responses, ifGenerationMatch, closed buckets and the
messages of refusals. `cloud` in conftest.py gives a test its own empty bucket.
"""

import contextlib
import functools
import http.server
import io
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from apache_beam.internal.gcp import auth
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage
from google.cloud.storage import Client

from transforms.files import google_client

_LISTING = re.compile(r"/storage/v1/b/([^/]+)/o")
_READ = re.compile(r"/download/storage/v1/b/([^/]+)/o/([^?]+)")
_BUCKET = re.compile(r"/(?:upload/|download/)?storage/v1/b/([^/]+)")
_REFUSALS = {
    400: "Bucket is a requester pays bucket but no user project provided.",
    401: "Anonymous caller does not have storage.objects.get access to the object.",
    403: "Anonymous caller does not have storage.objects.list access to the bucket.",
    404: "The specified bucket does not exist.",
    412: "At least one of the pre-conditions you specified did not hold.",
    429: "The project exceeded the rate limit.",
    500: "We encountered an internal error. Please try again.",
    503: "Service unavailable. Please try again.",
}


class _ConditionNotMet(Exception):
    pass


class _Storage(Storage):  # type: ignore[misc]
    """The emulator's store, in memory; it answers one request at a time."""

    def __init__(self) -> None:
        super().__init__(use_memory_fs=True)
        self.closed: set[str] = set()
        self.requests: list[str] = []
        self.answers_to_lose = 0
        self.busy: list[int] = []
        self.required: str | None = None
        self._required_of_upload: dict[str, str | None] = {}

    def create_file(
        self,
        bucket: str,
        name: str,
        content: bytes,
        resource: dict[str, Any],
        upload: str | None = None,
    ) -> None:
        self._check(bucket, name, self._required_of_upload.pop(upload or "", self.required))
        super().create_file(bucket, name, content, resource, upload)

    def create_resumable_upload(self, bucket: str, name: str, resource: dict[str, Any]) -> str:
        self._check(bucket, name, self.required)
        upload: str = super().create_resumable_upload(bucket, name, resource)
        self._required_of_upload[upload] = self.required
        return upload

    def delete_file(self, bucket: str, name: str) -> None:
        if name in self.objects.get(bucket, {}):
            self._check(bucket, name, self.required)
        super().delete_file(bucket, name)

    def _check(self, bucket: str, name: str, required: str | None) -> None:
        there = self.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        if required not in (None, there):
            raise _ConditionNotMet

    def _write_config_to_file(self) -> None:
        pass  # All of it at every change, to read it after a restart.


class _Handler(RequestHandler):  # type: ignore[misc]
    storage: _Storage

    def do_GET(self) -> None:
        self._answer(super().do_GET)

    def do_POST(self) -> None:
        self._answer(super().do_POST)

    def do_PUT(self) -> None:
        self._answer(super().do_PUT)

    def do_PATCH(self) -> None:
        self._answer(super().do_PATCH)

    def do_DELETE(self) -> None:
        self._answer(super().do_DELETE)

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        read = _READ.match(self.path)
        if read and self.command == "GET":
            there = self.storage.objects.get(read[1], {}).get(unquote(read[2]), {})
            self.send_header("X-Goog-Generation", there.get("generation", "0"))

    def _answer(self, emulate: Callable[[], None]) -> None:
        self.storage.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.storage.required = query.get("ifGenerationMatch")
        if self.storage.answers_to_lose and self.command != "GET":
            self.storage.answers_to_lose -= 1
            self.wfile = io.BytesIO()
        bucket = _BUCKET.match(url.path)
        listing = _LISTING.fullmatch(url.path)
        try:
            if self.storage.busy:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._refuse(self.storage.busy.pop())
            elif bucket and bucket[1] in self.storage.closed:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._refuse(403)
            elif listing and self.command == "GET":
                self._list(listing[1], query)
            else:
                emulate()
        except _ConditionNotMet:
            self._refuse(412)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        asked = map(query.get, ("prefix", "delimiter", "matchGlob"))
        try:
            found, prefixes = self.storage.get_file_list(bucket, *asked)
        except NotFound:
            self._refuse(404)
            return
        # Objects and prefixes share the pages, in one order.
        entries = {resource["name"]: resource for resource in found} | dict.fromkeys(prefixes)
        start = query.get("pageToken", "").encode()
        names = sorted((name for name in entries if name.encode() > start), key=str.encode)
        page = names[: int(query.get("maxResults", 1000))]
        answer: dict[str, Any] = {
            "kind": "storage#objects",
            "items": [entries[name] for name in page if entries[name]],
            "prefixes": [name for name in page if not entries[name]],
            "nextPageToken": page[-1] if len(page) < len(names) else None,
        }
        if fields := query.get("fields"):
            answer = _only(answer, fields)
        self._send(200, {name: value for name, value in answer.items() if value})

    def _refuse(self, code: int) -> None:
        error = {"message": _REFUSALS[code], "domain": "global"}
        self._send(code, {"error": {"code": code, "message": _REFUSALS[code], "errors": [error]}})

    def _send(self, code: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _only(answer: dict[str, Any], fields: str) -> dict[str, Any]:
    """Returns a partial response; fields as in "items(name,size),nextPageToken"."""
    of_items = re.search(r"items\(([^)]*)\)", fields)
    wanted = re.sub(r"\([^)]*\)", "", fields).split(",")
    kept = {name: value for name, value in answer.items() if name in wanted}
    if of_items:
        names = of_items[1].split(",")
        items = kept.get("items", [])
        kept["items"] = [{name: item[name] for name in names if name in item} for item in items]
    return kept


class _Server(http.server.HTTPServer):
    request_queue_size = 128


class Emulator:
    """A running emulator; `url` is for STORAGE_EMULATOR_HOST."""

    def __init__(self, store: _Storage, port: int) -> None:
        self.store = store
        self.url = f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def run_emulator() -> Iterator[Emulator]:
    """Runs an emulator on a free port of this machine."""
    store = _Storage()
    # Not the emulator's own server: that needs its port told, and hangs if it is taken.
    with _Server(("127.0.0.1", 0), functools.partial(_Handler, store)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield Emulator(store, server.server_port)
        finally:
            server.shutdown()
            thread.join()


class Cloud:
    """A test's own bucket; `uri` is gs://bucket."""

    def __init__(self, emulator: Emulator) -> None:
        """Makes the bucket; STORAGE_EMULATOR_HOST must be set."""
        self._store = emulator.store
        self._store.requests.clear()
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.uri = f"gs://{self.name}"
        self._bucket = Client.create_anonymous_client().create_bucket(self.name)

    def put(self, name: str, content: bytes = b"123") -> str:
        """Writes an object; returns its URI."""
        self._bucket.blob(name).upload_from_string(content, "application/octet-stream")
        return f"{self.uri}/{name}"

    def get(self, name: str) -> bytes:
        return self._bucket.blob(name).download_as_bytes()

    def delete(self, name: str) -> None:
        self._bucket.delete_blob(name)

    def names(self, prefix: str = "") -> list[str]:
        """Names of the objects that start with prefix, in order."""
        return [blob.name for blob in self._bucket.list_blobs(prefix=prefix)]

    def close(self) -> None:
        """Lets nobody do anything with the bucket."""
        self._store.closed.add(self.name)

    def lose_answers(self, count: int = 1) -> None:
        """Does what the next writes ask for, and breaks the connection instead of an answer."""
        self._store.answers_to_lose = count

    def be_busy(self, *codes: int) -> None:
        """Refuses the next requests, with these codes."""
        self._store.busy = list(reversed(codes))

    @property
    def requests(self) -> list[str]:
        """Requests since the test began, as "GET /storage/v1/b/…", whoever made them."""
        return self._store.requests


@contextlib.contextmanager
def use_emulator(emulator: Emulator) -> Iterator[Cloud]:
    """Sends this process, and those it starts, to the emulator for gs://."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
        # Beam looks for credentials first, for 24 seconds where there are none.
        patch.setattr(auth._Credentials, "_credentials_init", True)
        patch.setattr(auth._Credentials, "_credentials", None)
        google_client.kept_client.cache_clear()
        try:
            yield Cloud(emulator)
        finally:
            emulator.store.answers_to_lose = 0
            emulator.store.busy.clear()
            google_client.kept_client.cache_clear()
