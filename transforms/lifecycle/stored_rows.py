"""Rows of data files as one table, of which a file is read once one of its rows is wanted.

Of two files of three rows each, row 4 is the second of the second file: take([4]) reads that one.
One file is held at a time, and the first.
"""

import bisect
import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms.runs.data_file import iter_rows


def read_table(path: str, columns: Sequence[str]) -> pa.Table:
    """Reads columns of every row of a data file.

    Raises:
        CorruptRecordError: If it lacks a column.
    """
    return pa.Table.from_batches(iter_rows(path, columns))


class StoredRows:
    """The rows of data files, one file after the other."""

    def __init__(self, paths: Sequence[str], row_counts: Sequence[int], first: pa.Table) -> None:
        """Reads none of the files.

        Args:
            paths: The files.
            row_counts: Number of rows in each of them.
            first: Rows of the first one, with the columns that are wanted of each.
        """
        self._paths = paths
        self._starts = [0, *itertools.accumulate(row_counts)]
        self._names = first.schema.names
        self._first: pa.Table | None = first

    def __getstate__(self) -> dict[str, Any]:
        """Crosses a stage, with each batch of a shard, without the rows of a file: megabytes."""
        return {**vars(self), "_first": None if self._paths else self._first}

    def take(self, rows: Sequence[int]) -> pa.Table:
        """Returns some of the rows, in the order asked for."""
        places = sorted(range(len(rows)), key=rows.__getitem__)
        parts = [self._table(0).slice(0, 0)]
        for file, own in itertools.groupby((rows[place] for place in places), self._file_of):
            numbers = [row - self._starts[file] for row in own]
            parts.append(self._table(file).take(pa.array(numbers, pa.int64())))
        back = sorted(range(len(places)), key=places.__getitem__)
        return pa.concat_tables(parts).take(pa.array(back, pa.int64()))

    def _file_of(self, row: int) -> int:
        return bisect.bisect_right(self._starts, row) - 1

    def _table(self, file: int) -> pa.Table:
        if file == 0 and self._first is not None:
            return self._first
        return read_table(self._paths[file], self._names)
