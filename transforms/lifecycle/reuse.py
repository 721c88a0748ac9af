"""Which images of a shard need no model: the run before has their rows, or a twin of theirs.

A shard is sifted in three phases:

1. before_reading, by the listing. What is listed as it was keeps its row, and is never opened.
2. after_reading, by content, one part after the other. What has the bytes of an earlier row keeps
   that row; what has the bytes of another image of the shard waits for the row of that.
3. after_the_last, by what never came: the images that are gone. Of a file that ended early, or did
   not open, nobody knows: they keep their rows. Where these are of no use, they fail by name.
   Otherwise nothing is said of a file here: what a span lacks another one may have.

An example, with deduplicate on. The run before has a, b and c; the listing of now a, b, d and e. b
was touched, and e is a copy of d:

    before  image_id  version  content  row        now  image_id  version  content
            a         1        A        [1.0]           a         1        not opened
            b         1        B        [2.0]           b         2        B
            c         1        C        [3.0]           d         1        D
                                                        e         1        D

    phase                    to read  to the model  kept     duplicates  changes
    before_reading()         b d e                  a [1.0]              unchanged 1, reused 1
    after_reading(b, d, e)            d             b [2.0]  e of d      unchanged 1, reused 1,
                                                                         new 2, duplicate 1
    after_the_last()                                                     deleted 1

The model sees one image of four. gathered_rows makes of it a [1.0], b [2.0], d and e, e as d.
"""

import collections
import dataclasses
from collections.abc import Sequence

import pyarrow as pa

from transforms.batches import ReusedRows
from transforms.errors import NotReachedError
from transforms.failure import CUT_SHORT, UNOPENED, Failure
from transforms.inputs.part import ReadPart
from transforms.lifecycle.previous_rows import (
    PreviousRows,
    load_previous,
    rows_as_before,
    rows_as_read,
    uris_of,
)
from transforms.records import Change, ImageRef, Shard
from transforms.runs.sharding import shard_index
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, read_schema

DUPLICATE_OF = "duplicate_of"


