"""One GET of an object store: its answer, or what may be tried again."""

import http.client
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import urllib3
from google.auth.exceptions import GoogleAuthError, InvalidOperation, RefreshError
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, ProtocolError, TimeoutError

from transforms.errors import FileTooLargeError, PermissionDeniedError
from transforms.files.object_store import READ_UNTIL, TransientError
from transforms.files.store_errors import NO_CREDENTIALS, http_error

STALL_SECONDS = 10.0
"""Time without a byte after which a connection is given up."""

FAIR_BYTES_PER_SECOND = 10_000
"""Rate at which a body may go on coming after READ_UNTIL: being large is no reason to fail."""

KEPT_CONNECTIONS = 1024
"""Connections that a process keeps open after use, at most; a new one takes several round trips."""

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_MAX_REFUSAL_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 18
_TIMEOUT = urllib3.Timeout(connect=STALL_SECONDS, read=STALL_SECONDS)


class Answer(NamedTuple):
    """What a store answered, whatever it is.

    Attributes:
        status: Status, as 200.
        headers: Headers, found by any case.
        body: Bytes as they were sent, never decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class SupportsUrlopen(Protocol):
    """urllib3's PoolManager, or one that adds credentials to its requests."""

    def urlopen(
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - as urllib3 has it
    ) -> urllib3.BaseHTTPResponse:
        """Sends a request."""


def make_connections(url: str, certificates: str | None = None) -> urllib3.PoolManager:
    """Makes a pool of connections to a store, through the environment's proxy.

    Args:
        url: URL in the store.
        certificates: File of those that are trusted; None takes what requests takes, which the
            stores' clients use.
    """
    usual = os.environ.get("REQUESTS_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    options: dict[str, Any] = {"maxsize": KEPT_CONNECTIONS, "ca_certs": certificates or usual}
    proxy = select_proxy(url, get_environ_proxies(url))
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def get(
    connections: SupportsUrlopen, url: str, headers: Mapping[str, str], max_bytes: int, uri: str
) -> Answer:
    """Sends one GET and reads the answer whole.

    Args:
        connections: Pool of connections.
        url: URL of the request.
        headers: Headers of the request.
        max_bytes: Largest body of a good answer.
        uri: Name of the object, for messages.

    Raises:
        FileTooLargeError: If a good answer has more than max_bytes; it is not read.
        PermissionDeniedError: If there are no credentials that are good.
        TransientError: If it did not come whole, or not in time, or the store is busy.
    """
    try:
        response = connections.urlopen(
            "GET",
            url,
            headers=dict(headers),
            preload_content=False,
            decode_content=False,
            retries=False,
            redirect=False,
            timeout=_TIMEOUT,
        )
        try:
            answer = _read(response, max_bytes, uri)
        except BaseException:
            response.close()  # What is left in the connection is of no use.
            raise
    except InvalidOperation as error:  # Of nobody's credentials, there is nothing to refresh.
        raise PermissionDeniedError(f"{uri}: {NO_CREDENTIALS}") from error
    except RefreshError as error:
        if error.retryable:
            raise TransientError(f"{uri}: {error}", reason="credentials") from error
        raise PermissionDeniedError(f"{uri}: {error}") from error
    except GoogleAuthError as error:
        raise TransientError(f"{uri}: {error}", reason="credentials") from error
    except TimeoutError as error:
        raise TransientError(f"{uri}: no byte for {STALL_SECONDS:g} s", reason="stall") from error
    except HTTPError as error:
        reason = "short_body" if _is_short(error) else "reset"
        raise TransientError(f"{uri}: {error}", reason=reason) from error
    if answer.status in _BUSY:
        said = f"the store answers {answer.status} {HTTPStatus(answer.status).phrase}"
        raise http_error(uri, answer.status, said, answer.headers.get("Retry-After"))
    return answer


def _read(response: urllib3.BaseHTTPResponse, max_bytes: int, uri: str) -> Answer:
    is_good = response.status < HTTPStatus.BAD_REQUEST
    limit = max_bytes if is_good else _MAX_REFUSAL_BYTES
    announced = response.headers.get("Content-Length", "")
    wanted = int(announced) if announced.isdigit() else limit + 1
    if is_good and announced.isdigit() and wanted > limit:
        raise _too_large(max_bytes)
    body = _read_body(response, min(wanted, limit + 1), uri)
    if is_good and len(body) > limit:
        raise _too_large(max_bytes)
    response.release_conn()
    return Answer(response.status, response.headers, body)


def _read_body(response: urllib3.BaseHTTPResponse, wanted: int, uri: str) -> bytes:
    """Reads so many bytes, or up to the end; a body may come a byte at a time, and never stall."""
    began, deadline = time.monotonic(), READ_UNTIL.get()
    chunks: list[bytes] = []
    left = wanted
    while left and (chunk := response.read1(min(left, _CHUNK_BYTES), decode_content=False)):
        chunks.append(chunk)
        left -= len(chunk)
        now = time.monotonic()
        if left and now > deadline and wanted - left < FAIR_BYTES_PER_SECOND * (now - began):
            raise TransientError(
                f"{uri}: only {wanted - left:,} bytes came in {now - began:.0f} s", reason="stall"
            )
    return b"".join(chunks)


def _too_large(max_bytes: int) -> FileTooLargeError:
    return FileTooLargeError(f"more bytes than --max_image_bytes={max_bytes}")


def _is_short(error: HTTPError) -> bool:
    causes = (*error.args, error.__cause__)
    return isinstance(error, ProtocolError) and any(
        isinstance(cause, http.client.IncompleteRead) for cause in causes
    )
