"""Parquet files of a directory that say something of its images, and hold none.

img2dataset writes one beside each tar, with the urls and captions of what is in it:

    00000.tar           images
    00000.parquet       url, caption, key, status: text and numbers
    00000_stats.json

Hugging Face's ImageFolder has a metadata.parquet among the images.
"""

import functools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from transforms.errors import ImageError
from transforms.inputs.entries import ImageFile, Listed, Skipped
from transforms.inputs.parquet_footers import FOOTERS_AT_ONCE, may_hold_images
from transforms.records import InputFile, ShardKind

REASON = "Parquet without images"


def without_metadata(listed: Iterable[Listed]) -> Iterator[Listed]:
    """Passes on what a directory holds; Parquet without images beside images comes as Skipped.

    A directory of nothing but Parquet gives all of it: there it is the images that are missing,
    which must not go unnoticed. Parquet files come last, as it is known then what is beside them.
    """
    parquet: list[InputFile] = []
    has_others = False
    for found in listed:
        if isinstance(found, InputFile) and found.kind is ShardKind.PARQUET:
            parquet.append(found)
            continue
        has_others = has_others or isinstance(found, ImageFile | InputFile)
        yield found
    if not has_others:
        yield from parquet
        return
    with ThreadPoolExecutor(FOOTERS_AT_ONCE, thread_name_prefix="footers") as threads:
        for file, holds in zip(parquet, threads.map(_may_hold_images, parquet), strict=True):
            yield file if holds else Skipped(file.uri, REASON)


def _may_hold_images(file: InputFile) -> bool:
    try:
        return _footer_tells_images(file)
    except (ImageError, OSError):  # Reading it will say so.
        return True


@functools.lru_cache(maxsize=100_000)
def _footer_tells_images(file: InputFile) -> bool:
    # A launch lists its inputs several times; the file's version is a part of the key.
    return may_hold_images(file.uri)
