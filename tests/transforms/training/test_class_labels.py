import pathlib

import numpy as np
import pyarrow as pa
import pytest

from transforms.errors import InputError
from transforms.runs.row_labels import labels_of_column, labels_of_directories
from transforms.training.class_labels import encode_labels, labels_of_csv


def chunked(*values: object) -> pa.ChunkedArray:
    """Returns the values in two chunks."""
    middle = len(values) // 2
    whole = pa.array(list(values))
    return pa.chunked_array([whole.slice(0, middle), whole.slice(middle)])


def test_the_directory_of_an_image_is_its_label() -> None:
    uris = chunked("/data/cats/1.jpg", "gs://b/dogs/2.jpg", "3.jpg", "/a/cats/4.jpg")
    lists = labels_of_directories(uris)
    assert lists.to_pylist() == [["cats"], ["dogs"], None, ["cats"]]
    labels = encode_labels(lists, exclusive=True)
    assert labels.names == ("cats", "dogs")
    assert labels.is_labelled.tolist() == [True, True, False, True]
    assert labels.indices.tolist() == [0, 1, 0]
    assert labels.count().tolist() == [2, 1]


@pytest.mark.parametrize(
    ("column", "lists"),
    [
        (chunked("b", None, "a"), [["b"], None, ["a"]]),
        (chunked(3, 11, None), [["3"], ["11"], None]),
        (chunked(True, False), [["true"], ["false"]]),
        (chunked(["a", "b"], [], None), [["a", "b"], [], None]),
        (chunked([b"a"], [b"\xc3\xa9"]), [["a"], ["é"]]),
    ],
)
def test_a_column_of_text_numbers_or_lists_holds_labels(
    column: pa.ChunkedArray, lists: list[list[str] | None]
) -> None:
    found = labels_of_column(column)
    assert found.to_pylist() == lists
    assert found.type == pa.list_(pa.large_string())  # Of strings, 2 GiB would be the end.


@pytest.mark.parametrize(
    "column", [chunked(0.5, 1.5), chunked([0.5], [1.5]), chunked(b"\xff", b"a")]
)
def test_other_columns_hold_no_labels(column: pa.ChunkedArray) -> None:
    with pytest.raises(InputError, match=r"labels are of type .*, wanted"):
        labels_of_column(column)


def test_numbers_are_in_order_of_their_value() -> None:
    names = encode_labels(labels_of_column(chunked(10, 9, 2, 9)), exclusive=True).names
    assert names == ("2", "9", "10")
    names = encode_labels(labels_of_column(chunked("10", "9", "x")), exclusive=True).names
    assert names == ("10", "9", "x")


def test_targets_are_those_of_the_rows_asked_for() -> None:
    lists = labels_of_column(chunked(["a", "c"], [], ["b"], None, ["c"]))
    labels = encode_labels(lists, exclusive=False)
    assert labels.is_labelled.tolist() == [True, True, True, False, True]
    targets = labels.targets(np.array([4, 0, 1, 2]))
    assert targets.tolist() == [[0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]]
    kept = labels.select(np.array([True, False, False, False, True]))
    assert kept.targets(np.array([0, 1])).tolist() == [[1, 0, 1], [0, 0, 1]]
    assert kept.count().tolist() == [1, 0, 2]


def test_an_empty_list_is_no_label_where_classes_exclude_each_other() -> None:
    labels = encode_labels(labels_of_column(chunked(["a"], [], ["b"])), exclusive=True)
    assert labels.is_labelled.tolist() == [True, False, True]


def test_a_csv_labels_images_in_any_order_and_several_times(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('label,image_id\nx,3\n"a, b",1\ny,3\nz,9\nz,8\n', encoding="utf-8-sig")
    lists, note = labels_of_csv(str(path), chunked("1", "2", "3"))
    assert lists.to_pylist() == [["a, b"], None, ["x", "y"]]
    assert note == f"2 image_ids of {path} have no vector: 9, 8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "image_id,label\nq,x\nr,y\n",
            "none of its 2 image_ids is among the vectors, such as q, r",
        ),
        ("id,label\n1,x\n", "have the columns .*'id', 'label'.*, wanted image_id and label"),
        ("image_id,label\n", "have no rows"),
        ('image_id,label\n1,"x\n', "are not CSV"),
    ],
)
def test_a_csv_that_says_nothing_is_refused(
    tmp_path: pathlib.Path, content: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        labels_of_csv(str(tmp_path / "labels.csv"), chunked("1", "2"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([["a", "b"], ["a"]], "1 images have several labels, such as .*--activation sigmoid"),
        ([["a"], ["a"]], "1 classes .a., wanted at least 2"),
        ([None, None, []], "0 classes .no image has a label., wanted at least 2"),
        ([["a"], [""]], "an image has an empty label"),
        ([["a"], ["b\nc"]], "a label has a line break: 'b.nc'"),
    ],
)
def test_labels_that_make_no_classes_are_refused(
    values: list[list[str] | None], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encode_labels(pa.array(values, pa.list_(pa.string())), exclusive=True)
