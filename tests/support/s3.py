"""s3:// on this machine: moto's server."""

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)

from tests.support.faults import Faults, FaultyBucket, serve
from transforms.files import s3_storage


@dataclasses.dataclass
class S3Server:
    faults: Faults
    url: str
    client: Any


class S3Bucket(FaultyBucket):
    """A test's own bucket; `uri` is s3://bucket."""

    def __init__(self, server: S3Server) -> None:
        """Makes the bucket."""
        self._client = server.client
        self.faults = server.faults
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        self.uri = f"s3://{self.name}"
        self._client.create_bucket(Bucket=self.name)
        self.faults.requests.clear()

    def put(self, name: str, content: bytes = b"123") -> str:
        """Writes an object; returns its URI."""
        self._client.put_object(Bucket=self.name, Key=name, Body=content)
        return f"{self.uri}/{name}"

    def get(self, name: str) -> bytes:
        return self._client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=name)

    def names(self, prefix: str = "") -> list[str]:
        """Names of the objects that start with prefix, in order."""
        found = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def parts(self) -> int:
        """How many uploads in parts are neither finished nor given up."""
        return len(self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", []))

    def close(self) -> None:
        """Lets nobody do anything with the bucket."""
        self.faults.closed.add(f"/{self.name}")


@contextlib.contextmanager
def run_s3() -> Iterator[S3Server]:
    """Runs a server on a free port of this machine."""
    faults = Faults(DomainDispatcherApplication(create_backend_app))
    with serve(faults, MotoRequestHandler) as port:
        url = f"http://127.0.0.1:{port}"
        own = {"aws_access_key_id": "own", "aws_secret_access_key": "own"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **own)
        yield S3Server(faults, url, client)


@contextlib.contextmanager
def use_s3(server: S3Server) -> Iterator[S3Bucket]:
    """Sends this process, and those it starts, to the server for s3://."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        s3_storage.kept_clients.cache_clear()
        try:
            yield S3Bucket(server)
        finally:
            server.faults.forget()
            s3_storage.kept_clients.cache_clear()
