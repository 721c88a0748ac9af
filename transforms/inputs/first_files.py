"""The first files that hold images among the inputs, found without listing all of these."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from transforms.inputs.entries import ImageFile
from transforms.inputs.glob_pattern import has_wildcards
from transforms.inputs.listing import list_source
from transforms.inputs.source import Source
from transforms.records import InputFile, ShardKind

FILES_OF_A_KIND = 64

ENTRIES_LISTED = 5_000
"""Of directories, and globs that may hold anything: listing all takes long on a large store."""


class FirstFiles(NamedTuple):
    """Some TFRecord, Parquet, tar and zip files, each once, in order of listing.

    Attributes:
        files: The first of each kind.
        alone: Those of them in directories that hold no images beside, nor files of other kinds.
    """

    files: tuple[InputFile, ...]
    alone: tuple[InputFile, ...]


def first_files(sources: Sequence[Source]) -> FirstFiles:
    """Lists the beginning of the inputs.

    Raises:
        InputError: If a bucket may not be listed.
    """
    files: dict[str, InputFile] = {}
    alone: list[InputFile] = []
    counts: Counter[ShardKind] = Counter()
    entries_left = ENTRIES_LISTED
    for source in sources:
        is_image = source.kind is ShardKind.IMAGES and not (
            source.is_directory or has_wildcards(source.pattern)
        )
        # Braces may stand for thousands: each would cost an object store's time.
        if is_image or counts[source.kind] >= FILES_OF_A_KIND:
            continue
        entries, found = _first_of(source, entries_left)
        if source.kind is ShardKind.IMAGES:
            entries_left -= entries
        own = [file for file in found if isinstance(file, InputFile) and file.uri not in files]
        for file in own:
            counts[file.kind] += 1
            if counts[file.kind] <= FILES_OF_A_KIND:
                files[file.uri] = file
        if source.is_directory and len({_kind(file) for file in found}) == 1:
            alone += own
    return FirstFiles(tuple(files.values()), tuple(alone))


def _first_of(source: Source, entries_left: int) -> tuple[int, list[ImageFile | InputFile]]:
    """Returns how many entries of an input were looked at, and the files among them."""
    most = entries_left if source.kind is ShardKind.IMAGES else FILES_OF_A_KIND
    entries = list(itertools.islice(list_source(source), most))
    return len(entries), [found for found in entries if isinstance(found, ImageFile | InputFile)]


def _kind(file: ImageFile | InputFile) -> ShardKind:
    return file.kind if isinstance(file, InputFile) else ShardKind.IMAGES