class ShardReuse:
    """One shard's images, sifted in three phases: a method each, called in this order."""

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
        # What the phases hand on to one another: the images that are still there, by image_id, and
        # the first image of each content_sha256.
        self._seen: set[str] = set()
        self._first_of_content: dict[str, str] = {}
        self.kept_versions: dict[str, str | None] = {}  # Of unread images that no listing tells.
        self._end: Failure | None = None  # Of a file that was not read to its end.

    def before_reading(self) -> tuple[list[ImageRef], ReadPart]:
        """Tells the listed images that must be read from those that need not be: the first phase.

        Returns:
            The images to read, in order, with what the run before knew of their versions; and the
            others' rows and failures.
        """
        to_read: list[ImageRef] = []
        kept: list[ImageRef] = []
        failures: list[Failure] = []
        changes: collections.Counter[Change] = collections.Counter()
        for ref in self._shard.refs:
            lasting = self._previous.lasting_failure(ref.image_id)
            if not self._stays(ref):
                to_read.append(self._previous.as_known(ref))
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
        unlisted = [self._previous.as_known(ref) for ref in kept if ref.version is None]
        self.kept_versions = {ref.image_id: ref.version for ref in unlisted}
        rows = [self._previous.row_of_id[ref.image_id] for ref in kept]
        contents = [self._previous.content_of_row[row] for row in rows]
        as_read = rows_as_read(kept, contents, self._carried)
        reused = self._reused(as_read, rows, [], changes)
        return to_read, self._part(failures=tuple(failures), reused=reused)

    def after_reading(self, part: ReadPart) -> ReadPart:
        """Takes the images out of what was read whose content is known: the second phase.

        Args:
            part: Batch of the images that must be read, as read; they come in order.

        Returns:
            What the model must see, the failures, and the rows that are known.
        """
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
            if self._stands_for_many(failure):
                self._end = failure
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

    def after_the_last(self) -> ReadPart:
        """Counts the images of the predecessor that are gone: the third phase.

        Returns:
            A part without images; or, of a file that was not read to its end, with those that may
            be in the rest of it.
        """
        previous = self._previous
        before = {*previous.row_of_id, *previous.failures} - previous.unlisted
        before -= {i for i, earlier in previous.failures.items() if self._stands_for_many(earlier)}
        gone = [image_id for image_id in before - self._seen if self._belongs_here(image_id)]
        if self._end is not None and (rest := self._in_span(gone)):
            return self._unreached(sorted(rest), self._end)
        is_file = self._shard.file is not None
        changes = collections.Counter({Change.DELETED: 0 if is_file else len(gone)})
        reused = self._reused(rows_as_read([], [], self._carried), [], [], changes)
        return self._part(reused=self._counted_before(reused))

    def _unreached(self, gone: Sequence[str], end: Failure) -> ReadPart:
        """Keeps the rows of images that nobody can tell are gone, or fails them by name.

        Of a.tar, whose images 1 to 4 have rows, 1 and 2 are read, and then the file ends: 3 and 4
        keep their rows. With another recipe 3 and 4 are failures, that of 3

            Failure("3", "a.tar#2", "read", "NotReached", "the run before read it, this one ...")
        """
        previous, predecessor = self._previous, self._shard.predecessor
        assert predecessor is not None, "only then is an image gone"
        changes: collections.Counter[Change] = collections.Counter()
        rows = [previous.row_of_id[i] for i in gone if i in previous.row_of_id]
        failures = [previous.failures[i] for i in gone if i not in previous.row_of_id]
        as_read = rows_as_before(predecessor, rows, self._carried) if previous.is_reusable else None
        if as_read is not None:
            changes.update({Change.UNCHANGED: len(gone), Change.REUSED: len(rows)})
        else:
            uris = {failure.image_id: failure.uri for failure in failures}
            uris |= uris_of(predecessor, rows)
            as_read, rows = rows_as_read([], [], self._carried), []
            error = NotReachedError(f"the run before read it, this one cannot: {end.message}")
            failures = [
                Failure(i, uri, end.step, error.error_type, str(error)) for i, uri in uris.items()
            ]
            changes.update(self._fate(image_id, None) for image_id in gone)
        reused = self._counted_before(self._reused(as_read, rows, [], changes))
        return self._part(failures=tuple(failures), reused=reused)

    def _stands_for_many(self, failure: Failure) -> bool:
        """Whether a failure is the rest of a file, or a whole one, and no image."""
        is_file = self._shard.file is not None
        return is_file and failure.reason in CUT_SHORT | UNOPENED

    def _counted_before(self, reused: ReusedRows) -> ReusedRows:
        """Puts in the changes that were counted when the shard was done before by this run."""
        predecessor = self._shard.predecessor
        if predecessor is not None and predecessor.changes is not None:
            counted = {Change(name): count for name, count in predecessor.changes.items()}
            reused = dataclasses.replace(reused, changes=counted)
        return reused

    def _stays(self, ref: ImageRef) -> bool:
        """Whether what the run before made of an image holds, by the listing alone."""
        predecessor = self._shard.predecessor
        if predecessor is None or not self._previous.is_reusable:
            return False
        if predecessor.keeps_all:
            return ref.image_id in self._previous.row_of_id
        return self._previous.is_listed_alike(ref)

    def _fate(self, image_id: str, content: str | None) -> Change:
        """Says what became of an image since the run before, and notes that it is there.

        Args:
            image_id: The image.
            content: Hash of its bytes, as in content_sha256; None if it could not be read.
        """
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

    def _in_span(self, gone: Sequence[str]) -> list[str]:
        """Returns which images of the run before were where the shard's span of the file is."""
        file, predecessor = self._shard.file, self._shard.predecessor
        if file is None or file.span is None or predecessor is None:
            return list(gone)
        previous = self._previous
        uris = {i: failure.uri for i, failure in previous.failures.items()}
        uris |= uris_of(
            predecessor, [previous.row_of_id[i] for i in gone if i in previous.row_of_id]
        )
        index = {image_id: uris[image_id].rpartition("#")[2] for image_id in gone}
        return [i for i in gone if index[i].isdigit() and file.span.covers(int(index[i]))]

    def _reused(
        self,
        as_read: pa.Table,
        rows: Sequence[int],
        firsts: Sequence[str],
        changes: collections.Counter[Change],
        duplicates: pa.Table | None = None,
    ) -> ReusedRows:
        """Puts together what a part reuses.

        Args:
            as_read: Images that keep a row, as read.
            rows: Row number of the predecessor that each keeps.
            firsts: The image_id whose row each duplicate shares.
            changes: Number of images of each kind of change.
            duplicates: Images that share the row of another one, as read; None if there are none.
        """
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
