"""Which images two runs share, row for row: by image_id, and by content where an id is gone."""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError, brief
from transforms.runs.embedding_runs import check_unique
from transforms.runs.failures import read_failed_ids
from transforms.runs.image_ids import digest_ids
from transforms.runs.record import PublishedRun
from transforms.runs.rows import DAMAGE, read_run
from transforms.schemas import CONTENT_SHA256, IMAGE_ID

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Digests = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, eq=False)
class RunJoin:
    """The rows of two runs, put together. Every row is in one place.

    Attributes:
        before: int64 [pairs], rows of the earlier run that the later one has too; ascending.
        after: int64 [pairs], the same images' rows in the later run.
        is_unchanged: bool [pairs], whether the content is the same; of moved ones it is.
        is_moved: bool [pairs], whether the same content has another image_id.
        removed: int64 [some], rows of the earlier run that the later one lacks.
        added: int64 [some], rows of the later run that the earlier one lacks.
        failing: int64 [some], rows of the earlier run that failed in the later one.
        recovered: int64 [some], rows of the later run that failed in the earlier one.
    """

    before: Rows
    after: Rows
    is_unchanged: Flags
    is_moved: Flags
    removed: Rows
    added: Rows
    failing: Rows
    recovered: Rows

    def __len__(self) -> int:
        """Returns the number of pairs: images that both runs have a row of."""
        return len(self.before)


def join_runs(before: PublishedRun, after: PublishedRun) -> RunJoin:
    """Puts the rows of two runs together.

    An image is the same if its image_id is. Of those that are gone and those that are new, two with
    one content are a moved image; where several have it, as many as both runs have.

    Raises:
        InputError: If a file is damaged, or a run holds an id twice.
    """
    keys_before, keys_after = _Keys.read(before), _Keys.read(after)
    found = _find(keys_before.ids, keys_after.ids)
    kept = np.flatnonzero(found >= 0)
    is_new = np.ones(len(keys_after.ids), bool)
    is_new[found[kept]] = False
    removed, failing = _split(np.flatnonzero(found < 0), keys_before.ids, _failed_ids(after))
    added, recovered = _split(np.flatnonzero(is_new), keys_after.ids, _failed_ids(before))
    gone, come = pair_by_content(keys_before.hashes[removed], keys_after.hashes[added])
    rows_before = np.concatenate([kept, removed[gone]])
    rows_after = np.concatenate([found[kept], added[come]])
    is_moved = np.arange(len(rows_before)) >= len(kept)
    order = np.argsort(rows_before, kind="stable")
    rows_before, rows_after = rows_before[order], rows_after[order]
    return RunJoin(
        before=rows_before,
        after=rows_after,
        is_unchanged=keys_before.hashes[rows_before] == keys_after.hashes[rows_after],
        is_moved=is_moved[order],
        removed=np.delete(removed, gone),
        added=np.delete(added, come),
        failing=failing,
        recovered=recovered,
    )


def pair_by_content(first: Digests, second: Digests) -> tuple[Rows, Rows]:
    """Pairs equal digests one to one; of one that is there several times, the first with the first.

    Args:
        first: Digests of contents; one may be there several times.
        second: Digests to find among the first; one may be there several times.

    Returns:
        Places in the first and in the second, int64 [pairs] each.
    """
    distinct = np.unique(first)
    codes_first, codes_second = _find(first, distinct), _find(second, distinct)
    numbers_first, numbers_second = _occurrences(codes_first), _occurrences(codes_second)
    most = 1 + max(numbers_first.max(initial=0), numbers_second.max(initial=0))
    known = np.flatnonzero(codes_second >= 0)
    _, places, places_known = np.intersect1d(
        codes_first * most + numbers_first,
        (codes_second * most + numbers_second)[known],
        assume_unique=True,
        return_indices=True,
    )
    return places, known[places_known]


class _Keys(NamedTuple):
    """What is compared of a run's rows: 64-bit digests, for texts take four times as much.

    Of a hundred million ids two have one digest with a probability of 0.0003; the rows of these
    two would then be taken for one image.
    """

    ids: Digests
    hashes: Digests

    @classmethod
    def read(cls, run: PublishedRun) -> "_Keys":
        ids, hashes = bytearray(), bytearray()
        for batch in read_run(run, [IMAGE_ID, CONTENT_SHA256]):
            ids += digest_ids(batch.column(0).to_pylist())
            hashes += digest_ids(batch.column(1).to_pylist())
        keys = cls(np.frombuffer(ids, np.uint64), np.frombuffer(hashes, np.uint64))
        if len(np.unique(keys.ids)) < len(keys.ids):
            check_unique(pa.chunked_array([rows.column(0) for rows in read_run(run, [IMAGE_ID])]))
        return keys


def _find(values: Digests, among: Digests) -> Rows:
    """Returns the place of each value, -1 where it is not."""
    places = pc.index_in(pa.array(values), value_set=pa.array(among))
    return pc.fill_null(places, -1).to_numpy().astype(np.int64)


def _split(rows: Rows, ids: Digests, failed: Digests) -> tuple[Rows, Rows]:
    """Splits rows by whether their ids are among those that failed: those that are, last."""
    has_failed = _find(ids[rows], failed) >= 0
    return rows[~has_failed], rows[has_failed]


def _failed_ids(run: PublishedRun) -> Digests:
    try:
        return np.frombuffer(digest_ids(read_failed_ids(run.failures_path)), np.uint64)
    except DAMAGE as error:
        raise InputError(f"{run.failures_path} cannot be read: {brief(error)}") from error


def _occurrences(codes: Rows) -> Rows:
    """Returns how many equal codes are before each."""
    order = np.argsort(codes, kind="stable")
    _, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    return numbers
