"""Rows of several data files, taken in any order."""

import pathlib
import pickle

import numpy as np
import pyarrow as pa

from transforms.lifecycle.stored_rows import StoredRows, read_table
from transforms.runs.data_writer import OutputFile


def test_rows_come_as_asked_and_no_file_but_the_first_stays_in_memory(
    tmp_path: pathlib.Path,
) -> None:
    paths = [str(tmp_path / f"{number}.parquet") for number in range(3)]
    for number, path in enumerate(paths):
        rows = pa.record_batch({"value": [10.0 * number, 10.0 * number + 1]})
        output = OutputFile(path, rows.schema, "parquet")
        output.write(rows)
        output.close()
    stored = StoredRows(paths, [2, 2, 2], read_table(paths[0], ["value"]))
    assert stored.take([5, 0, 2, 5, 3])["value"].to_pylist() == [21, 0, 10, 21, 11]
    assert stored.take([]).num_rows == 0
    for path in paths[1:]:
        pathlib.Path(path).unlink()
    assert stored.take([1, 0])["value"].to_pylist() == [1, 0]
    held = [value for value in vars(stored).values() if isinstance(value, pa.Table)]
    assert [table.num_rows for table in held] == [2]


def test_the_way_to_rows_crosses_a_stage_without_them(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "0.parquet")
    rows = pa.record_batch({"value": np.random.default_rng(0).random(10_000)})
    output = OutputFile(path, rows.schema, "parquet")
    output.write(rows)
    output.close()
    stored = StoredRows([path], [10_000], read_table(path, ["value"]))
    crossed = pickle.dumps(stored.take)
    assert len(crossed) < 2_000
    assert pickle.loads(crossed)([9_999, 0]).equals(stored.take([9_999, 0]))
    assert pickle.loads(crossed)([]).equals(stored.take([]))
    nothing = StoredRows([], [], pa.table({}))
    assert pickle.loads(pickle.dumps(nothing.take))([]).num_columns == 0
