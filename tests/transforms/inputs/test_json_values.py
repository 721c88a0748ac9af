import pytest

from transforms.errors import CorruptRecordError
from transforms.inputs.json_values import MOST_DEPTH, find_value, parse_json


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
