"""Which images of a shard need no model: the run before has their rows, or a twin of theirs."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from transforms.batches import ReusedRows
from transforms.inputs.part import ReadPart, is_full, take_batch
from transforms.lifecycle.previous_rows import (
    PreviousRows,
    load_previous,
    rows_as_read,
)
from transforms.records import Change, Failure, ImageRef, Shard
from transforms.runs.sharding import shard_index
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, read_schema

DUPLICATE_OF = "duplicate_of"


class ShardReuse:
    """Sifts one shard's images, before and after they are read."""

    def __init__(
        self,
        shard: Shard,
        carried: pa.Schema,
        computed: Sequence[str],
        *,
        deduplicate: bool,
    ) -> None:
        """Reads the predecessor, if there is one.

        Args:
            shard: The shard.
            carried: The carried columns.
            computed: Names of the columns that this run would compute.
            deduplicate: Whether images of one content share a row's work.
        """
        self._shard = shard
        self._carried = carried
        self._deduplicate = deduplicate
        self._previous = PreviousRows.none()
        if shard.predecessor is not None:
            self._previous = load_previous(shard.predecessor, computed)
        self._seen: set[str] = set()
        self._first_of_content: dict[str, str] = {}

    def select(self) -> tuple[list[ImageRef], ReadPart]:
        """Tells the listed images that must be read from those that need not be.

        Returns:
            The images to read, in order, and the others' rows and failures.
        """
        to_read: list[ImageRef] = []
        kept: list[ImageRef] = []
        failures: list[Failure] = []
        changes: collections.Counter[Change] = collections.Counter()
        for ref in self._shard.refs:
            lasting = self._previous.lasting_failure(ref.image_id)
            if not self._stays(ref):
                to_read.append(ref)
            elif ref.image_id in self._previous.row_of_id:
                self._seen.add(ref.image_id)
                kept.append(ref)
                changes.update((Change.UNCHANGED, Change.REUSED))
            elif lasting is not None:
                self._seen.add(ref.image_id)
                failures.append(dataclasses.replace(lasting, uri=ref.uri))
                changes.update((Change.UNCHANGED,))
            else:
                to_read.append(ref)
        rows = [self._previous.row_of_id[ref.image_id] for ref in kept]
        contents = [self._previous.content_of_row[row] for row in rows]
        as_read = rows_as_read(kept, contents, self._carried)
        reused = self._reused(as_read, rows, [], changes)
        return to_read, self._part(failures=tuple(failures), reused=reused)

    def sift(self, part: ReadPart) -> ReadPart:
        """Takes the images out of what was read whose content is known already."""
        ids, contents = (part.rows.column(name).to_pylist() for name in (IMAGE_ID, CONTENT_SHA256))
        changes: collections.Counter[Change] = collections.Counter()
        fresh: list[int] = []
        kept: list[tuple[int, int]] = []
        twins: list[tuple[int, str]] = []
        for row, (image_id, content) in enumerate(zip(ids, contents, strict=True)):
            earlier = self._previous.row_of_content.get(content)
            first = self._first_of_content.setdefault(content, image_id)
            changes[self._fate(image_id, content)] += 1
            if earlier is not None:
                kept.append((row, earlier))
                changes[Change.REUSED] += 1
            elif self._deduplicate and first != image_id:
                twins.append((row, first))
                changes[Change.DUPLICATE] += 1
            else:
                fresh.append(row)
        for failure in part.failures:
            changes[self._fate(failure.image_id, None)] += 1
        table = pa.Table.from_batches([part.rows])
        reused = self._reused(
            table.take(pa.array([row for row, _ in kept], pa.int64())),
            [earlier for _, earlier in kept],
            [first for _, first in twins],
            changes,
            duplicates=table.take(pa.array([row for row, _ in twins], pa.int64())),
        )
        return ReadPart(
            part.rows.take(pa.array(fresh, pa.int64())),
            tuple(part.encoded[row] for row in fresh),
            part.failures,
            reused,
        )

    def finish(self) -> ReadPart:
        """Counts the images of the predecessor that are gone; after the last part."""
        before = {*self._previous.row_of_id, *self._previous.failures}
        gone = [image_id for image_id in before - self._seen if self._belongs_here(image_id)]
        changes = collections.Counter({Change.DELETED: len(gone)})
        reused = self._reused(rows_as_read([], [], self._carried), [], [], changes)
        predecessor = self._shard.predecessor
        if predecessor is not None and predecessor.changes is not None:
            counted = {Change(name): count for name, count in predecessor.changes.items()}
            reused = dataclasses.replace(reused, changes=counted)
        return self._part(reused=reused)

    def _stays(self, ref: ImageRef) -> bool:
        predecessor = self._shard.predecessor
        if predecessor is None or not self._previous.is_reusable:
            return False
        if predecessor.keeps_all:
            return ref.image_id in self._previous.row_of_id
        return self._previous.is_listed_alike(ref)

    def _fate(self, image_id: str, content: str | None) -> Change:
        self._seen.add(image_id)
        row = self._previous.row_of_id.get(image_id)
        if row is not None:
            is_same = self._previous.content_of_row[row] == content
            return Change.UNCHANGED if is_same else Change.CHANGED
        return Change.RETRIED if image_id in self._previous.failures else Change.NEW

    def _belongs_here(self, image_id: str) -> bool:
        """Whether an image of the parent is of this shard: of two halves, each has its own."""
        count = self._shard.image_shard_count
        return count is None or shard_index(image_id, count) == self._shard.key.index

    def _reused(
        self,
        as_read: pa.Table,
        rows: Sequence[int],
        firsts: Sequence[str],
        changes: collections.Counter[Change],
        duplicates: pa.Table | None = None,
    ) -> ReusedRows:
        if duplicates is None:
            duplicates = as_read.slice(0, 0)
        predecessor = self._shard.predecessor
        if predecessor is None:
            changes = collections.Counter({Change.DUPLICATE: changes[Change.DUPLICATE]})
        elif predecessor.changes is not None:  # Counted when the shard was done before.
            changes = collections.Counter()
        return ReusedRows(
            kept=self._previous.keep(rows, as_read),
            duplicates=duplicates.append_column(DUPLICATE_OF, pa.array(firsts, pa.string())),
            changes=dict(+changes),
        )

    def _part(self, *, failures: tuple[Failure, ...] = (), reused: ReusedRows) -> ReadPart:
        rows = pa.RecordBatch.from_pylist([], schema=read_schema(self._carried))
        return ReadPart(rows, (), failures, reused)


