r"""What comes in as an element and goes out as one: bytes, URIs, rows and dicts, with keys or not.

    b"\xff\xd8..."                       Row(embedding=[...], width=640, ...)
    "gs://b/cat.jpg"                     Row(uri="gs://b/cat.jpg", embedding=[...], ...)
    Row(id=7, image=b"\xff\xd8...")      Row(id=7, embedding=[...], ...)
    {"id": 7, "image": "cat.jpg"}        {"id": 7, "image": "cat.jpg", "embedding": [...], ...}
    ("k", b"\xff\xd8...")                ("k", Row(embedding=[...], ...))

Bytes of an image do not come out again; the URI of one does.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from apache_beam.pvalue import Row
from apache_beam.typehints import row_type, typehints

from transforms.errors import CorruptRecordError, ImageError

URI_COLUMN = "uri"
"""Column of an element that is a URI."""


def value_of(element: Any) -> Any:  # noqa: ANN401 - the user's
    """Returns an element without its key."""
    return element[1] if _has_key(element) else element


def image_of(element: Any, image: str) -> bytes | str:  # noqa: ANN401
    """Returns the encoded image of an element, or its URI.

    Args:
        element: The element.
        image: Name of the field that holds it, in rows and dicts.

    Raises:
        CorruptRecordError: If there is nothing in that field.
        TypeError: If it is something else, or there is no such field.
    """
    value = value_of(element)
    if not isinstance(value, bytes | str):
        fields = _fields(value)
        if image not in fields:
            raise TypeError(f"no field {image!r} in {_described(value)}; set image=")
        value = fields[image]
    if value is None:
        raise CorruptRecordError(f"no image in the field {image}")
    if not isinstance(value, bytes | str):
        raise TypeError(
            f"an image is bytes or a URI, got {type(value).__name__} in {_described(element)}"
        )
    return value


def image_or_error(element: Any, image: str) -> bytes | str | ImageError:  # noqa: ANN401
    """Returns what image_of does, or the error of an element that has none."""
    try:
        return image_of(element, image)
    except ImageError as error:
        return error


def with_columns(element: Any, image: str, columns: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Returns an element as it goes out: its own fields but the image's bytes, then columns."""
    value = value_of(element)
    out = {**_kept_fields(value, image), **columns}
    result = out if isinstance(value, Mapping) else Row(**out)
    return (element[0], result) if _has_key(element) else result


def check_names(element: Any, image: str, columns: Set[str]) -> None:  # noqa: ANN401
    """Checks that an element has no field of its own that a new column would replace.

    Args:
        element: The element.
        image: Name of the field that holds the image, in rows and dicts.
        columns: Names of the new columns.

    Raises:
        TypeError: If it has.
    """
    _refuse_taken(_kept_fields(value_of(element), image), columns)


def output_type(element_type: Any, image: str, columns: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Returns the type of the elements that go out; Any where that of those that come in is.

    Args:
        element_type: Type of the elements that come in, as Beam knows it.
        image: Name of the field that holds the image, in rows.
        columns: Types of the new columns, by name.

    Raises:
        TypeError: If rows have no such field, or one of a new column's name already.
    """
    if isinstance(element_type, typehints.TupleConstraint):
        parts = element_type.tuple_types
        if len(parts) == 2:
            return typehints.Tuple[parts[0], output_type(parts[1], image, columns)]
    if element_type is bytes:
        return row_type.RowTypeConstraint.from_fields(list(columns.items()))
    if element_type is str:
        return row_type.RowTypeConstraint.from_fields([(URI_COLUMN, str), *columns.items()])
    rows = row_type.RowTypeConstraint.from_user_type(element_type)
    if isinstance(element_type, row_type.RowTypeConstraint):
        rows = element_type
    if rows is None:
        return typehints.Any
    names = [name for name, _ in rows._fields]
    if image not in names:
        raise TypeError(f"no field {image!r} in rows of {', '.join(names)}; set image=")
    own = [(name, kind) for name, kind in rows._fields if name != image or not _is_bytes(kind)]
    _refuse_taken([name for name, _ in own], columns.keys())
    fields: list[Any] = [*own, *columns.items()]
    return row_type.RowTypeConstraint.from_fields(fields)


def _has_key(element: Any) -> bool:  # noqa: ANN401
    return type(element) is tuple and len(element) == 2


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Row):
        return dict(value.as_dict())
    if isinstance(value, str):
        return {URI_COLUMN: value}
    names: Sequence[str] = getattr(value, "_fields", ())
    return {name: getattr(value, name) for name in names}


def _kept_fields(value: Any, image: str) -> dict[str, Any]:  # noqa: ANN401
    """Returns the fields that go out again."""
    own = _fields(value)
    if isinstance(own.get(image), bytes):
        del own[image]
    return own


def _refuse_taken(names: Iterable[str], columns: Set[str]) -> None:
    if taken := sorted(columns & set(names)):
        raise TypeError(f"rows have {', '.join(taken)} already; rename that before")


def _is_bytes(kind: Any) -> bool:  # noqa: ANN401
    return kind in (bytes, typehints.Optional[bytes])


def _described(value: Any) -> str:  # noqa: ANN401
    names = ", ".join(map(str, _fields(value)))
    return f"{type(value).__name__} of {names}" if names else type(value).__name__
