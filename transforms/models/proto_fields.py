"""Protocol buffers whose types are not at hand: field by field, by number."""

from google.protobuf import empty_pb2, unknown_fields

Field = tuple[int, bytes | int]
"""Number of a field, and what it holds: a message or text as bytes, or a number without sign."""


def fields(message: bytes) -> list[Field]:
    r"""Returns the fields of a message in order: of b"\x08\x05\x12\x01a", (1, 5) and (2, b"a").

    Raises:
        google.protobuf.message.DecodeError: If it is no message.
    """
    unknown = empty_pb2.Empty()
    unknown.ParseFromString(message)
    return [(field.field_number, field.data) for field in unknown_fields.UnknownFieldSet(unknown)]


def messages(message: bytes, *path: int) -> list[bytes]:
    """Returns the messages or texts at a path of field numbers, in order.

    Of (2, 5) these are all fields 5 of all fields 2.
    """
    found = [message]
    for number in path:
        found = [
            data
            for each in found
            for its_number, data in fields(each)
            if its_number == number and isinstance(data, bytes)
        ]
    return found
