"""The rows of a shard that is gathered before it is written: computed, kept, and copied ones."""

import collections
import dataclasses
from collections.abc import Callable, Sequence

import pyarrow as pa

from transforms.boxes import number_of_box
from transforms.failure import Failure
from transforms.lifecycle.reuse import DUPLICATE_OF
from transforms.records import ShardKind
from transforms.runs.file_accounts import file_of, place_of
from transforms.schemas import IMAGE_ID, URI


def gather_rows(
    computed: pa.Table,
    kept: pa.Table,
    duplicates: pa.Table,
    failures: Sequence[Failure],
    kind: ShardKind,
) -> tuple[pa.Table, tuple[Failure, ...]]:
    """Makes a shard's rows of three kinds, in the order in which an undisturbed run writes them.

    With the example of reuse:

        computed  d [4.0]    kept  b [2.0], a [1.0]    duplicates  e, duplicate_of d
        ->  a [1.0], b [2.0], d [4.0], e [4.0]

    Had d failed, d and e would be failures, and a and b the rows.

    Args:
        computed: Rows of the output schema, from the model.
        kept: Rows of the predecessor, with all of the output's columns in any order.
        duplicates: Rows as read and `duplicate_of`, the image_id in computed or among the failures
            that has the same content.
        failures: The failed images.
        kind: Images are in order of image_id, rows of files in that of the files.

    Returns:
        The rows, in the output schema, and the failures; a twin of a failed image fails too.
    """
    schema = computed.schema
    parts = [computed]
    if kept.num_rows:
        parts.append(kept.select(schema.names).cast(schema))
    row_of_id = {key: row for row, key in enumerate(computed[IMAGE_ID].to_pylist())}
    firsts = duplicates[DUPLICATE_OF].to_pylist()
    good = [row for row, first in enumerate(firsts) if first in row_of_id]
    if good:
        parts.append(_copies(duplicates.take(good), computed, [row_of_id[firsts[r]] for r in good]))
    failure_of_id = {failure.image_id: failure for failure in failures}
    ids, uris = (duplicates[name].to_pylist() for name in (IMAGE_ID, URI))
    twins = tuple(
        dataclasses.replace(failure_of_id[first], image_id=ids[row], uri=uris[row])
        for row, first in enumerate(firsts)
        if first not in row_of_id
    )
    order = _order(kind)
    rows = pa.concat_tables(parts)
    places = [
        order(*key) for key in zip(rows[IMAGE_ID].to_pylist(), rows[URI].to_pylist(), strict=True)
    ]
    by_place = sorted(range(len(places)), key=places.__getitem__)
    ordered = sorted([*failures, *twins], key=lambda f: order(f.image_id, f.uri))
    return rows.take(pa.array(by_place, pa.int64())).combine_chunks(), tuple(ordered)


def check_accounted(
    rows: pa.Table, failures: Sequence[Failure], planned: Sequence[str], shard: object
) -> None:
    """Checks that each planned image is a row or a failure, once.

    Raises:
        RuntimeError: If not.
    """
    found = collections.Counter(rows[IMAGE_ID].to_pylist())
    found.update(failure.image_id for failure in failures)
    wrong = sorted((found - collections.Counter(planned)) | (collections.Counter(planned) - found))
    if wrong:
        raise RuntimeError(f"shard {shard}: {len(wrong)} images lost or twice, first {wrong[0]!r}")


def _copies(duplicates: pa.Table, computed: pa.Table, rows: list[int]) -> pa.Table:
    """Makes rows of duplicates: what was read is their own, the rest that of their first."""
    carried = duplicates.schema.names
    model = computed.take(pa.array(rows, pa.int64()))
    columns = [
        duplicates[name] if name in carried else model[name] for name in computed.schema.names
    ]
    return pa.Table.from_arrays(columns, schema=computed.schema)


_Place = tuple[str, tuple[int, int], str, int]


def _order(kind: ShardKind) -> Callable[[str, str], _Place]:
    return _by_id if kind is ShardKind.IMAGES else _by_place


def _by_id(image_id: str, uri: str) -> _Place:
    return image_id, (0, 0), uri, 0


def _by_place(image_id: str, uri: str) -> _Place:
    place, number = place_of(uri), number_of_box(image_id)
    # A failure that stands for a whole file has no place in it. Boxes of an image have the same.
    return (uri, (0, 0), uri, number) if place is None else (file_of(uri), place, uri, number)
