import collections

import pyarrow as pa
import pytest

from transforms.errors import CorruptRecordError
from transforms.inputs.json_values import (
    MOST_DEPTH,
    as_numbers,
    find_value,
    fitted,
    parse_json,
    type_of,
    type_of_most,
)


def nested(depth: int, inner: object = 1) -> object:
    """Returns a value in so many lists."""
    return nested(depth - 1, [inner]) if depth else inner


def test_lists_around_a_value_have_a_depth() -> None:
    inside = {"a": 1}
    assert find_value(nested(MOST_DEPTH, inside), "a") == nested(MOST_DEPTH)
    for depth in (MOST_DEPTH + 1, 900):
        with pytest.raises(CorruptRecordError, match="more than 8 lists in lists around 'a'"):
            find_value(nested(depth, inside), "a")


def test_what_is_on_the_way_is_told_however_deep_it_is() -> None:
    content = {"a": 3, "b": [nested(900)]}
    with pytest.raises(CorruptRecordError, match="no object around 'b': 3"):
        find_value(content, "a.b")
    with pytest.raises(CorruptRecordError, match="more than 8 lists"):
        find_value(content, "b.c")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_is_told(text: str) -> None:
    with pytest.raises(CorruptRecordError, match="not JSON"):
        parse_json(text)


def test_most_values_decide_a_type_and_the_others_widen_it() -> None:
    samples = [7, "a", "b", None, "c"]
    counts = collections.Counter(type_of(value) for value in samples)
    assert type_of_most(counts) == pa.string()
    numbers = collections.Counter(type_of(value) for value in [1, 2, 0.5, "x", []])
    assert type_of_most(numbers) == pa.float64()
    lists = collections.Counter(type_of(value) for value in [[], [], [[]], [[1]], [[0.5, None]]])
    assert type_of_most(lists) == pa.list_(pa.list_(pa.float64()))
    assert type_of_most({}) == pa.null()


def test_no_integer_is_rounded() -> None:
    assert fitted([1, 2**53, 0.5], pa.list_(pa.float64())) == [1.0, 2.0**53, 0.5]
    for value in (2**53 + 1, -(2**53) - 1, 10**300):
        with pytest.raises(ValueError, match="would be rounded to"):
            fitted([value], pa.list_(pa.float64()))
    with pytest.raises(OverflowError):
        fitted(10**400, pa.float64())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([5, 5, 20, 20], [[5, 5, 20, 20]]),
        ([[5, 5, 20, 20]], [[5, 5, 20, 20]]),
        ([], []),
        ([None], [None]),
        (None, None),
        (3, 3),
        (["a"], ["a"]),
        (nested(100), nested(100)),
    ],
)
def test_one_box_gets_a_list_around_it(value: object, expected: object) -> None:
    assert as_numbers(value, pa.list_(pa.list_(pa.float64()))) == expected
