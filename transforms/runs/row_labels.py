"""Labels of rows, from the images' directories or a carried column."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError

_PARENT = r"(?P<parent>[^/\\]+)[/\\][^/\\]*$"


def labels_of_directories(uris: pa.ChunkedArray) -> pa.ListArray:
    """Returns each image's label as a list of one: the name of the directory it is in."""
    return _as_lists(pc.struct_field(pc.extract_regex(uris, _PARENT), "parent"))


def labels_of_column(column: pa.ChunkedArray) -> pa.ListArray:
    """Returns each row's labels as a list of strings; null where it has none.

    Args:
        column: Strings, integers or booleans, or lists of them.

    Raises:
        InputError: If it is of another type.
    """
    return _as_lists(column)


def _as_lists(column: pa.ChunkedArray) -> pa.ListArray:
    whole = as_one_array(column)
    is_list = pa.types.is_list(whole.type) or pa.types.is_large_list(whole.type)
    values = whole.type.value_type if is_list else whole.type
    if pa.types.is_floating(values) or pa.types.is_nested(values):
        raise InputError(f"labels are of type {whole.type}, wanted strings or integers")
    try:
        if is_list:
            return whole.cast(pa.list_(pa.string()))
        names = whole.cast(pa.string())
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"labels are of type {whole.type}, wanted text: {error}") from error
    starts = np.concatenate([[0], np.cumsum(np.asarray(names.is_valid()))])
    return pa.ListArray.from_arrays(
        pa.array(starts, pa.int32()), names.drop_null(), mask=names.is_null()
    )


def as_one_array(column: pa.ChunkedArray) -> pa.Array:
    """Returns a column without its division into chunks."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
