"""Data files: rows in, the same rows out, whatever the batches; size and hash are true."""

import hashlib
import itertools
import pathlib

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.runs.data_writer import OutputFile
from transforms.runs.formats.parquet import ROW_GROUP_ROWS
from transforms.runs.image_ids import read_ids
from transforms.schemas import classification_schema, embedding_schema
from transforms.steps.to_embeddings import to_embedding_column

DIM = 3


def rows(start: int, stop: int, dtype: str = "float32") -> pa.RecordBatch:
    schema = embedding_schema(DIM, dtype, pa.schema([("tag", pa.int64())]), {"model": "m"})
    numbers = range(start, stop)
    vectors = np.array([[n, n / 2, -n] for n in numbers], np.float32).reshape(-1, DIM)
    columns = [
        pa.array([f"id-{n}" for n in numbers], pa.string()),
        pa.array([f"/photos/{n}" for n in numbers], pa.string()),
        to_embedding_column(vectors, schema.field("embedding").type),
        pa.array([n + 1 for n in numbers], pa.int32()),
        pa.array([n + 2 for n in numbers], pa.int32()),
        pa.array([f"{n:064x}" for n in numbers], pa.string()),
        pa.array(numbers, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def write(path: pathlib.Path, batches: list[pa.RecordBatch], output_format: str) -> tuple[int, str]:
    file = OutputFile(str(path), batches[0].schema, output_format)
    for batch in batches:
        file.write(batch)
    assert file.rows == sum(batch.num_rows for batch in batches)
    return file.close()


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_size_and_hash_are_those_of_the_file(tmp_path: pathlib.Path, output_format: str) -> None:
    path = tmp_path / f"x.{output_format}"
    size_bytes, sha256 = write(path, [rows(0, 5)], output_format)
    content = path.read_bytes()
    assert (size_bytes, sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_holds_the_rows_and_the_footer(tmp_path: pathlib.Path, dtype: str) -> None:
    write(tmp_path / "x.parquet", [rows(0, 2, dtype), rows(2, 3, dtype)], "parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema.equals(rows(0, 0, dtype).schema, check_metadata=True)
    assert table.combine_chunks().to_batches()[0].equals(rows(0, 3, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_duckdb_reads_the_vectors(tmp_path: pathlib.Path, dtype: str) -> None:
    write(tmp_path / "x.parquet", [rows(0, 3, dtype)], "parquet")
    query = f"SELECT embedding FROM '{tmp_path / 'x.parquet'}'"
    read = duckdb.connect().execute(query).fetchall()
    assert [list(vector) for (vector,) in read] == rows(0, 3, dtype)["embedding"].to_pylist()


@pytest.mark.parametrize(("dtype", "is_split"), [("float32", True), ("float16", False)])
def test_the_vector_column_has_no_dictionary_and_is_split_by_byte(
    tmp_path: pathlib.Path, dtype: str, is_split: bool
) -> None:
    write(tmp_path / "x.parquet", [rows(0, 100, dtype)], "parquet")
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    by_name = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    vector = by_name["embedding.list.element"]
    assert ("BYTE_STREAM_SPLIT" in vector.encodings) == is_split
    assert not vector.has_dictionary_page
    assert vector.compression == "ZSTD"


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_the_bytes_do_not_depend_on_the_batches(tmp_path: pathlib.Path, output_format: str) -> None:
    count = ROW_GROUP_ROWS + 10
    whole = write(tmp_path / f"a.{output_format}", [rows(0, count)], output_format)
    cuts = [*range(0, count, 999), count]
    parts = [rows(a, b) for a, b in itertools.pairwise(cuts)]
    assert write(tmp_path / f"b.{output_format}", parts, output_format) == whole


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_ids_are_read_back(tmp_path: pathlib.Path, output_format: str) -> None:
    path = tmp_path / f"x.{output_format}"
    write(path, [rows(0, 2)], output_format)
    assert list(read_ids(str(path))) == [("id-0", "/photos/0"), ("id-1", "/photos/1")]


def test_an_empty_shard_is_a_readable_file(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "x.parquet", [rows(0, 0)], "parquet")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0


def test_rows_of_another_schema_are_refused(tmp_path: pathlib.Path) -> None:
    file = OutputFile(str(tmp_path / "x.parquet"), rows(0, 0).schema, "parquet")
    with pytest.raises(ValueError, match="got rows of"):
        file.write(rows(0, 1, "float16"))
    file.abandon()


def test_class_columns_are_lists_of_any_length() -> None:
    schema = classification_schema(pa.schema([]), {})
    assert schema.field("score").type == pa.list_(pa.field("element", pa.float32()))
