"""Listing a directory of a store, many folders of it at a time, in the order of all its names.

A page of a listing takes its time to come, and the next is not known before it: so what takes long
is split into folders, until there are enough of them to list side by side.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from transforms.files import object_store
from transforms.files.object_store import ObjectStore, StoredObject

LISTINGS = 16
"""Folders listed at a time: a page of 1,000 objects takes a tenth of a second to wait for."""

OBJECTS_AHEAD = 32_000
"""Of each folder that is being listed: about 10 MB."""


def list_directory(
    store: ObjectStore,
    directory_uri: str,
    leaves_out: Callable[[str], bool] = lambda _: False,
) -> Iterator[StoredObject | str]:
    """Lists what list_objects lists, in the same order, several folders at a time.

    Args:
        store: The store.
        directory_uri: A bucket and a slash, or a name in it that ends in a slash.
        leaves_out: Callback, which says of a folder's URI whether to leave it out. Such a folder is
            not listed where folders are found one by one, and comes as its URI. Others are listed
            with what is above them.

    Raises:
        As list_objects.
    """
    entries: list[_Entry] = [_Folder(directory_uri)]
    while True:
        folders = [entry for entry in entries if isinstance(entry, _Folder)]
        to_split = {folder for folder in folders if folder.may_be_split}
        if not to_split or len(folders) >= LISTINGS:
            break
        parts = (
            _split(store, each, leaves_out) if each in to_split else [each] for each in entries
        )
        entries = list(itertools.chain.from_iterable(parts))
    yield from _in_parallel(store, entries)


class _Folder(NamedTuple):
    """What has yet to be listed; its URI ends in a slash."""

    uri: str
    may_be_split: bool = True


_Entry = _Folder | StoredObject | str


def _split(store: ObjectStore, folder: _Folder, leaves_out: Callable[[str], bool]) -> list[_Entry]:
    """Lists the names right in a folder, unless it will not pay.

    That is so where many are objects, or many are folders of few: products/<id>/main.jpg, a request
    each in place of one for a thousand.
    """
    found: list[_Entry] = []
    objects = 0
    folders: list[_Folder] = []
    for entry in store.list_folder(folder.uri):
        is_flat = False
        if isinstance(entry, str) and not leaves_out(entry):
            folders.append(_Folder(entry))
            is_flat = len(folders) == object_store.PAGE_OBJECTS + 1 and _hold_few(store, folders)
        else:
            found.append(entry)
            objects += not isinstance(entry, str)
        if is_flat or objects > object_store.PAGE_OBJECTS:
            return [folder._replace(may_be_split=False)]
    # All names that start alike follow each other, so that folders have a place in the order.
    return sorted([*found, *folders], key=_name)


def _hold_few(store: ObjectStore, folders: list[_Folder]) -> bool:
    """Whether it takes longer to list folders side by side than all in a row, by some of them.

    In a row, a page of PAGE_OBJECTS takes as long as LISTINGS folders of a page or less.
    """

    def count(folder: _Folder) -> int:
        first_page = itertools.islice(store.list_objects(folder.uri), object_store.PAGE_OBJECTS)
        return sum(1 for _ in first_page)

    some = [folders[place * len(folders) // LISTINGS] for place in range(LISTINGS)]
    with ThreadPoolExecutor(LISTINGS, thread_name_prefix="list-objects") as pool:
        return sum(pool.map(count, some)) < object_store.PAGE_OBJECTS


def _name(entry: _Entry) -> bytes:
    return (entry if isinstance(entry, str) else entry.uri).encode()


def _in_parallel(store: ObjectStore, entries: list[_Entry]) -> Iterator[StoredObject | str]:
    """Gives entries in order, with everything below them in their place."""
    folders = iter([entry for entry in entries if isinstance(entry, _Folder)])
    pool = ThreadPoolExecutor(LISTINGS, thread_name_prefix="list-objects")
    begun: deque[tuple[Iterator[StoredObject], Future[list[StoredObject]]]] = deque()

    def begin_next() -> None:
        for folder in itertools.islice(folders, 1):
            objects = store.list_objects(folder.uri)
            begun.append((objects, pool.submit(_take, objects)))

    try:
        for _ in range(LISTINGS):
            begin_next()
        for entry in entries:
            if not isinstance(entry, _Folder):
                yield entry
                continue
            objects, part = begun.popleft()
            begin_next()
            while found := part.result():
                part = pool.submit(_take, objects)
                yield from found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _take(objects: Iterator[StoredObject]) -> list[StoredObject]:
    return list(itertools.islice(objects, OBJECTS_AHEAD))
