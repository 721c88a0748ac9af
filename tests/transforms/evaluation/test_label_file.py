"""Files of labels: three formats, two keys, and what is wrong with them."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.errors import InputError
from transforms.evaluation.label_file import read_label_file


def test_three_formats_say_the_same(tmp_path: pathlib.Path) -> None:
    csv, jsonl, parquet = (tmp_path / f"truth{end}" for end in (".csv", ".jsonl", ".parquet"))
    csv.write_text('label,note,image_id\n3,x,a\n"b, c",y,é\n,z,d\n', encoding="utf-8-sig")
    jsonl.write_text(
        '{"image_id": "a", "label": 3}\n{"image_id": "é", "label": "b, c"}\n{"image_id": "d"}\n'
    )
    table = {"image_id": ["a", "é", "d"], "label": ["3", "b, c", None]}
    pq.write_table(pa.table(table), parquet)
    for path in (csv, jsonl, parquet):
        labels = read_label_file(str(path))
        assert labels.key == "image_id"
        assert labels.labels == {"a": "3", "é": "b, c", "d": ""}


def test_a_uri_is_relative_to_the_file_as_in_a_manifest(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("uri,label\ncats/1.jpg,cat\ngs://b/2.jpg,dog\n/abs/3.jpg,cat\n")
    labels = read_label_file(str(path))
    assert labels.key == "uri"
    assert [*labels.labels] == [f"{tmp_path}/cats/1.jpg", "gs://b/2.jpg", "/abs/3.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("truth.txt", "a", r"got a file in '.txt', wanted .csv, .tsv, .jsonl, .*parquet"),
        ("truth.csv", "id,label\na,b\n", "columns id, label; wanted image_id .or uri. and label"),
        ("truth.csv", "image_id,label\n", "have no rows"),
        ("truth.csv", "image_id,label\na,b,c\n", "truth.csv:2: 3 fields; the header has 2"),
        ("truth.csv", "image_id,label\na,b\na,c\n", "csv:3: a is labelled 'c', and 'b' before"),
        ("truth.jsonl", '{"image_id": "a", "label": 0.5}', "jsonl:1: label is '0.5'; wanted text"),
        ("truth.parquet", "no", "cannot read labels .*damaged Parquet"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: pathlib.Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_label_file(str(tmp_path / name))


def test_a_file_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"cannot read labels .*no\.csv"):
        read_label_file(str(tmp_path / "no.csv"))


def test_an_image_may_have_its_label_twice(tmp_path: pathlib.Path) -> None:
    (tmp_path / "truth.csv").write_text("image_id,label\na,b\na,b\n")
    assert read_label_file(str(tmp_path / "truth.csv")).labels == {"a": "b"}
