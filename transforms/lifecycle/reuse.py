"""Which images of a shard need no model: the run before has their rows, or a twin of theirs.

A shard is sifted in three phases:

1. before_reading, by the listing. What is listed as it was keeps its row, and is never opened: an
   image, or a file with all its images.
2. after_reading, by content, one part after the other. What has the bytes of an earlier row keeps
   that row; what has the bytes of another image of the shard waits for the row of that.
3. after_the_last, by what never came: the images that are gone. Of a file that ended early, or did
   not open, nobody knows: they keep their rows. Where these are of no use, they fail by name.
   Nothing is said of a divided file here: what a span lacks another one may have.

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
from collections.abc import Mapping, Sequence

import pyarrow as pa

from transforms.batches import ReusedRows
from transforms.failure import Failure
from transforms.inputs.part import ReadPart
from transforms.lifecycle.previous_files import PreviousFiles
from transforms.lifecycle.previous_rows import (
    PreviousRows,
    load_previous,
    rows_as_before,
    rows_as_read,
)
from transforms.records import Change, ImageRef, Shard
from transforms.runs.row_ids import image_of_row
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
        has_rows: bool = False,
    ) -> None:
        """Reads the predecessor, if there is one.

        Args:
            shard: The shard.
            carried: The carried columns.
            computed: Names of the columns that this run would compute.
            deduplicate: Whether images of one content share a row's work.
            has_rows: Whether ids are those of transforms.runs.row_ids.
        """
        self._shard = shard
        self._carried = carried
        self._deduplicate = deduplicate
        self._has_rows = has_rows
        self._previous = PreviousRows.none()
        self._keeps_all = shard.predecessor is not None and shard.predecessor.keeps_all
        self._files: PreviousFiles | None = None
        if shard.predecessor is not None:
            self._previous = load_previous(shard.predecessor, computed, carried.names)
            if shard.files:
                self._files = PreviousFiles(shard, shard.predecessor, self._previous)
        # What the phases hand on: images that are still there, the first image of each content.
        self._seen: set[str] = set()
        self._first_of_content: dict[str, str] = {}
        self.kept_versions: dict[str, str | None] = {}

    def before_reading(self) -> tuple[Shard, ReadPart]:
        """Tells what must be read of the shard from what need not be: the first phase.

        Returns:
            The shard with what is to be read, in order; the others' rows and failures.
        """
        if self._files is not None:
            return self._files_before_reading(self._files)
        to_read: list[ImageRef] = []
        kept: list[ImageRef] = []
        failures: list[Failure] = []
        changes: collections.Counter[Change] = collections.Counter()
        for ref in self._shard.refs:
            lasting = self._previous.lasting_failure(ref.image_id)
            if not self._previous.stays(ref, keeps_all=self._keeps_all):
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
        self.kept_versions = self._previous.untold_versions(kept)
        rows = [self._previous.row_of_id[ref.image_id] for ref in kept]
        contents = [self._previous.content_of_row[row] for row in rows]
        reused = self._reused(rows_as_read(kept, contents, self._carried), rows, [], changes)
        shard = dataclasses.replace(self._shard, refs=tuple(to_read))
        return shard, self._part(failures=tuple(failures), reused=reused)

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
            changes[self._fate(failure.image_id)] += 1
            if self._files is not None:
                self._files.meet(failure)
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
            A part without images; or, of files that were not read to their ends, with those that
            may be in the rest of them.
        """
        if self._files is not None:
            lost, unreached = self._files.gone(self._seen)
            deleted = collections.Counter({Change.DELETED: len(lost)})
            return self._unreached(self._files, unreached, deleted)
        before = {*self._previous.row_of_id, *self._previous.failures} - self._previous.unlisted
        gone = [image_id for image_id in before - self._seen if self._belongs_here(image_id)]
        reused = self._nothing(collections.Counter({Change.DELETED: len(gone)}))
        return self._part(reused=self._counted_before(reused))

    def _files_before_reading(self, files: PreviousFiles) -> tuple[Shard, ReadPart]:
        """Keeps the rows and failures of files that are as they were."""
        unread = files.unread()
        images = files.images_of(unread)
        kept = self._as_before(images) if images else None
        if kept is None:
            return self._shard, self._part(reused=self._nothing())
        self._seen.update(images)
        to_read = tuple(file for file in self._shard.files if file.uri not in unread)
        return dataclasses.replace(self._shard, files=to_read), kept

    def _unreached(
        self,
        files: PreviousFiles,
        ends: Mapping[str, Failure],
        changes: collections.Counter[Change],
    ) -> ReadPart:
        """Keeps the rows of images that nobody can tell are gone, or fails them by name.

        Of a.tar, whose images 1 to 4 have rows, 1 and 2 are read, and then the file ends: 3 and 4
        keep their rows. With another recipe 3 and 4 are failures, that of 3

            Failure("3", "a.tar#2", "read", "NotReached", "the run before read it, this one ...")

        Args:
            files: Files that they were in.
            ends: Failure that stands for the rest of its file, by image_id.
            changes: Images by kind of change that are counted with them.
        """
        kept = self._as_before(sorted(ends), changes) if self._previous.is_reusable else None
        if kept is not None and kept.reused is not None:
            return kept._replace(reused=self._counted_before(kept.reused))
        failures = tuple(files.not_reached(image_id, ends[image_id]) for image_id in sorted(ends))
        changes.update(map(self._fate, ends))
        return self._part(failures=failures, reused=self._counted_before(self._nothing(changes)))

    def _as_before(
        self, images: Sequence[str], changes: collections.Counter[Change] | None = None
    ) -> ReadPart | None:
        """Gives images of files their rows and failures of before; None if columns differ.

        Args:
            images: Their image_ids.
            changes: Images by kind of change that are counted with them.
        """
        previous, predecessor = self._previous, self._shard.predecessor
        assert predecessor is not None, "only then is anything known of before"
        rows = [previous.row_of_id[i] for i in images if i in previous.row_of_id]
        as_read = rows_as_read([], [], self._carried)
        if rows:
            as_read = rows_as_before(predecessor, rows, self._carried)
        if as_read is None:
            return None
        failures = tuple(previous.failures[i] for i in images if i not in previous.row_of_id)
        counted = collections.Counter({Change.UNCHANGED: len(images), Change.REUSED: len(rows)})
        reused = self._reused(as_read, rows, [], counted + (changes or collections.Counter()))
        return self._part(failures=failures, reused=reused)

    def _nothing(self, changes: collections.Counter[Change] | None = None) -> ReusedRows:
        as_read = rows_as_read([], [], self._carried)
        return self._reused(as_read, [], [], changes or collections.Counter())

    def _counted_before(self, reused: ReusedRows) -> ReusedRows:
        """Puts in the changes that were counted when the shard was done before by this run."""
        predecessor = self._shard.predecessor
        if predecessor is not None and predecessor.changes is not None:
            counted = {Change(name): count for name, count in predecessor.changes.items()}
            reused = dataclasses.replace(reused, changes=counted)
        return reused

    def _fate(self, image_id: str, content: str | None = None) -> Change:
        """Says what became of an image since the run before, and notes that it is there."""
        self._seen.add(image_id)
        return self._previous.fate(image_id, content)

    def _belongs_here(self, image_id: str) -> bool:
        """Whether an image of the parent is of this shard: of two halves, each has its own."""
        count, key = self._shard.image_shard_count, self._previous.image_of(image_id)
        key = image_of_row(image_id) if self._has_rows else key
        return count is None or shard_index(key, count) == self._shard.key.index

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
        duplicates = as_read.slice(0, 0) if duplicates is None else duplicates
        predecessor = self._shard.predecessor
        if predecessor is None:
            changes = collections.Counter({Change.DUPLICATE: changes[Change.DUPLICATE]})
        elif predecessor.changes is not None:  # Counted when the shard was done before.
            changes = collections.Counter()
        return ReusedRows(
            kept=as_read,
            duplicates=duplicates.append_column(DUPLICATE_OF, pa.array(firsts, pa.string())),
            changes=dict(+changes),
            rows=tuple(rows),
            take=self._previous.stored.take,
        )

    def _part(self, *, failures: tuple[Failure, ...] = (), reused: ReusedRows) -> ReadPart:
        rows = pa.RecordBatch.from_pylist([], schema=read_schema(self._carried))
        return ReadPart(rows, (), failures, reused)
