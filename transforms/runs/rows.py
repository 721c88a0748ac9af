"""The rows of a published run, read back; their numbers count through its files in order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import ImageError, InputError, brief
from transforms.results import ShardResult
from transforms.runs.data_file import iter_rows
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun, read_published_run
from transforms.runs.root import latest_run
from transforms.schemas import EMBEDDING, IMAGE_ID

DAMAGE = (ImageError, OSError, pa.ArrowException, UnicodeError)
"""What reading a damaged data file raises."""

_SHOWN_IDS = 3


def open_run(handle: str) -> PublishedRun:
    """Reads the record of a published run.

    Args:
        handle: Directory of the run, or the root of refreshes: then the run that LATEST names.

    Raises:
        InputError: If there is no complete run.
    """
    directory = absolute_output(handle)
    try:
        return read_published_run(latest_run(directory) or directory)
    except (OSError, ValueError) as error:  # ValueError: an unknown scheme.
        raise InputError(f"{handle} cannot be read: {brief(error)}") from error


def read_shard(
    record: Mapping[str, Any], shard: ShardResult, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Reads columns of a shard, in order, some rows at a time; without rows one empty batch.

    Args:
        record: The _run.json of its run.
        shard: Shard of the run.
        names: Columns of the output; a carried column of a TFRecord is one of lists.

    Raises:
        InputError: If the file is damaged.
    """
    carried = record["columns"]["carry_columns"]
    try:
        yield from iter_rows(shard.data.path, names, carried)
    except DAMAGE as error:
        raise InputError(f"{shard.data.path} cannot be read: {brief(error)}") from error


