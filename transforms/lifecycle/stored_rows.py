"""Rows of data files as one table, of which a file is read once one of its rows is wanted.

Of two files of three rows each, row 4 is the second of the second file: take([4]) reads that one.
"""

import bisect
import itertools
from collections.abc import Sequence

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
        self._tables = {0: first}

    def take(self, rows: Sequence[int]) -> pa.Table:
        """Returns some of the rows, in the order asked for."""
        files = [bisect.bisect_right(self._starts, row) - 1 for row in rows]
        wanted = sorted(set(files)) or [0]
        tables = [self._table(file) for file in wanted]
        starts = itertools.accumulate((table.num_rows for table in tables), initial=0)
        moved = {
            file: start - self._starts[file] for file, start in zip(wanted, starts, strict=False)
        }
        places = [row + moved[file] for row, file in zip(rows, files, strict=True)]
        return pa.concat_tables(tables).take(pa.array(places, pa.int64()))

    def _table(self, file: int) -> pa.Table:
        if file not in self._tables:
            columns = self._tables[0].schema.names
            self._tables[file] = read_table(self._paths[file], columns)
        return self._tables[file]
