"""Files whose names do not say what they are, told by their first bytes.

TensorFlow's ImageNet script writes train-00000-of-01024, which is a TFRecord. Of such names one
look at the bytes is worth it: an open each, and few where thousands are named alike.
"""

import collections
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from transforms.errors import NotFoundError, PermissionDeniedError, UnavailableError, brief
from transforms.files.tf_record import is_tfrecord
from transforms.files.uris import read_beginning
from transforms.inputs.entries import Entry
from transforms.inputs.extensions import IMAGE_EXTENSIONS, OTHER_EXTENSIONS
from transforms.inputs.kinds import kind_of_name
from transforms.records import ShardKind

FILES_ASKED = 256
"""Files named alike that are looked into, spread over all of them."""

READS_AT_ONCE = 16

_SHARD = re.compile(r"[-_.]?\d+-of-\d+$")
_NUMBER = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")
_NO_INPUT = "tfevents"  # TensorBoard's logs are TFRecords, and hold no images.


def is_told_by_name(uri: str) -> bool:
    """Whether a file's name says what it is: cat.jpg, notes.txt and x.tar do, train-0-of-2 not."""
    name = uri.rpartition("/")[2].lower()
    extension = os.path.splitext(_SHARD.sub("", name))[1]
    is_known = extension in IMAGE_EXTENSIONS or extension in OTHER_EXTENSIONS
    return is_known or _NO_INPUT in name or kind_of_name(name) is not ShardKind.IMAGES


def kind_of_file(uri: str) -> ShardKind:
    """Tells what a file holds: by its name, or by its first bytes if that does not say.

    One that is absent, or may not be read, is told by its name: reading it says what is wrong.

    Raises:
        UnavailableError: If a store or a disk does not give its first bytes.
        OSError: If another storage fails.
    """
    if is_told_by_name(uri):
        return kind_of_name(uri)
    try:
        is_one = is_tfrecord(read_beginning(uri))
    except (NotFoundError, PermissionDeniedError):
        is_one = False
    return ShardKind.TFRECORD if is_one else kind_of_name(uri)


def tell_apart(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ShardKind, str | None]]:
    """Tells what files hold whose names do not say it.

    Where most of the files that are named alike are TFRecords, all are: one that is not is damaged,
    and reading it says so. Of train-00000-of-00002, which is one, train-00001-of-00002, which is
    zeros, and LICENSE, two are TFRecords. What cannot be read is what its siblings are.

    Yields:
        Each file, its kind, and None; or, if neither it nor a sibling can be read, why it cannot.
    """
    groups: collections.defaultdict[str, list[Entry]] = collections.defaultdict(list)
    for entry in entries:
        groups[_NUMBER.sub("0", entry.uri.lower())].append(entry)
    with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="first-bytes") as threads:
        for group in groups.values():
            asked = [entry.uri for entry in _spread(group)]
            answers = dict(zip(asked, threads.map(_ask, asked), strict=True))
            found = {uri: told for uri, told in answers.items() if isinstance(told, bool)}
            refusal = None if found else str(answers[asked[0]])
            are_most = bool(found) and 2 * sum(found.values()) >= len(found)
            for entry in group:
                is_one = are_most or found.get(entry.uri, False)
                yield entry, ShardKind.TFRECORD if is_one else ShardKind.IMAGES, refusal


def _spread(group: Sequence[Entry]) -> list[Entry]:
    count = min(len(group), FILES_ASKED)
    return [group[place * len(group) // count] for place in range(count)]


def _ask(uri: str) -> bool | str:
    """Tells whether a file is a TFRecord, or why nobody can tell; one that has gone is none."""
    try:
        return is_tfrecord(read_beginning(uri))
    except NotFoundError:
        return False
    except (PermissionDeniedError, UnavailableError, OSError) as error:
        return brief(error).removeprefix(f"{uri}: ")
