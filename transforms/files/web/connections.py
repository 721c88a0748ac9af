"""Connections to servers of the web, kept open for the next request.

Python's own http.client: it reads no ~/.netrc, keeps no cookies, and follows no redirect by itself.
"""

import base64
import collections
import contextlib
import http.client
import ipaddress
import select
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from importlib import metadata
from urllib.parse import unquote, urlsplit

from transforms.files.web.addresses import connect, is_public, private_address
from transforms.files.web.robots_txt import PRODUCT
from transforms.files.web.urls import WebUrl

CONNECT_SECONDS = 5.0
"""Time to be connected: of lists of URLs, many name servers that are gone."""

STALL_SECONDS = 20.0
"""Longest time without a byte."""

IDLE_CONNECTIONS = 64
"""Kept open by a process, to all servers together."""


def _user_agent() -> str:
    try:
        return f"{PRODUCT}/{metadata.version(PRODUCT)}"
    except metadata.PackageNotFoundError:  # Run from its directory.
        return PRODUCT


HEADERS = {
    "User-Agent": _user_agent(),
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
"""All that a server is told; nobody is sent credentials or cookies."""


class Connections:
    """The open connections of a process. Safe to use from several threads.

    Proxies are those of the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY. A proxy looks names
    up itself, so that of a name it alone can know the address.
    """

    def __init__(self, *, allow_private_hosts: bool) -> None:
        self._allow_private_hosts = allow_private_hosts
        self._context = ssl.create_default_context()
        self._idle: collections.deque[tuple[str, http.client.HTTPConnection]] = collections.deque()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def answer(
        self, url: WebUrl, method: str, headers: Mapping[str, str], seconds: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Sends one request; the answer can be read inside, for so many seconds in all.

        Raises:
            NotFoundError, PermissionDeniedError: As connect.
            OSError, http.client.HTTPException: If it does not work.
        """
        proxy = _proxy_of(url)
        connection = self._take(url.origin) or self._make(url, proxy)
        is_forwarded = proxy is not None and url.scheme == "http"
        target = url.origin + url.target if is_forwarded else url.target
        sent = HEADERS | dict(headers)
        if is_forwarded and (credentials := _credentials_of(proxy or "")):
            sent["Proxy-Authorization"] = credentials
        expired = threading.Event()
        watch = threading.Timer(seconds, _break, [connection, expired])
        watch.daemon = True
        response = None
        is_broken = False
        try:
            if connection.sock is None:
                connection.connect()
                connection.sock.settimeout(STALL_SECONDS)  # type: ignore[attr-defined]
            watch.start()
            connection.request(method, target, headers=sent)
            response = connection.getresponse()
            yield response
            if expired.is_set():  # What was read may look whole, and is not.
                raise TimeoutError
        except (OSError, http.client.HTTPException) as error:
            is_broken = True
            if expired.is_set():
                raise TimeoutError(f"no whole answer in {seconds:g} s") from error
            raise
        finally:
            watch.cancel()
            if response is not None and _is_at_its_end(response) and not is_broken:
                self._keep(url.origin, connection)
            else:
                if response is not None:
                    response.close()  # It may have taken the connection over.
                connection.close()

    def close(self) -> None:
        """Closes what is open and not in use."""
        with self._lock:
            while self._idle:
                self._idle.pop()[1].close()

    def _take(self, origin: str) -> http.client.HTTPConnection | None:
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place][0] == origin:
                    _, connection = self._idle[place]
                    del self._idle[place]
                    break
            else:
                return None
        if _is_open(connection):
            return connection
        connection.close()
        return None

    def _keep(self, origin: str, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.append((origin, connection))
            dropped = self._idle.popleft() if len(self._idle) > IDLE_CONNECTIONS else None
        if dropped:
            dropped[1].close()

    def _make(self, url: WebUrl, proxy: str | None) -> http.client.HTTPConnection:
        context = self._context if url.scheme == "https" else None
        if proxy is None:
            return _Connection(url, context, allow_private_hosts=self._allow_private_hosts)
        if not self._allow_private_hosts:
            _check_is_not_written_private(url.host)
        parts = urlsplit(proxy)
        if parts.scheme != "http" or not parts.hostname:
            raise OSError(f"a proxy by {parts.scheme or 'no'} scheme is not known; wanted http://")
        place = parts.hostname, parts.port or 80
        if context is None:
            return http.client.HTTPConnection(*place, timeout=CONNECT_SECONDS)
        tunnel = http.client.HTTPSConnection(*place, timeout=CONNECT_SECONDS, context=context)
        credentials = _credentials_of(proxy)
        tunnel.set_tunnel(
            url.host, url.port, {"Proxy-Authorization": credentials} if credentials else {}
        )
        return tunnel


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, by TLS if there is a context."""

    def __init__(
        self, url: WebUrl, context: ssl.SSLContext | None, *, allow_private_hosts: bool
    ) -> None:
        super().__init__(url.host, url.port, timeout=CONNECT_SECONDS)
        self.default_port = 443 if context else 80  # Left out of the Host header.
        self._context = context
        self._allow_private_hosts = allow_private_hosts

    def connect(self) -> None:
        connection = connect(
            self.host, self.port, CONNECT_SECONDS, allow_private_hosts=self._allow_private_hosts
        )
        if self._context is not None:
            try:
                connection = self._context.wrap_socket(
                    connection, server_hostname=self.host.rstrip(".")
                )
            except (OSError, ValueError):
                connection.close()
                raise
        self.sock = connection


def _proxy_of(url: WebUrl) -> str | None:
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return None if proxy is None or urllib.request.proxy_bypass(url.host) else proxy


def _credentials_of(proxy: str) -> str | None:
    parts = urlsplit(proxy)
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _check_is_not_written_private(host: str) -> None:
    """Raises PermissionDeniedError for an address, however it is written, and for localhost."""
    try:
        text = str(ipaddress.ip_address(host))
    except ValueError:
        try:
            text = socket.inet_ntoa(socket.inet_aton(host))  # Also 0x7f.1 and 2130706433.
        except OSError:
            text = "127.0.0.1" if f".{host.rstrip('.')}".endswith(".localhost") else ""
    if text and not is_public(text):
        raise private_address(host, text)


def _is_at_its_end(response: http.client.HTTPResponse) -> bool:
    """Whether a connection can be used again: all was read, and more may follow."""
    return response.isclosed() and not response.length and not response.will_close


def _is_open(connection: http.client.HTTPConnection) -> bool:
    """Whether a kept connection is still there: what can be read of it now is its end."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return not waiting.poll(0)


def _break(connection: http.client.HTTPConnection, expired: threading.Event) -> None:
    """Ends whatever another thread waits for."""
    expired.set()
    with contextlib.suppress(OSError, AttributeError):
        # Not SSLSocket's own, under which the other thread would lose its footing.
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
