"""What became of each of the files that a shard is made of.

An image in a file has the URI of that with "#" and its index, and in a list of images its place
there, as x.parquet#12.3. What stands for the whole file, or for its rest, has the file's URI
itself, or the index at which the rest begins. Of a shard of a.tar, which has three images, and
b.tar, which has one and then ends early:

    rows      a.tar#0, a.tar#2, b.tar#0
    failures  a.tar#1 decode/CorruptImage, b.tar#1 read/TruncatedFile
    accounts  a.tar 3 images; b.tar 1 image, is_cut_short
"""

import collections
import re
from collections.abc import Collection, Iterable, Mapping

from transforms.failure import Failure
from transforms.records import InputFile
from transforms.results import FileAccount

_PLACE = re.compile(r"#(\d+)(?:\.(\d+))?\Z", re.ASCII)


def file_of(uri: str, files: Collection[str] = ()) -> str:
    """Returns the URI of the file that an image, or a failure, is in.

    Args:
        uri: URI of the image, or of a failure.
        files: URIs of the files that it may be of.
    """
    return uri if uri in files else uri.rpartition("#")[0]


def place_of(uri: str) -> tuple[int, int] | None:
    """Returns where in its file an image is: (12, 0) of x.tar#12, and (12, 3) of x.parquet#12.3.

    None of the failure of a whole file.
    """
    match = _PLACE.search(uri)
    return match and (int(match[1]), int(match[2] or 0))


def account_for_files(
    files: Iterable[InputFile], rows: Mapping[str, int], failures: Iterable[Failure]
) -> tuple[FileAccount, ...]:
    """Counts the images of each file.

    Args:
        files: The files of a shard.
        rows: Number of rows by the URI of the file.
        failures: Failures of the shard.
    """
    shard_files = {file.uri: file for file in files}
    failed: collections.defaultdict[str, collections.Counter[str]]
    failed = collections.defaultdict(collections.Counter)
    for failure in failures:
        failed[file_of(failure.uri, shard_files)][failure.reason] += 1
    return tuple(
        FileAccount.of(file, rows.get(uri, 0), failed[uri]) for uri, file in shard_files.items()
    )
