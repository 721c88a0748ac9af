"""Values inside of JSON, by dotted names, and the types that columns of them get.

Of {"key": "a", "objects": {"bbox": [[1, 2, 30, 40]], "label": ["cat"]}}

    key             "a"                 string
    objects.bbox    [[1, 2, 30, 40]]    list<list<int64>>
    objects.label   ["cat"]             list<string>

Of a list of objects it is what each of them has: {"objects": [{"bbox": [1, 2, 30, 40]}]} says the
same of objects.bbox.
"""

import json
import reprlib
from collections.abc import Mapping

import pyarrow as pa

from transforms.errors import CorruptRecordError
from transforms.files.tf_examples import is_list
from transforms.inputs.carried_types import common_type

MOST_DEPTH = 8
"""Lists in lists that are gone through: segmentations of boxes are 3, hostile JSON is hundreds."""

_TYPES = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def parse_json(text: str) -> object:
    """Reads JSON that anybody may have written.

    Raises:
        CorruptRecordError: If it is none, or nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptRecordError(f"not JSON: {error}") from error


def find_value(content: object, name: str) -> object:
    """Returns what is inside of an object by its dotted name; None if there is nothing.

    A name of the object that has dots itself goes before.

    Raises:
        CorruptRecordError: If something on the way there is neither object nor list, or it lies in
            more than MOST_DEPTH lists.
    """
    return _find(content, name, MOST_DEPTH)


def _find(content: object, name: str, depth: int) -> object:
    if isinstance(content, dict):
        parts = name.split(".")
        for count in (len(parts), *range(1, len(parts))):
            head, rest = ".".join(parts[:count]), ".".join(parts[count:])
            if head in content:
                return _find(content[head], rest, depth) if rest else content[head]
        return None
    if isinstance(content, list):
        if not depth:
            raise CorruptRecordError(f"more than {MOST_DEPTH} lists in lists around {name!r}")
        return [_find(item, name, depth - 1) for item in content]
    if content is None:
        return None
    raise CorruptRecordError(f"no object around {name!r}: {reprlib.repr(content)}")


def type_of_most(counts: Mapping[pa.DataType, int]) -> pa.DataType:
    """Returns the type that most values have, widened to hold all others that it can hold.

    Of 12 integers, 5 doubles and 3 texts it is double: integers fit, texts do not.

    Args:
        counts: Number of values by their type, as `type_of` gives it; of equal numbers the first
            goes before.
    """
    known = pa.null()
    for found in sorted(counts, key=counts.__getitem__, reverse=True):
        wide = common_type(known, found)
        known = known if wide is None else wide
    return known


def is_open(known: pa.DataType) -> bool:
    """Whether a type is still to be found out: only null, or lists without values, were seen."""
    return is_open(known.value_type) if pa.types.is_list(known) else pa.types.is_null(known)


def depth_of(values: pa.DataType) -> int:
    """Returns how many lists are around the values of a type."""
    return 1 + depth_of(values.value_type) if is_list(values) else 0


def type_of(value: object, depth: int = MOST_DEPTH) -> pa.DataType | None:
    """Returns the type of a value.

    Returns:
        The type; None of an object, of a list of values that differ, and of more lists in lists
        than `depth`.
    """
    if value is None:
        return pa.null()
    if not isinstance(value, list):
        return _TYPES.get(type(value))
    if not depth:
        return None
    items: pa.DataType | None = pa.null()
    for item in value:
        found = type_of(item, depth - 1)
        items = None if found is None or items is None else common_type(items, found)
    return None if items is None else pa.list_(items)


def fitted(value: object, wanted: pa.DataType) -> object:
    """Returns a value as its column holds it: 3 as 3.0 in one of doubles, but no 3.5 as integer.

    Args:
        value: Value of JSON.
        wanted: Type that `type_of_most` gave.

    Raises:
        ValueError: If it does not fit.
        OverflowError: If it is an integer too large for a double.
    """
    if value is None:
        return None
    if pa.types.is_list(wanted) and isinstance(value, list):
        return [fitted(item, wanted.value_type) for item in value]
    if pa.types.is_floating(wanted) and type(value) in (int, float):
        double = float(value)  # type: ignore[arg-type]
        if type(value) is int and int(double) != value:
            raise ValueError(f"{value} would be rounded to {double:.0f}")
        return double
    if _TYPES.get(type(value)) != wanted:
        raise ValueError(f"{reprlib.repr(value)} is no {wanted}")
    pa.scalar(value, wanted)  # Integers of more bits, and text that is no Unicode, do not fit.
    return value


def as_numbers(value: object, wanted: pa.DataType) -> object:
    """Puts a number, or lists of some, into a list if a column has one list more.

    Of a column of lists of boxes [5, 5, 20, 20] becomes [[5, 5, 20, 20]]; other values stay.
    """
    depth, inner = 1, value
    while isinstance(inner, list) and inner:
        depth, inner = depth + 1, inner[0]
    is_flat = type(inner) in (int, float) and depth == depth_of(wanted)
    return [value] if is_flat else value
