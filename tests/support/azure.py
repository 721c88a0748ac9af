"""az:// on this machine: Azurite, which npm has, behind a server that loses and refuses."""

import contextlib
import dataclasses
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests
from azure.storage.blob import BlobServiceClient
from werkzeug.serving import WSGIRequestHandler

from tests.support.faults import Faults, FaultyBucket, serve
from transforms.files import azure_account

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of Azurite's only account: they are in its manual."""

_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


@dataclasses.dataclass
class AzureServer:
    faults: Faults
    url: str
    service: Any


class AzureBucket(FaultyBucket):
    """A test's own container; `uri` is az://container."""

    def __init__(self, server: AzureServer) -> None:
        """Makes the container."""
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.uri = f"az://{self.name}"
        self._container = server.service.create_container(self.name)
        self.faults = server.faults
        self.faults.requests.clear()

    def put(
        self, name: str, content: bytes = b"123", metadata: dict[str, str] | None = None
    ) -> str:
        """Writes an object; returns its URI."""
        self._container.upload_blob(name, content, overwrite=True, metadata=metadata)
        return f"{self.uri}/{name}"

    def get(self, name: str) -> bytes:
        return self._container.download_blob(name).readall()

    def delete(self, name: str) -> None:
        self._container.delete_blob(name)

    def names(self, prefix: str = "") -> list[str]:
        """Names of the objects that start with prefix, in order."""
        return [blob.name for blob in self._container.list_blobs(prefix)]

    def parts(self) -> int:
        """Nothing: parts that are not finished go by themselves."""
        return 0

    def close(self) -> None:
        """Lets nobody do anything with the container."""
        self.faults.closed.add(f"/{ACCOUNT}/{self.name}")


class _Forward:
    """A WSGI application that asks another server, and answers as it does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        named = {
            name[5:].replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(name):
                named[name.replace("_", "-")] = environ[name]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        request = requests.Request(environ["REQUEST_METHOD"], self._url, named, data=body)
        prepared = self._session.prepare_request(request)
        prepared.url = self._url + environ["RAW_URI"]  # As it was signed.
        answer = self._session.send(prepared, stream=True)
        content = answer.raw.read(decode_content=False)
        kept = [
            item for item in answer.raw.headers.items() if item[0].lower() not in _OF_ONE_CONNECTION
        ]
        start(f"{answer.status_code} {answer.reason}", kept)
        return [content]


@contextlib.contextmanager
def run_azure() -> Iterator[AzureServer]:
    """Runs Azurite on a free port of this machine; skips the test where there is none."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no azurite-blob on the PATH: npm install --global azurite")
    command = [program, "--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=scratch) as azurite,
    ):
        try:
            assert azurite.stdout is not None, "it is a pipe"
            said = iter(azurite.stdout.readline, "")
            found = next(
                match for line in said if (match := re.search(r"listens on (http\S+)", line))
            )
            faults = Faults(_Forward(found[1].rstrip("/")))
            with serve(faults, WSGIRequestHandler) as port:
                url = f"http://127.0.0.1:{port}/{ACCOUNT}"
                key = {"account_name": ACCOUNT, "account_key": KEY}
                # The underscore in hdi_isfolder would not get through the server between.
                direct = f"{found[1].rstrip('/')}/{ACCOUNT}"
                yield AzureServer(faults, url, BlobServiceClient(direct, credential=key))
        finally:
            azurite.terminate()


@contextlib.contextmanager
def use_azure(server: AzureServer) -> Iterator[AzureBucket]:
    """Sends this process, and those it starts, to the server for az://."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_ACCOUNT", ACCOUNT)
        patch.setenv("AZURE_STORAGE_KEY", KEY)
        patch.setenv("AZURE_STORAGE_ENDPOINT", server.url)
        azure_account.kept_service.cache_clear()
        try:
            yield AzureBucket(server)
        finally:
            server.faults.forget()
            azure_account.kept_service.cache_clear()
