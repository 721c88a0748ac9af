"""Files on the web, read by http and https as a good guest reads them.

A request goes to public addresses only, carries no credentials, and asks robots.txt first. At most
MOST_REDIRECTS are followed; each leads to a server of which the same is asked.
"""

import contextlib
import functools
import http.client
import ssl
import threading
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO

from transforms.errors import (
    ImageError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from transforms.files.object_store import StoredObject, TransientError
from transforms.files.web.answers import (
    check_opt_out,
    check_status,
    copy_body,
    discard,
    read_body,
    stored_object,
)
from transforms.files.web.connections import Connections
from transforms.files.web.hosts import Host, Hosts
from transforms.files.web.robots_txt import MAX_BYTES, Robots
from transforms.files.web.urls import WebUrl, follow, parse_url
from transforms.files.web.versions import WebFile, condition, version_of

MOST_REDIRECTS = 5
"""Redirects followed; RFC 9309 wants five for robots.txt, and browsers follow twenty."""

REQUEST_SECONDS = 120.0
"""Time that an answer may take in all: a server that sends a byte now and then is stalling, too."""

COPY_SECONDS = 3600.0
"""Time for a file that is copied: a gigabyte comes at 2 Mbit/s or more."""

ROBOTS_SECONDS = 20.0
"""Time that a robots.txt may take: all that is wanted of its server waits for it."""

_REDIRECTS = (301, 302, 303, 307, 308)
_OF_A_RANGE = (206, 416)
_NOT_MODIFIED = (304,)
_LOCK = threading.Lock()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_HEAD = (403, 405, 501)


class WebStorage:
    """The web. Safe to use from several threads; each call is tried once.

    It has what ObjectStore asks of reading; there is no listing, and nothing is written.
    """

    def __init__(self, *, allow_private_hosts: bool) -> None:
        self._connections = Connections(allow_private_hosts=allow_private_hosts)
        self._hosts = Hosts()

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Reads a file whole.

        Args:
            uri: URL of it.
            max_bytes: Largest size of it, in bytes, also if it comes compressed.

        Raises:
            FileTooLargeError: If it has more than max_bytes; no more is held in memory.
            NotFoundError: If it is not there: 404, 410, no such host, no URL.
            PermissionDeniedError: If it may not be read: 401, 403, 451, robots.txt, X-Robots-Tag, a
                private address, an invalid certificate.
            TransientError: If it did not work this time: 408, 425, 429, 5xx, a reset, a short body.
            UnavailableError: If the server has been down.
        """
        with self._answer(uri, "GET") as response:
            return read_body(response, max_bytes)

    def read_if_changed(self, uri: str, max_bytes: int, known: str | None) -> WebFile:
        """Reads a file whole, unless its server says that it is as it was.

        Args:
            uri: URL of it.
            max_bytes: Largest size of it, in bytes, also if it comes compressed.
            known: Version that an earlier call gave, or None.

        Raises:
            As read.
        """
        conditional = functools.partial(condition, known)
        with self._answer_of(uri, "GET", conditional, _NOT_MODIFIED) as (asked, url, response):
            if response.status != 304:
                return WebFile(read_body(response, max_bytes), version_of(response, asked, url))
            if not conditional(asked, url):
                check_status(response)  # Nobody asked so.
            return WebFile(None, known)

    def copy(self, uri: str, target: BinaryIO, max_bytes: int) -> None:
        """Writes a file that may be large to one of this machine.

        Args:
            uri: URL of it.
            target: Empty file.
            max_bytes: Largest size of it, in bytes, also if it comes compressed.

        Raises:
            As read; TransientError also if target cannot be written.
        """
        with self._answer(uri, "GET", seconds=COPY_SECONDS) as response:
            copy_body(response, target, max_bytes, f"the {max_bytes:,} that such a file may have")

    def read_range(self, uri: str, start: int, stop: int) -> bytes:
        """Reads bytes from start up to stop, or to the end; b"" if it ends before.

        Raises:
            As read.
        """
        if stop <= start:
            return b""
        with self._answer(
            uri, "GET", {"Range": f"bytes={start}-{stop - 1}"}, _OF_A_RANGE
        ) as response:
            if response.status == 416:
                return b""
            if response.status == 206:
                return read_body(response, stop - start)
            # The server knows no ranges: it sends the whole file, which is read so far.
            return read_body(response, stop, cut=True)[start:]

    def stat(self, uri: str) -> StoredObject:
        """Asks for size and version of a file, without its content.

        Raises:
            As read.
            OSError: If the server tells no size.
        """
        with self._answer(uri, "HEAD", also=_NO_HEAD) as response:
            stored = stored_object(uri, response) if response.status == 200 else None
        if stored is None:
            with self._answer(uri, "GET", {"Range": "bytes=0-0"}, _OF_A_RANGE) as response:
                stored = stored_object(uri, response)
        if stored is None:
            raise OSError(f"{uri}: the server tells no size")
        return stored

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._connections.close()

    @contextlib.contextmanager
    def _answer(
        self,
        uri: str,
        method: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        also: Container[int] = (),
        *,
        seconds: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        with self._answer_of(uri, method, lambda *_: headers, also, seconds) as (_, _, response):
            yield response

    @contextlib.contextmanager
    def _answer_of(
        self,
        uri: str,
        method: str,
        headers: Callable[[WebUrl, WebUrl], Mapping[str, str]],
        also: Container[int],
        seconds: float | None = None,
    ) -> Iterator[tuple[WebUrl, WebUrl, http.client.HTTPResponse]]:
        """Follows redirects to an answer that is no refusal, with robots.txt asked at each.

        Args:
            uri: URL.
            method: Method.
            headers: Callback, given the URL and that of a request; returns further headers.
            also: Status that will do beside 200.
            seconds: Time that each answer may take; None is REQUEST_SECONDS.

        Returns:
            The URL, that of the answer, and the answer.
        """
        try:
            asked = url = parse_url(uri)
        except ValueError as error:
            raise NotFoundError(str(error)) from error
        for _ in range(MOST_REDIRECTS + 1):
            host = self._hosts.at(url.origin)
            host.check_robots(url.target, functools.partial(self._fetch_robots, url, host))
            sent = headers(asked, url)
            with self._sent(url, host, method, sent, seconds=seconds) as response:
                location = response.getheader("Location")
                if response.status not in _REDIRECTS or location is None:
                    check_status(response, also)
                    check_opt_out(response)
                    yield asked, url, response
                    return
                discard(response)
            url = _followed(url, location)
        raise NotFoundError(f"more than {MOST_REDIRECTS} redirects, the last to {url.origin}")

    def _fetch_robots(self, url: WebUrl, host: Host) -> Robots:
        """Fetches a server's robots.txt; one that it refuses, or has not, forbids nothing.

        Raises:
            TransientError, UnavailableError: If nobody can know now what it says; RFC 9309 then
                wants nothing fetched.
        """
        at = url.robots_txt
        try:
            for _ in range(MOST_REDIRECTS + 1):
                with self._sent(at, host, "GET", seconds=ROBOTS_SECONDS) as response:
                    location = response.getheader("Location")
                    if response.status not in _REDIRECTS or location is None:
                        check_status(response)
                        text = read_body(response, MAX_BYTES, cut=True).decode(errors="replace")
                        return Robots.parse(text)
                    discard(response)
                at = _followed(at, location)
                host = self._hosts.at(at.origin)
        except UnavailableError:
            raise
        except ImageError:
            return Robots([])
        return Robots([])

    @contextlib.contextmanager
    def _sent(
        self,
        url: WebUrl,
        host: Host,
        method: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        seconds: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        is_answered = False
        with host.asked():
            try:
                seconds = seconds or REQUEST_SECONDS
                with self._connections.answer(url, method, headers, seconds) as response:
                    is_answered = True
                    yield response
                host.answered()
            except ImageError:
                if is_answered:
                    host.answered()
                raise
            except TransientError as error:
                if error.is_throttled:
                    host.pause(error.retry_after_seconds or 0.0)
                raise
            except ssl.SSLCertVerificationError as error:
                raise PermissionDeniedError(
                    f"the certificate of {url.host} is not valid: {error.verify_message}"
                ) from error
            except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
                if not is_answered or isinstance(error, TimeoutError):
                    host.failed()
                raise TransientError(f"{url.origin}: {_words(error)}") from error


def web_storage(*, allow_private_hosts: bool) -> WebStorage:
    """Returns the process's one: servers are asked by all of it together."""
    with _LOCK:  # A cache alone lets threads that start together make one each.
        return _kept_storage(allow_private_hosts)


@functools.cache
def _kept_storage(allow_private_hosts: bool) -> WebStorage:
    return WebStorage(allow_private_hosts=allow_private_hosts)


def _followed(url: WebUrl, location: str) -> WebUrl:
    try:
        return follow(url, location)
    except ValueError as error:
        raise PermissionDeniedError(f"redirected by {url.origin}: {error}") from error


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return str(error) if "whole" in str(error) else "no answer, or it stopped coming"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return f"no proper answer ({type(error).__name__})"
