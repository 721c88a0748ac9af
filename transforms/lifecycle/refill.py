"""Full batches of what reuse has left: the model takes as long for half a batch as for a whole one.

An example, with batches of three. Capitals need the model, and [...] are rows that are known:

    in    A [b c]    D E    F [g h]    I
    out   A D E [b c]    F I [g h]

What is known travels with the first batch that leaves after it was found.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from transforms.batches import ReusedRows
from transforms.boxes import distinct_sizes, same_runs
from transforms.inputs.part import ReadPart, is_full, take_batch


class Refill:
    """Joins what is left of sifted parts, so that the model sees full batches."""

    def __init__(self, batch_size: int) -> None:
        """Begins with nothing.

        Args:
            batch_size: Images a batch has, unless it has BATCH_BYTES; the last one has fewer.
        """
        self._batch_size = batch_size
        self._waiting: ReadPart | None = None

    def add(self, part: ReadPart) -> Iterator[ReadPart]:
        """Takes the next part, of a batch at most; yields the batches that are full now."""
        waiting = part if self._waiting is None else _joined(self._waiting, part)
        while rows := _full_batch(waiting.encoded, self._batch_size):
            yield ReadPart(
                waiting.rows.slice(0, rows),
                waiting.encoded[:rows],
                waiting.failures,
                waiting.reused,
            )
            waiting = ReadPart(
                waiting.rows.slice(rows),
                waiting.encoded[rows:],
                (),
                waiting.reused and waiting.reused.emptied(),
            )
        self._waiting = waiting

    def rest(self) -> Iterator[ReadPart]:
        """Yields what is left: the last batch, if there was any part."""
        if self._waiting is not None:
            yield self._waiting


def _full_batch(encoded: Sequence[bytes], batch_size: int) -> int:
    """Returns how many images make a whole batch, or 0 if there are too few.

    Boxes of one image stay together, unless they are more than a batch.
    """
    sizes = take_batch(iter(distinct_sizes(encoded)), batch_size, int)
    rows = len(sizes)
    if not is_full(rows, sum(sizes), batch_size):
        return 0
    runs = same_runs(encoded[: rows + 1])
    is_cut = rows < len(encoded) and len(runs[-1]) > 1 and len(runs) > 1
    return runs[-1][0] if is_cut else rows


def _joined(first: ReadPart, second: ReadPart) -> ReadPart:
    return ReadPart(
        pa.concat_batches([first.rows, second.rows]),
        first.encoded + second.encoded,
        first.failures + second.failures,
        None if first.reused is None else ReusedRows.joined([first.reused, _reused(second)]),
    )


def _reused(part: ReadPart) -> ReusedRows:
    assert part.reused is not None, "all parts of a shard are sifted, or none"
    return part.reused
