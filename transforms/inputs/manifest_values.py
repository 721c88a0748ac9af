"""Values of a manifest's row, as text and as columns that are carried."""

import uuid

import pyarrow as pa

from transforms.errors import InputError


def uri_text(values: dict[str, object], name: str, where: str) -> str:
    """Returns a row's URI; of {"bytes": null, "path": "a.jpg"}, as datasets write it, the path.

    Args:
        values: Values of the row, by column.
        name: Name of the column.
        where: Words for the row's place.

    Raises:
        InputError: If it is no text, or the image itself.
    """
    found = values.get(name)
    if isinstance(found, dict) and found.keys() == {"bytes", "path"}:
        if found["bytes"] is not None:
            raise InputError(
                f"{where}: {name!r} holds the image's bytes; give the file as --input, not as "
                "--manifest"
            )
        values = {name: found["path"]}
    return text(values, name, where)


def text(values: dict[str, object], name: str, where: str) -> str:
    """Returns a value as text that is not empty; ids are often numbers, or UUIDs.

    Args:
        values: Values of the row, by column.
        name: Name of the column.
        where: Words for the row's place.

    Raises:
        InputError: If it is something else.
    """
    found = values.get(name)
    if isinstance(found, int | uuid.UUID):
        found = str(found)
    if not isinstance(found, str) or not found:
        raise InputError(f"{where}: {name!r} is {found!r}; wanted a string that is not empty")
    fitting(found, pa.field(name, pa.string()), where)
    return found


def fitting(value: object, field: pa.Field, where: str) -> object:
    """Returns a carried value, if its type holds it: int64 holds 3, but neither 3.5 nor "3".

    Raises:
        InputError: If not.
    """
    try:
        if isinstance(value, float) and pa.types.is_integer(field.type):
            raise ValueError("not an integer")  # Arrow would cut the fraction off.
        pa.scalar(value, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{where}: {field.name!r} is {value!r:.100}; wanted {field.type}: {error}"
        ) from error
    return value
