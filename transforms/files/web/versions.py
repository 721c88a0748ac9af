"""Versions of files on the web: what tells, another time, that one is as it was.

It is the answer's ETag, or its Last-Modified where that is as good; after a redirect, also the URL
that answered, since what a server says of one URL means nothing at another.

    ETag: "33a6"                   "33a6"
    ETag: "33a6", redirected       "33a6" https://cdn.example:443/a.jpg
    Last-Modified, a minute old    Sun, 29 Nov 2026 18:00:00 GMT
    ETag: W/"33a6"                 None: the bytes of two states may differ (RFC 9110, 8.8.1)
"""

import email.utils
import http.client
import re
from collections.abc import Mapping
from typing import NamedTuple

from transforms.files.web.urls import WebUrl

SETTLED_SECONDS = 60.0
"""Age from which a Last-Modified is sure: it counts in seconds, and clocks differ.

Source: RFC 9110, 8.8.2.2, wants a second, or enough that clocks do not matter; RFC 7232 wanted 60.
"""

_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
"""A strong one; servers' own have 70 characters at most."""

_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_VERSION = re.compile(rf"({_ETAG.pattern}|{_DATE.pattern})(?: (https?://\S+))?")


class WebFile(NamedTuple):
    """A file as it was read.

    Attributes:
        content: Bytes of it; None if it is of the version that was known.
        version: Version of it; None if the server tells none.
    """

    content: bytes | None
    version: str | None


def version_of(response: http.client.HTTPResponse, asked: WebUrl, answering: WebUrl) -> str | None:
    """Returns the version that an answer tells.

    Args:
        response: Answer.
        asked: URL that was asked for.
        answering: URL that it comes from, after redirects.
    """
    validator = response.getheader("ETag") or ""
    if not _ETAG.fullmatch(validator):
        validator = response.getheader("Last-Modified") or ""
        if not _is_settled(validator, response.getheader("Date") or ""):
            return None
    return validator if answering == asked else f"{validator} {answering.origin}{answering.target}"


def condition(version: str | None, asked: WebUrl, answering: WebUrl) -> Mapping[str, str]:
    """Returns the headers that ask for a file only if it is of another version.

    Args:
        version: Version that is known; None asks for it in any case.
        asked: URL that is asked for.
        answering: URL of this request; the condition is for none but the one that told the version.
    """
    found = _VERSION.fullmatch(version or "")
    if found is None:
        return {}
    validator, place = found.groups()
    told_by = place or f"{asked.origin}{asked.target}"
    if told_by != f"{answering.origin}{answering.target}":
        return {}
    return {"If-None-Match" if validator.startswith('"') else "If-Modified-Since": validator}


def _is_settled(modified: str, date: str) -> bool:
    if not (_DATE.fullmatch(modified) and _DATE.fullmatch(date)):
        return False
    try:
        then, now = (email.utils.parsedate_to_datetime(value) for value in (modified, date))
    except ValueError:  # As the 32nd of a month.
        return False
    return (now - then).total_seconds() >= SETTLED_SECONDS
