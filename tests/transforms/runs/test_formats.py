"""The registry of the formats of data files: each is found, and is whole."""

import pathlib
import subprocess
import sys

import pyarrow as pa
import pytest

from tests.support.batches import output_rows
from transforms.errors import CorruptRecordError, OutputError
from transforms.runs.data_file import iter_rows, read_schema
from transforms.runs.data_writer import OutputFile
from transforms.runs.directory import is_data_file
from transforms.runs.formats import FORMATS
from transforms.runs.formats.registry import format_named, format_of


def write(path: pathlib.Path, rows: pa.RecordBatch) -> str:
    file = OutputFile(str(path), rows.schema, path.suffix[1:])
    file.write(rows)
    file.close()
    return str(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_by_its_name_and_by_that_of_a_file(name: str) -> None:
    assert format_of(f"gs://b/run.d/embeddings-00000-of-00001.{name}") is format_named(name)
    assert is_data_file(f"embeddings-00000-of-00001.{name}")


@pytest.mark.parametrize("path", ["x.orc", "/run.parquet/embeddings", "parquet", "x.PARQUET"])
def test_a_file_of_another_format_is_said_to_be_one(path: str) -> None:
    with pytest.raises(CorruptRecordError, match=r"wanted a name that ends in \.parquet or"):
        next(iter_rows(path, ["image_id"]))


@pytest.mark.parametrize("name", FORMATS)
def test_the_names_of_the_columns_are_read_from_the_rows(tmp_path: pathlib.Path, name: str) -> None:
    rows = output_rows("a", "b").rows
    path = write(tmp_path / f"x.{name}", rows)
    assert format_of(path).read_names(path) == set(rows.schema.names)


def test_a_schema_is_read_where_the_format_keeps_one(tmp_path: pathlib.Path) -> None:
    rows = output_rows("a").rows
    found = read_schema(write(tmp_path / "x.parquet", rows))
    assert found is not None
    assert found.equals(rows.schema, check_metadata=True)
    assert read_schema(write(tmp_path / "x.tfrecord", rows)) is None


def test_what_a_format_cannot_hold_is_refused_before_a_run() -> None:
    carried = pa.schema([("taken", pa.timestamp("s"))])
    format_named("parquet").check_carried(carried)
    with pytest.raises(OutputError, match="'taken'"):
        format_named("tfrecord").check_carried(carried)


def test_the_names_of_the_formats_are_known_without_arrow() -> None:
    code = (
        "import sys\n"
        "from transforms.runs.formats import FORMATS\n"
        "assert not {'pyarrow', 'numpy', 'apache_beam'} & sys.modules.keys()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