def refill(parts: Iterable[ReadPart], batch_size: int) -> Iterator[ReadPart]:
    """Puts what is left of sifted parts together, so that the model sees full batches.

    Args:
        parts: Of a batch at most each; at least one.
        batch_size: Images a batch has, unless it has BATCH_BYTES; the last one has fewer.
    """
    waiting: ReadPart | None = None
    for part in parts:
        waiting = part if waiting is None else _joined(waiting, part)
        while rows := _full_batch(waiting.encoded, batch_size):
            yield ReadPart(
                waiting.rows.slice(0, rows),
                waiting.encoded[:rows],
                waiting.failures,
                waiting.reused,
            )
            assert waiting.reused is not None, "only sifted parts are joined"
            waiting = ReadPart(
                waiting.rows.slice(rows),
                waiting.encoded[rows:],
                (),
                joined_reuse([waiting.reused], limit=0),
            )
    if waiting is not None:
        yield waiting


def _full_batch(encoded: Sequence[bytes], batch_size: int) -> int:
    """Returns how many images make a whole batch, or 0 if there are too few."""
    batch = take_batch(iter(encoded), batch_size, len)
    return len(batch) if is_full(len(batch), sum(map(len, batch)), batch_size) else 0


def joined_reuse(parts: Sequence[ReusedRows], *, limit: int | None = None) -> ReusedRows:
    """Adds up what the batches of a shard reuse; with limit 0, nothing of the same columns."""
    if limit == 0:
        return ReusedRows(parts[0].kept.slice(0, 0), parts[0].duplicates.slice(0, 0))
    changes: collections.Counter[Change] = collections.Counter()
    for part in parts:
        changes.update(part.changes)
    return ReusedRows(
        pa.concat_tables([part.kept for part in parts]),
        pa.concat_tables([part.duplicates for part in parts]),
        dict(changes),
    )


def _joined(first: ReadPart, second: ReadPart) -> ReadPart:
    assert first.reused is not None, "only sifted parts are joined"
    assert second.reused is not None, "only sifted parts are joined"
    return ReadPart(
        pa.concat_batches([first.rows, second.rows]),
        first.encoded + second.encoded,
        first.failures + second.failures,
        joined_reuse([first.reused, second.reused]),
    )
