"""Reading a data file back: the same columns from both formats."""

import pathlib

import pyarrow as pa
import pytest

from tests.support.batches import NOTHING_CARRIED, output_rows
from transforms.errors import CorruptRecordError
from transforms.runs.data_file import iter_rows
from transforms.runs.data_writer import OutputFile
from transforms.runs.formats.data_format import BATCH_ROWS
from transforms.schemas import classification_schema

COLUMNS = ["content_sha256", "image_id", "width", "embedding"]


def write(path: pathlib.Path, rows: pa.RecordBatch) -> str:
    file = OutputFile(str(path), rows.schema, path.suffix[1:])
    file.write(rows)
    file.close()
    return str(path)


@pytest.mark.parametrize("name", ["x.parquet", "x.tfrecord"])
@pytest.mark.parametrize("count", [0, 3, BATCH_ROWS + 1])
def test_rows_come_back_in_order(tmp_path: pathlib.Path, name: str, count: int) -> None:
    rows = output_rows(*(f"{n:05d}" for n in range(count))).rows
    batches = list(iter_rows(write(tmp_path / name, rows), COLUMNS))
    assert [batch.num_rows for batch in batches] == {
        0: [0], 3: [3], BATCH_ROWS + 1: [BATCH_ROWS, 1],
    }[count]  # fmt: skip
    table = pa.Table.from_batches(batches)
    assert table.to_pylist() == rows.select(COLUMNS).to_pylist()
    assert [str(field.type) for field in table.schema][:3] == ["string", "string", "int32"]


@pytest.mark.parametrize("name", ["x.parquet", "x.tfrecord"])
def test_classes_come_back(tmp_path: pathlib.Path, name: str) -> None:
    schema = classification_schema(NOTHING_CARRIED, {})
    row: dict[str, object] = {"image_id": "a", "uri": "/a", "content_sha256": "00"}
    row |= {"class_index": [2, 0], "class_label": ["c", "é"], "score": [0.75, 0.25]}
    row |= {"width": 2, "height": 1}
    path = write(tmp_path / name, pa.RecordBatch.from_pylist([row], schema=schema))
    names = ["class_index", "class_label", "score"]
    (batch,) = iter_rows(path, names)
    assert batch.to_pylist() == [{key: row[key] for key in names}]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", "b", "a"]).dictionary_encode(), [[b"a"], [b"b"], [b"a"]]),
        (pa.array([1, 2, 1]).dictionary_encode(), [[1], [2], [1]]),
        (
            pa.array([["x"], [], ["y", "z"]], pa.list_(pa.field("points", pa.string()))),
            [[b"x"], [], [b"y", b"z"]],
        ),
        (pa.array([[0.5], [], [1]], pa.list_(pa.field("int", pa.float32()))), [[0.5], [], [1]]),
        (pa.array([True, False, None]), [[1], [0], []]),
    ],
)
def test_carried_columns_come_back_from_a_tfrecord_as_features(
    tmp_path: pathlib.Path, column: pa.Array, expected: list[list[object]]
) -> None:
    rows = output_rows("a", "b", "c").rows.append_column("own", column)
    path = write(tmp_path / "x.tfrecord", rows)
    (batch,) = iter_rows(path, ["image_id", "own"], {"own": str(column.type)})
    assert batch["own"].to_pylist() == expected


@pytest.mark.parametrize("name", ["x.parquet", "x.tfrecord"])
def test_a_column_that_is_not_there_is_said(tmp_path: pathlib.Path, name: str) -> None:
    path = write(tmp_path / name, output_rows("a").rows)
    with pytest.raises(CorruptRecordError, match=r"no .*score"):
        list(iter_rows(path, ["image_id", "score"]))


@pytest.mark.parametrize("name", ["x.parquet", "x.tfrecord"])
def test_damage_is_found(tmp_path: pathlib.Path, name: str) -> None:
    path = pathlib.Path(write(tmp_path / name, output_rows("a", "b").rows))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises((CorruptRecordError, pa.ArrowInvalid)):
        list(iter_rows(str(path), ["image_id"]))
