"""URLs of the web: which URIs are some, and what of one is sent to whom.

https://Bücher.example:8443/a b/%41.jpg?q=1#top

host    xn--bcher-kva.example    looked up, and named to the server
port    8443
target  /a%20b/%41.jpg?q=1       what was encoded already stays as it is
"""

import re
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import idna

PORTS = {"http": 80, "https": 443}

_WEB = re.compile(r"https?://", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+")
"""A name, or an address of IPv4 or IPv6; 0x7f.1 is a name, which is looked up."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""And halves of characters, which cannot be sent."""

_SAFE = "!$%&'()*+,/:;=?@[]~"
"""Characters that are sent as they are, beside letters, digits and _.-~; see RFC 3986."""

_MOST_CHARS = 8192
"""Longest URL: few servers take a longer one (RFC 9110, 4.1)."""


class WebUrl(NamedTuple):
    """A URL in parts, as they are sent.

    Attributes:
        scheme: "http" or "https".
        host: Name in ASCII, or an address without brackets.
        port: Port, also where the URL leaves it out.
        target: Path and query, percent-encoded; what a server is asked for.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """The server, such as https://example.org:443: what has limits and a robots.txt."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def robots_txt(self) -> "WebUrl":
        """The URL of the server's robots.txt."""
        return self._replace(target="/robots.txt")


def is_web_uri(uri: str) -> bool:
    """Whether a URI is on the web: http:// or https://, in any case."""
    return _WEB.match(uri) is not None


def parse_url(uri: str) -> WebUrl:
    """Takes a URL apart.

    Raises:
        ValueError: If it cannot be one, or holds a name or password; the message repeats nothing
            of it.
    """
    if len(uri) > _MOST_CHARS:
        raise ValueError(f"the URL is longer than {_MOST_CHARS:,} characters")
    if _CONTROL.search(uri):  # urlsplit would drop line ends and tabs.
        raise ValueError("the URL holds a control character")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:  # Its message may hold a password.
        raise ValueError("the URL's host or port cannot be one") from None
    if parts.scheme not in PORTS:
        raise ValueError(f"it leads to {parts.scheme or 'no scheme'}:; wanted http or https")
    if "@" in parts.netloc:
        raise ValueError("the URL holds credentials, which are sent to nobody; take them out")
    host = _ascii(parts.hostname or "")
    if port == 0:
        raise ValueError("port 0 is none")
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE)
    return WebUrl(parts.scheme, host, port or PORTS[parts.scheme], target)


def without_query(uri: str) -> str:
    """Returns a URL up to its query: its end tells what a file is. Other URIs stay as they are."""
    return re.split(r"[?#]", uri, maxsplit=1)[0] if is_web_uri(uri) else uri


def follow(url: WebUrl, location: str) -> WebUrl:
    """Returns where a redirect leads to.

    Raises:
        ValueError: If that cannot be a URL of the web, or leaves https for http.
    """
    # Servers send UTF-8, which http.client takes for Latin-1.
    location = location.encode("latin-1").decode("utf-8", "replace").strip()
    found = parse_url(urljoin(url.origin + url.target, location))
    if url.scheme == "https" and found.scheme == "http":
        raise ValueError(f"it leads from https to http, at {found.host}")
    return found


def _ascii(host: str) -> str:
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError(f"the name of the host cannot be one: {error}") from error
    if not _HOST.fullmatch(host) or ".." in host:
        raise ValueError("the URL names no host, or one that cannot be")
    return host.lower()
