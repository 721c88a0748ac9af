"""Pages of a store's listing: what is no page is asked for again, and no listing goes in a circle.

A listing of a billion objects has a million pages. One that breaks off, or that is a proxy's
apology with status 200, must neither end the run nor be taken for the last.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from transforms.files.object_store import StoredObject, TransientError
from transforms.files.store_errors import NO_ANSWER

WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Waits before a page is asked for again: another try after each."""


class Page(NamedTuple):
    """Some of a listing.

    Attributes:
        entries: Objects, and URIs of folders.
        following: Token of the page that follows; None if none does.
    """

    entries: list[StoredObject | str]
    following: str | None


def each_page(fetch: Callable[[str | None], Page], bucket: str) -> Iterator[StoredObject | str]:
    """Lists what all pages hold.

    Args:
        fetch: Callback, given the token of a page, or None for the first, which asks for it. What
            a client tries again by itself it need not have tried: a store that is busy, or down.
        bucket: URI of the bucket, for messages.

    Raises:
        TransientError: If a page did not come, though asked for again.
        OSError: If a page is followed by itself.
        NotFoundError, PermissionDeniedError: As fetch.
    """
    token: str | None = None
    while True:
        page = _fetch_again(fetch, token)
        yield from page.entries
        if page.following is None:
            return
        if page.following == token:
            raise OSError(f"{bucket}: its listing has a page that is followed by itself")
        token = page.following


def _fetch_again(fetch: Callable[[str | None], Page], token: str | None) -> Page:
    for wait in WAITS_SECONDS:
        try:
            return fetch(token)
        except TransientError as error:
            if error.reason != NO_ANSWER and not error.is_throttled:
                raise
            time.sleep(wait)
    return fetch(token)
