"""The column of images in a table: what it may be, and what each of its rows holds.

    type                          row                                 cells
    binary, or dictionary of it   <JPEG>                              <JPEG>
    list<uint8>                   [255, 216, ...]                     <JPEG>
    {bytes, path}                 {"bytes": <JPEG>, "path": "a.jpg"}  <JPEG> of path a.jpg
                                  {"bytes": null, "path": "a.jpg"}    path a.jpg
    list of the first or third    [<JPEG>, <PNG>]                     <JPEG>, <PNG>

{bytes, path} is what Hugging Face's datasets write.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import CorruptRecordError

BYTES, PATH = "bytes", "path"


class Cell(NamedTuple):
    """An image of a row.

    Attributes:
        content: Encoded image, or what is wrong with it; None if there is none.
        path: Path that the table has for it; None if it has none.
    """

    content: bytes | CorruptRecordError | None
    path: str | None


def check_image_type(name: str, stored: pa.DataType) -> None:
    """Checks that a column may hold images.

    Raises:
        CorruptRecordError: If not.
    """
    if _holds_one(stored) or holds_several(stored):
        return
    wanted = (
        "wanted encoded images: binary, list<uint8>, a struct with a binary field named bytes, or "
        "a list of images"
    )
    if is_text(stored):
        wanted = (
            "wanted images, as binary; if it holds paths or URIs, name the column uri, and give "
            "the file as --manifest"
        )
    raise CorruptRecordError(f"column {name!r} (--image_key) is {stored}; {wanted}")


def holds_several(stored: pa.DataType) -> bool:
    """Tells whether a row of a column holds a list of images."""
    return _is_list(stored) and (
        _is_bytes(stored.value_type)
        or is_struct_of_image(stored.value_type)
        or (pa.types.is_dictionary(stored.value_type) and _is_bytes(stored.value_type.value_type))
    )


def is_struct_of_image(stored: pa.DataType) -> bool:
    """Tells whether a type is {bytes, path}, where bytes may be null throughout."""
    if not pa.types.is_struct(stored) or stored.get_field_index(BYTES) < 0:
        return False
    content = stored.field(BYTES).type
    if pa.types.is_null(content):
        return has_paths(stored)
    return _holds_one(content) and not pa.types.is_struct(content)


def has_paths(stored: pa.DataType) -> bool:
    """Tells whether a type has paths beside images."""
    return (
        pa.types.is_struct(stored)
        and stored.get_field_index(PATH) >= 0
        and is_text(stored.field(PATH).type)
    )


def is_text(stored: pa.DataType) -> bool:
    """Tells whether a type is a string, of any width, or a dictionary of strings."""
    if pa.types.is_dictionary(stored):
        return is_text(stored.value_type)
    return (
        pa.types.is_string(stored)
        or pa.types.is_large_string(stored)
        or pa.types.is_string_view(stored)
    )


def has_bytes(stored: pa.DataType) -> bool:
    """Tells whether a type has bytes in it, at any depth."""
    if pa.types.is_dictionary(stored):
        return has_bytes(stored.value_type)
    inner = (stored.field(place) for place in range(stored.num_fields))
    return _is_bytes(stored) or any(has_bytes(field.type) for field in inner)


def cells(column: pa.Array) -> list[list[Cell] | None]:
    """Reads the images of each row, of a column that check_image_type lets pass.

    Returns:
        Of each row its images, one or several; None of a list that is null.
    """
    if not holds_several(column.type):
        return [[cell] for cell in _single(column)]
    return [_single(row.values) if row.is_valid else None for row in column]


def paths(column: pa.Array) -> list[str | None]:
    """Reads the path of each row's image."""
    if not has_paths(column.type):
        return [None] * len(column)
    return texts(pc.struct_field(column, PATH))


def texts(column: pa.Array) -> list[str | None]:
    """Reads a column of text, bytes, numbers or UUIDs as text; None is what is not UTF-8, too.

    Raises:
        pa.ArrowNotImplementedError: If it is of another type, as a list; also of no rows.
    """
    if pa.types.is_dictionary(column.type):
        return texts(column.dictionary_decode())
    if isinstance(column.type, pa.UuidType):
        return [found and str(found) for found in column.to_pylist()]
    if isinstance(column.type, pa.BaseExtensionType):
        return texts(column.storage)
    if not (is_text(column.type) or _is_bytes(column.type)):
        column = column.cast(pa.string())
    return [_text(found) for found in column.cast(pa.large_binary()).to_pylist()]


def may_be_text(stored: pa.DataType) -> bool:
    """Tells whether texts reads columns of a type."""
    try:
        texts(pa.nulls(0, stored))
    except pa.ArrowNotImplementedError:
        return False
    return True


def _text(found: bytes | None) -> str | None:
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        return None


def _single(column: pa.Array) -> list[Cell]:
    content = pc.struct_field(column, BYTES) if pa.types.is_struct(column.type) else column
    return [
        Cell(found, path) for found, path in zip(_contents(content), paths(column), strict=True)
    ]


def _contents(column: pa.Array) -> list[bytes | CorruptRecordError | None]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_list_of_bytes(column.type):
        return [_joined(row.values) if row.is_valid else None for row in column]
    return column.to_pylist()


def _joined(integers: pa.Array) -> bytes | CorruptRecordError:
    if integers.null_count:
        return CorruptRecordError("its list of bytes has nulls in it")
    return np.asarray(integers).tobytes()


def _holds_one(stored: pa.DataType) -> bool:
    if pa.types.is_dictionary(stored):
        return _is_bytes(stored.value_type)
    return _is_bytes(stored) or _is_list_of_bytes(stored) or is_struct_of_image(stored)


def _is_bytes(stored: pa.DataType) -> bool:
    return (
        pa.types.is_binary(stored)
        or pa.types.is_large_binary(stored)
        or pa.types.is_binary_view(stored)
        or pa.types.is_fixed_size_binary(stored)
    )


def _is_list_of_bytes(stored: pa.DataType) -> bool:
    """Tells whether a type is a list of uint8, or of int8, which is what Java calls a byte."""
    return _is_list(stored) and stored.value_type in (pa.uint8(), pa.int8())


def _is_list(stored: pa.DataType) -> bool:
    return (
        pa.types.is_list(stored)
        or pa.types.is_large_list(stored)
        or pa.types.is_fixed_size_list(stored)
        or pa.types.is_list_view(stored)
        or pa.types.is_large_list_view(stored)
    )
