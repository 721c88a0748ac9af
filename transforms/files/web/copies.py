"""Copies of lists on the web: a manifest or class names, fetched whole before a line is used.

One request gives one state of a list, also where it changes meanwhile, and needs no ranges.
"""

import functools
import io
import tempfile
from typing import cast

from transforms.files.web.storage import WebStorage, web_storage
from transforms.files.web.tries import try_again

MAX_LIST_BYTES = 4 << 30
"""Largest list: fifty million URLs, about, with their captions."""


def open_copy(
    uri: str, max_bytes: int = MAX_LIST_BYTES, *, allow_private_hosts: bool = False
) -> io.BufferedReader:
    """Fetches a file to the directory of temporary ones, where it has no name, and opens it.

    Args:
        uri: URL of it.
        max_bytes: Largest size of it, also if it comes compressed.
        allow_private_hosts: Whether servers may have addresses that are not public.

    Raises:
        FileTooLargeError: If it has more than max_bytes; no more is stored.
        NotFoundError, PermissionDeniedError: As WebStorage.read.
        UnavailableError: If it does not come whole, though asked again.
        OSError: If the disk is full.
    """
    web = web_storage(allow_private_hosts=allow_private_hosts)
    return try_again(functools.partial(_fetch, web, uri, max_bytes))


def _fetch(web: WebStorage, uri: str, max_bytes: int) -> io.BufferedReader:
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by whoever reads it
    try:
        web.copy(uri, copy, max_bytes)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return io.BufferedReader(cast(io.RawIOBase, copy))
