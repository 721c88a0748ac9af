"""Reading objects on s3://: asked for as Amazon's client asks, and read without it."""

import re
import threading
import types
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpchecksum import handle_checksum_body
from botocore.signers import RequestSigner
from urllib3 import HTTPHeaderDict

from transforms.errors import FileTooLargeError
from transforms.files.http_get import Answer, get, make_connections
from transforms.files.s3_errors import status_of

_SIGNATURES = ("s3v4", UNSIGNED)
"""Ways to sign that need no more than a request; others are left to the client."""

_DOTS = re.compile(r"(?:.*/)?\.{1,2}(?:/.*)?", re.DOTALL)
"""Names with a part that is . or .., which urllib3 takes out of a path."""

_GOOD = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
_BEYOND = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


class _Signed(NamedTuple):
    """A request of the client, as it is before it is signed."""

    signer: RequestSigner
    url: str
    headers: dict[str, str]
    context: dict[str, Any]


class _Bucket(NamedTuple):
    """How objects of a bucket are asked for."""

    url: str
    signed: _Signed
    connections: urllib3.PoolManager


class S3Reads:
    """Reads of a process, as few of them by its client as can be.

    The client reads the first object of each bucket, which shows where the bucket is and how its
    requests are signed. The others are asked for alike, without the client, which takes three times
    the processor's time: 1.0 ms for 20 kB. What is not answered well, the client is asked for
    again: it finds a bucket in another region, and knows what a refusal means.
    """

    def __init__(self, client: Any, certificates: str | None) -> None:  # noqa: ANN401 - made at run time
        """Reads nothing.

        Args:
            client: Client of boto3 for s3, which makes one attempt.
            certificates: File of those that are trusted; None is the usual ones.
        """
        self.client = client
        self._certificates = certificates
        self._noted = threading.local()
        self._buckets: dict[str, _Bucket] = {}
        # Checksums of a body that is there, not of a stream; which operation says so is no matter.
        self._unstreamed = client.meta.service_model.operation_model("HeadObject")
        client.meta.events.register("before-sign.s3.GetObject", self._note)

    def read(self, bucket: str, name: str, max_bytes: int, part: str | None, uri: str) -> Answer:
        """Reads an object, or a part of it; the answer has the status 200, 206 or 416.

        Args:
            bucket: Name of its bucket.
            name: Name of it.
            max_bytes: Largest size of what is read.
            part: Bytes of it, as the header Range names them; None is all.
            uri: URI of it, for messages.

        Raises:
            FileTooLargeError: If it has more than max_bytes; no more is held in memory.
            TransientError, PermissionDeniedError: As http_get.get.
            ClientError, BotoCoreError: As the client.
        """
        headers = {} if part is None else {"Range": part}
        known = self._buckets.get(bucket)
        if known is not None and not _DOTS.fullmatch(name):
            answer = self._ask(known, name, headers, max_bytes, uri)
            if answer.status in _GOOD or (answer.status == _BEYOND and part is not None):
                return answer
        return self._read_by_client(bucket, name, headers, max_bytes)

    def _ask(
        self, known: _Bucket, name: str, headers: dict[str, str], max_bytes: int, uri: str
    ) -> Answer:
        signed = known.signed
        request = AWSRequest("GET", known.url + _quoted(name), signed.headers)
        request.context.update(signed.context)
        signed.signer.sign("GetObject", request)
        headers = {**request.headers, **headers}
        answer = get(known.connections, request.url, headers, max_bytes, uri)
        if answer.status in _GOOD:
            body = types.SimpleNamespace(content=answer.body)
            parsed = {"headers": answer.headers, "context": {}}
            handle_checksum_body(body, parsed, signed.context, self._unstreamed)
        return answer

    def _read_by_client(
        self, bucket: str, name: str, headers: dict[str, str], max_bytes: int
    ) -> Answer:
        try:
            answer = self.client.get_object(Bucket=bucket, Key=name, **headers)
        except ClientError as error:
            if status_of(error) == _BEYOND and headers:
                return Answer(_BEYOND, {}, b"")
            raise
        self._learn(bucket, name)
        with answer["Body"] as body:
            size_bytes = answer.get("ContentLength")
            content: bytes = b""
            if size_bytes is None:  # Not so on AWS.
                content = body.read(max_bytes + 1)
            elif size_bytes <= max_bytes:
                content = body.read()
        if max(size_bytes or 0, len(content)) > max_bytes:
            raise FileTooLargeError(f"more bytes than --max_image_bytes={max_bytes}")
        told = answer["ResponseMetadata"]
        return Answer(told["HTTPStatusCode"], HTTPHeaderDict(told["HTTPHeaders"]), content)

    def _note(
        self,
        request: AWSRequest,
        signature_version: object,
        request_signer: RequestSigner,
        **_: object,
    ) -> None:
        """Takes note of what this thread is about to sign."""
        self._noted.signed = None
        if signature_version in _SIGNATURES:
            headers = {
                header: value.decode("latin-1") if isinstance(value, bytes) else value
                for header, value in request.headers.items()
                if header.lower() != "range"  # Of this read alone.
            }
            context = dict(request.context)
            self._noted.signed = _Signed(request_signer, request.url, headers, context)

    def _learn(self, bucket: str, name: str) -> None:
        """Takes the object that this thread has read for a pattern of others of its bucket.

        https://photos.s3.eu-west-1.amazonaws.com/a/b%20c.jpg without a/b%20c.jpg is the bucket.
        """
        signed: _Signed | None = self._noted.signed
        if signed is not None and signed.url.endswith(_quoted(name)):
            url = signed.url.removesuffix(_quoted(name))
            known = self._buckets.get(bucket)
            if known is None or known.url != url:
                known = _Bucket(url, signed, make_connections(url, self._certificates))
            self._buckets[bucket] = known._replace(signed=signed)  # In another region, maybe.


def _quoted(name: str) -> str:
    """Returns a name as the client writes it into a path."""
    return quote(name, safe="/~")