def read_run(run: PublishedRun, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Reads columns of all rows, in order, some rows at a time.

    Raises:
        InputError: If a file is damaged.
    """
    for shard in run.results:
        yield from (batch for batch in read_shard(run.record, shard, names) if batch.num_rows)


def take_rows(run: PublishedRun, rows: npt.NDArray[np.int64], names: Sequence[str]) -> pa.Table:
    """Reads columns of some rows; files that hold none of them are not opened.

    Args:
        run: The run.
        rows: int64 [count], numbers of rows, each at most once, in any order.
        names: Columns of the output.

    Returns:
        The rows, in the order of `rows`.

    Raises:
        InputError: If a file is damaged.
    """
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    parts: list[pa.Table] = []
    first = 0
    for shard in run.results:
        inside = wanted[(wanted >= first) & (wanted < first + shard.rows)] - first
        if len(inside):
            parts.extend(_take_of_shard(run, shard, inside, names))
        first += shard.rows
    if not parts:
        shard = run.results[0]
        return pa.Table.from_batches([next(read_shard(run.record, shard, names)).slice(0, 0)])
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata()
    return table.take(pa.array(np.argsort(order, kind="stable")))


def to_matrix(column: pa.Array, path: str) -> npt.NDArray[np.float32]:
    """Returns a column of vectors as [rows, embedding_dim]; of float32 without a copy.

    Args:
        column: Vectors, at least one row.
        path: Path of the file that it is from.

    Raises:
        InputError: If the vectors are of different lengths.
    """
    values = column.flatten().to_numpy(zero_copy_only=False)
    dim = len(values) // len(column)
    if not pa.types.is_fixed_size_list(column.type):
        lengths = np.diff(column.offsets.to_numpy())
        if (lengths != dim).any():
            raise InputError(f"{path} has vectors of different lengths")
    return values.reshape(len(column), dim).astype(np.float32, copy=False)


def read_vectors(
    run: PublishedRun, rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float32]:
    """Reads the vectors of some rows, or of all, into memory.

    Args:
        run: A run of pipelines.embed.
        rows: int64 [count], numbers of rows, ascending; None for all.

    Returns:
        float32 [count, embedding_dim], in the order of `rows`; [0, 0] if there are none.

    Raises:
        InputError: If a file is damaged, or has fewer rows or other vectors than its run says.
    """
    total = sum(shard.rows for shard in run.results)
    vectors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
    filled = first = 0
    count = total if rows is None else len(rows)
    for shard in run.results:
        start, end = first, first + shard.rows
        first = end
        if rows is not None and not ((rows >= start) & (rows < end)).any():
            continue
        for batch in read_shard(run.record, shard, [EMBEDDING]):
            if not batch.num_rows:
                continue
            matrix = to_matrix(batch.column(0), shard.data.path)
            if rows is not None:
                inside = rows[(rows >= start) & (rows < start + len(matrix))] - start
                start += len(matrix)
                matrix = matrix[inside]
            if not vectors.size:
                vectors = np.empty((count, matrix.shape[1]), np.float32)
            if matrix.shape[1] != vectors.shape[1] or filled + len(matrix) > count:
                raise InputError(
                    f"{shard.data.path} has {matrix.shape[1]} numbers a vector and more rows than "
                    f"_run.json says, wanted {vectors.shape[1]} numbers and {shard.rows} rows"
                )
            vectors[filled : filled + len(matrix)] = matrix
            filled += len(matrix)
    if filled != count:
        raise InputError(f"{run.directory} has {filled:,} vectors, _run.json says {count:,}")
    return vectors


def _take_of_shard(
    run: PublishedRun, shard: ShardResult, rows: npt.NDArray[np.int64], names: Sequence[str]
) -> Iterator[pa.Table]:
    """Yields rows of one shard, ascending."""
    first = 0
    for batch in read_shard(run.record, shard, names):
        inside = rows[(rows >= first) & (rows < first + batch.num_rows)] - first
        if len(inside):
            yield pa.Table.from_batches([batch]).take(pa.array(inside))
        first += batch.num_rows
        if first > rows[-1]:
            return
    raise InputError(f"{shard.data.path} has {first} rows, _run.json says {shard.rows}")


def find_rows(run: PublishedRun, image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Finds images by their image_id.

    Args:
        run: The run.
        image_ids: Keys, any number, also one twice.

    Returns:
        int64 [image_ids], numbers of rows.

    Raises:
        InputError: If one is not there; names those that are like it. If a file is damaged.
    """
    wanted = pa.array(image_ids, pa.string())
    found: dict[str, int] = {}
    for first, ids in _read_ids(run):
        here = pc.indices_nonzero(pc.is_in(ids, value_set=wanted))
        names = ids.take(here).to_pylist()
        found |= {name: first + row for name, row in zip(names, here.to_pylist(), strict=True)}
    for image_id in image_ids:
        if image_id not in found:
            raise InputError(
                f"{run.directory} has no image_id {image_id!r}; {_similar(run, image_id)}"
            )
    return np.array([found[image_id] for image_id in image_ids], np.int64)


def _read_ids(run: PublishedRun) -> Iterator[tuple[int, pa.Array]]:
    """Yields some image_ids at a time, and the number of the first."""
    first = 0
    for batch in read_run(run, [IMAGE_ID]):
        yield first, batch.column(0)
        first += batch.num_rows


def _similar(run: PublishedRun, image_id: str) -> str:
    """Names a few ids that hold a text, or else the text's last part, in any case."""
    last = image_id.replace("\\", "/").rpartition("/")[2]
    for text in dict.fromkeys(filter(None, (image_id, last))):
        shown: list[str] = []
        for _, ids in _read_ids(run):
            matching = ids.filter(pc.match_substring(ids, text, ignore_case=True))
            shown += matching.slice(0, _SHOWN_IDS).to_pylist()
            if len(shown) >= _SHOWN_IDS:
                break
        if shown:
            return f"like it are {', '.join(map(repr, shown[:_SHOWN_IDS]))}"
    for _, ids in _read_ids(run):
        return f"its ids are such as {ids[0].as_py()!r}"
    return "it holds no images"
