"""Files whose names do not say what they are, told by their first bytes.

TensorFlow's ImageNet script writes train-00000-of-01024, which is a TFRecord. Of such names one
look at the bytes is worth it: an open each, and few where thousands are named alike.
"""

import collections
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

READS_AHEAD = 1024
"""Of the files of several groups, whose answers are held until all have come."""

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

    A directory may hold a million names of which no two are alike. Where FILES_ASKED of them are
    all TFRecords, or all none, so are the others; else each is asked.

    Yields:
        Each file, its kind, and None; or, if neither it nor a sibling can be read, why it cannot.
    """
    alike, unlike = _groups(entries)
    with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="first-bytes") as threads:
        for group in unlike:
            told = set(threads.map(_ask, _spread(group)))
            if told in ({True}, {False}):
                yield from ((entry, _kind(is_one=True in told), None) for entry in group)
            else:
                alike += ([entry] for entry in group)
        for lot in _lots(alike):
            asked = [uri for group in lot for uri in _spread(group)]
            answers = dict(zip(asked, threads.map(_ask, asked), strict=True))
            for group in lot:
                yield from _settle(group, answers)


_Group = list[Entry]


def _groups(entries: Iterable[Entry]) -> tuple[list[_Group], list[_Group]]:
    """Puts files together that are named alike; and, by directory, those of too many groups.

    train-0 and train-1 are a group, and so is LICENSE. Of a directory of a million groups, all that
    have few files come as one of the second list, but for shards: train-0-of-2 and train-1-of-2.
    """
    groups: collections.defaultdict[str, _Group] = collections.defaultdict(list)
    for entry in entries:
        groups[_NUMBER.sub("0", entry.uri.lower())].append(entry)
    counts = collections.Counter(pattern.rpartition("/")[0] for pattern in groups)
    alike: list[_Group] = []
    unlike: collections.defaultdict[str, _Group] = collections.defaultdict(list)
    for pattern, group in groups.items():
        directory = pattern.rpartition("/")[0]
        is_lone = len(group) <= FILES_ASKED and not _SHARD.search(pattern)
        if is_lone and counts[directory] > FILES_ASKED:
            unlike[directory] += group
        else:
            alike.append(group)
    return alike, list(unlike.values())


def _lots(groups: Iterable[_Group]) -> Iterator[list[_Group]]:
    """Cuts groups into lots of READS_AHEAD files to ask: a group may be a file."""
    lot: list[_Group] = []
    reads = 0
    for group in groups:
        lot.append(group)
        reads += min(len(group), FILES_ASKED)
        if reads >= READS_AHEAD:
            yield lot
            lot, reads = [], 0
    yield lot


def _settle(
    group: _Group, answers: Mapping[str, bool | str]
) -> Iterator[tuple[Entry, ShardKind, str | None]]:
    """Tells what the files of a group are, by what is known of some."""
    told = {uri: answers[uri] for uri in _spread(group)}
    found = {uri: is_one for uri, is_one in told.items() if isinstance(is_one, bool)}
    refusal = None if found else str(told[group[0].uri])
    are_most = bool(found) and 2 * sum(found.values()) >= len(found)
    for entry in group:
        yield entry, _kind(is_one=are_most or found.get(entry.uri, False)), refusal


def _kind(*, is_one: bool) -> ShardKind:
    return ShardKind.TFRECORD if is_one else ShardKind.IMAGES


def _spread(group: Sequence[Entry]) -> list[str]:
    count = min(len(group), FILES_ASKED)
    return [group[place * len(group) // count].uri for place in range(count)]


def _ask(uri: str) -> bool | str:
    """Tells whether a file is a TFRecord, or why nobody can tell; one that has gone is none."""
    try:
        return is_tfrecord(read_beginning(uri))
    except NotFoundError:
        return False
    except (PermissionDeniedError, UnavailableError, OSError) as error:
        return brief(error).removeprefix(f"{uri}: ")
