"""Labels of rows, from the images' directories or a carried column.

They are large strings: those of a run may be more than the 2 GiB that an array of strings holds.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError

_PARENT = r"(?P<parent>[^/\\]+)[/\\][^/\\]*$"


def labels_of_directories(uris: pa.ChunkedArray) -> pa.ListArray:
    """Returns each image's label as a list of one: the name of the directory it is in."""
    return _as_lists(pc.struct_field(pc.extract_regex(uris, _PARENT), "parent"))


def labels_of_column(column: pa.ChunkedArray) -> pa.ListArray:
    """Returns each row's labels as a list of large strings; null where it has none.

    Args:
        column: Strings, integers or booleans, or lists of them.

    Raises:
        InputError: If it is of another type.
    """
    return _as_lists(column)


def _as_lists(column: pa.ChunkedArray) -> pa.ListArray:
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    values = column.type.value_type if is_list else column.type
    if pa.types.is_floating(values) or pa.types.is_nested(values):
        raise InputError(f"labels are of type {column.type}, wanted strings or integers")
    text = pa.large_string()
    try:
        names = column.cast(pa.list_(text) if is_list else text).combine_chunks()
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"labels are of type {column.type}, wanted text: {error}") from error
    if is_list:
        return names
    starts = np.concatenate([[0], np.cumsum(np.asarray(names.is_valid()))])
    return pa.ListArray.from_arrays(
        pa.array(starts, pa.int32()), names.drop_null(), mask=names.is_null()
    )
