"""What one run takes of a shard as it is read: its batches, cut as if it read the shard alone.

Runs read a shard together, each with a run before of its own. What any of them must read is read
once; a run takes of it what it must read itself. An example of two runs of images a to d, in
batches of two. The first is new, the second has rows of a and c already:

    read        [a b]      [c d]      the end
    first run   [a b]      [c d]
    second run                        [b d], with the known a and c
"""

from collections.abc import Sequence

import pyarrow as pa

from transforms.boxes import WITHOUT_BOXES
from transforms.inputs.entries import Skipped
from transforms.inputs.part import ReadPart
from transforms.inputs.passed_over import note
from transforms.lifecycle.refill import Refill
from transforms.lifecycle.reuse import ShardReuse
from transforms.records import ImageRef, InputFile, PassedOver, Shard, ShardKind
from transforms.schemas import IMAGE_ID


class RunBatches:
    """One run's batches of one shard, from what is read of it.

    Attributes:
        shard: The shard, with the run's own predecessor.
        to_read: The shard with what the run must read of it, in order.
    """

    def __init__(
        self,
        shard: Shard,
        carried: pa.Schema,
        computed: Sequence[str],
        batch_size: int,
        *,
        deduplicate: bool,
        shares_rows: bool = False,
        has_boxes: bool = False,
    ) -> None:
        """Reads the predecessor, if there is one.

        Args:
            shard: The shard.
            carried: The carried columns.
            computed: Names of the columns that the run would compute.
            batch_size: Images a batch at most.
            deduplicate: Whether images of one content share a row's work.
            shares_rows: Whether rows that are told apart share the work of their image.
            has_boxes: Whether a row is a box, of which an image in a file has any number.
        """
        deduplicate = deduplicate or shares_rows
        self.shard = self.to_read = shard
        self._reuse: ShardReuse | None = None
        self._refill = Refill(batch_size)
        self._fills_up = has_boxes and bool(shard.files)
        self._passed: dict[str, PassedOver] = {}
        self._begun: list[ReadPart] = []
        if shard.predecessor is not None or deduplicate or len(shard.files) > 1:
            # It is gathered before it is written.
            self._reuse = ShardReuse(
                shard, carried, computed, deduplicate=deduplicate, has_rows=shares_rows
            )
            self.to_read, known = self._reuse.before_reading()
            self._begun = list(self._refill.add(known))
        self._ids = frozenset(ref.image_id for ref in self.to_read.refs)

    def begin(self) -> list[ReadPart]:
        """Returns the batches that there are before anything is read."""
        return self._begun

    def take(self, part: ReadPart, file: InputFile | None) -> list[ReadPart]:
        """Returns the batches that are whole once a part is read.

        Args:
            part: Part of what the runs must read.
            file: File that it is of; None for one of listed images.
        """
        if self._reuse is None:
            self._note_passed(part)
            return list(self._refill.add(part)) if self._fills_up else [part]
        if file is None and len(self._ids) < len(self.shard.refs):
            part = _only(part, self._ids)
        elif file is not None and file not in self.to_read.files:
            return []
        self._note_passed(part)
        return list(self._refill.add(self._reuse.after_reading(part)))

    def end(self) -> list[ReadPart]:
        """Returns the batches that are left once all is read."""
        last = [] if self._reuse is None else self._refill.add(self._reuse.after_the_last())
        return [*last, *self._refill.rest()]

    @property
    def skipped(self) -> tuple[PassedOver, ...]:
        """Images of the shard's files that were passed over so far."""
        return tuple(self._passed.values())

    def versions(self, read: dict[str, str | None]) -> dict[str, str | None]:
        """Returns versions by image_id that the listing did not tell.

        Args:
            read: Those that reading told, of all runs' images.
        """
        known = self._reuse.kept_versions if self._reuse is not None else {}
        return {**known, **{name: read[name] for name in read if name in self._ids}}

    def _note_passed(self, part: ReadPart) -> None:
        for uri in part.without_boxes:
            note(self._passed, Skipped(uri, WITHOUT_BOXES))


def shard_to_read(runs: Sequence[RunBatches]) -> Shard:
    """Returns a shard with what any of its runs must read, in order.

    What one run knows of an image's content, as of one on the web that may not have changed since,
    is of use only if all know the same.
    """
    first, *others = runs
    if not others:
        return first.to_read
    shard = first.shard
    if shard.kind is ShardKind.IMAGES:
        wanted: dict[str, set[ImageRef]] = {}
        for run in runs:
            for ref in run.to_read.refs:
                wanted.setdefault(ref.image_id, set()).add(ref)
        refs = tuple(
            _agreed(ref, wanted[ref.image_id]) for ref in shard.refs if ref.image_id in wanted
        )
        return Shard(shard.key, shard.kind, refs)
    files = {file for run in runs for file in run.to_read.files}
    return Shard(shard.key, shard.kind, files=tuple(file for file in shard.files if file in files))


def _agreed(ref: ImageRef, wanted: set[ImageRef]) -> ImageRef:
    return next(iter(wanted)) if len(wanted) == 1 else ref


def _only(part: ReadPart, ids: frozenset[str]) -> ReadPart:
    """Returns what of a part is of these images."""
    names = part.rows.column(IMAGE_ID).to_pylist()
    rows = [row for row, name in enumerate(names) if name in ids]
    if len(rows) == len(names):
        kept, encoded = part.rows, part.encoded
    else:
        kept = part.rows.take(pa.array(rows, pa.int64()))
        encoded = tuple(part.encoded[row] for row in rows)
    failures = tuple(failure for failure in part.failures if failure.image_id in ids)
    return ReadPart(kept, encoded, failures)
