"""An --input on the web: the URL of one image. Nothing is asked of its server before it is read."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from transforms.errors import InputError
from transforms.files.web.urls import parse_url
from transforms.inputs.entries import EXCLUDED, Entry, Skipped
from transforms.inputs.kinds import kind_of_name
from transforms.inputs.manifest_formats import MANIFEST_FORMATS, manifest_extension
from transforms.inputs.source import Source
from transforms.records import ShardKind

_WILDCARD = re.compile(r"[*\[\]]")
"""A question mark begins a query there."""


def classify_web(uri: str, told: ShardKind | None) -> Source:
    """Takes a URL for that of an image.

    Raises:
        InputError: If it is something else by its looks: a directory, a glob, a file of images.
    """
    try:
        parse_url(uri)
    except ValueError as error:
        raise InputError(f"--input is no URL that can be read: {error}") from error
    path = urlsplit(uri).path
    if path in ("", "/") or path.endswith("/") or _WILDCARD.search(path):
        raise InputError(
            f"--input {uri!r}: the web cannot be listed; name images, or give their URLs as "
            "--manifest"
        )
    if (told or kind_of_name(path)) is not ShardKind.IMAGES:
        raise InputError(
            f"--input {uri!r}: of the web only images are read, and lists of them as --manifest; "
            "download TFRecord, Parquet, tar and zip files first: what breaks off in the middle of "
            "one cannot be tried again alone"
        )
    if manifest_extension(path) in MANIFEST_FORMATS:
        raise InputError(f"--input {uri!r}: a list of images is given as --manifest")
    folder = uri.partition("?")[0].rpartition("/")[0]
    return Source(ShardKind.IMAGES, uri, folder, is_directory=False, format=ShardKind.IMAGES)


def list_web(source: Source) -> Iterator[Entry | Skipped]:
    """Gives the one image, whose size nobody has asked for."""
    is_excluded = source.excluded_part(source.pattern) is not None
    yield Skipped(source.pattern, EXCLUDED) if is_excluded else Entry(source.pattern, None, None)
