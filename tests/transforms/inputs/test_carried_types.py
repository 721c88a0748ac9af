"""One type for a carried column over many files."""

import itertools

import pyarrow as pa
import pytest

from transforms.errors import InputError
from transforms.inputs.carried_types import unify_carried


def unified(*types: pa.DataType) -> pa.DataType:
    schemas = {f"{n}.parquet": pa.schema([("c", values)]) for n, values in enumerate(types)}
    (field,) = unify_carried(schemas)
    assert (field.name, field.nullable) == ("c", True)
    return field.type


_TEXTS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ([pa.null(), pa.null()], pa.null()),
        ([pa.null(), pa.string()], pa.string()),
        ([pa.null(), pa.list_(pa.int64())], pa.list_(pa.int64())),
        ([pa.int64(), pa.float64()], pa.float64()),
        ([pa.null(), pa.int64(), pa.float64()], pa.float64()),
        ([pa.int8(), pa.int32(), pa.int64()], pa.int64()),
        ([pa.uint32(), pa.int32()], pa.int64()),
        ([pa.int32(), pa.float32()], pa.float64()),
        ([pa.float32(), pa.float64()], pa.float64()),
        ([pa.string(), pa.large_string()], pa.large_string()),
        ([pa.string(), pa.string_view()], pa.string()),
        ([pa.timestamp("us"), pa.timestamp("ns")], pa.timestamp("ns")),
        ([pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC")], pa.timestamp("us", "UTC")),
        ([_TEXTS, _TEXTS], _TEXTS),
        ([_TEXTS, pa.string()], pa.string()),
        ([_TEXTS, pa.dictionary(pa.int32(), pa.string())], pa.string()),
        ([_TEXTS, pa.null()], pa.string()),
        ([pa.list_(pa.null()), pa.list_(pa.string())], pa.list_(pa.string())),
        ([pa.list_(pa.int64()), pa.large_list(pa.float64())], pa.large_list(pa.float64())),
        (
            [pa.struct([("a", pa.null())]), pa.struct([("a", pa.int64())])],
            pa.struct([("a", pa.int64())]),
        ),
    ],
)
def test_the_type_holds_what_every_file_has_in_any_order(
    types: list[pa.DataType], wanted: pa.DataType
) -> None:
    for order in itertools.permutations(types):
        assert unified(*order) == wanted
        for values in order:
            pa.nulls(2, values).cast(wanted)


_VIEW = pa.string_view()


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (_VIEW, pa.string()),
        (pa.binary_view(), pa.binary()),
        (pa.list_(_VIEW), pa.list_(pa.string())),
        (pa.large_list(_VIEW), pa.large_list(pa.string())),
        (pa.list_(_VIEW, 2), pa.list_(pa.string(), 2)),
        (pa.map_(pa.string(), _VIEW), pa.map_(pa.string(), pa.string())),
        (
            pa.struct([("a", pa.list_(_VIEW)), ("b", pa.int8())]),
            pa.struct([("a", pa.list_(pa.string())), ("b", pa.int8())]),
        ),
        (_TEXTS, _TEXTS),
    ],
)
def test_views_are_plain_also_where_all_files_are_alike(
    stored: pa.DataType, wanted: pa.DataType
) -> None:
    assert unified(stored) == unified(stored, stored) == wanted
    assert pa.nulls(2, stored).cast(wanted).take(pa.array([1])).type == wanted


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.int64(), pa.string()),
        (pa.bool_(), pa.int64()),
        (pa.uint64(), pa.int64()),
        (pa.decimal128(20, 2), pa.float64()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.date32(), pa.timestamp("us")),
        (pa.int64(), pa.list_(pa.int64())),
    ],
)
def test_types_that_no_type_holds_are_refused(first: pa.DataType, second: pa.DataType) -> None:
    for pair in ((first, second), (second, first)):
        with pytest.raises(InputError) as caught:
            unified(pa.null(), *pair)
        assert str(caught.value).startswith(
            f"--carry_columns c: 1.parquet has {pair[0]}, 2.parquet has {pair[1]}, and no type "
            "holds both;"
        )


def test_the_files_that_are_named_are_those_that_differ() -> None:
    with pytest.raises(InputError, match=r"1\.parquet has double, 3\.parquet has string"):
        unified(pa.int64(), pa.float64(), pa.int32(), pa.string())
