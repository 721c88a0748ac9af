"""What an ONNX file says of itself, read from the file without its weights.

    ModelProto  producer_name: "pytorch"   opset_import: 18
                graph: node, node, ...     initializer: TensorProto
                                               name: "conv1.weight"   location: "model.onnx_data"

Weights of 2 GiB are skipped, not read: protobuf's own parser would copy them.
"""

import mmap
from collections.abc import Iterator

from transforms.errors import ModelError
from transforms.models.lfs_pointer import refuse_pointer

Message = memoryview
Field = tuple[int, "Message | int"]

# Field numbers of what leads to a tensor. Source: onnx/onnx.proto3 of ONNX 1.23.
_WITHIN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 6: "graph", 11: "graph"}
    | {22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external data"},
}
_PRODUCER_NAME, _PRODUCER_VERSION, _GRAPH, _OPSETS, _METADATA = 2, 3, 7, 8, 14
_FIRST_INPUT_DTYPE = (_GRAPH, 11, 2, 1, 1)  # graph, input, type, tensor_type, elem_type
_UINT8 = 2


def external_locations(path: str) -> tuple[str, ...]:
    """Lists the names of the files that weights lie in, as the graph has them; they may be hostile.

    Raises:
        ModelError: If the file is no ONNX, or cut short.
    """
    found = set()
    waiting = [("model", _open(path))]
    try:
        while waiting:
            kind, message = waiting.pop()
            if kind == "external data":
                if _text(message, 1) == "location":
                    found.add(_text(message, 2))
                continue
            within = _WITHIN[kind]
            for number, value in _fields(message):
                if number in within and isinstance(value, memoryview):
                    waiting.append((within[number], value))
    except ValueError as error:
        raise _not_whole(path, error) from error
    return tuple(sorted(found))


def written_by(path: str) -> str:
    """Says what wrote an ONNX file, such as "pytorch 2.9.1, opset 18".

    Raises:
        ModelError: If the file is no ONNX, or cut short.
    """
    model = _open(path)
    names = [_text(model, number) for number in (_PRODUCER_NAME, _PRODUCER_VERSION)]
    opsets = [value for number, value in _fields(model) if number == _OPSETS]
    versions = [
        version
        for opset in opsets
        if isinstance(opset, memoryview) and _text(opset, 1) in ("", "ai.onnx")
        for number, version in _fields(opset)
        if number == 2
    ]
    opset = f", opset {versions[0]}" if versions else ""
    return (" ".join(filter(None, names)) or "an unknown program") + opset


def read_metadata(path: str) -> dict[str, str]:
    """Returns what an ONNX file says of itself by keys, such as "Image.NominalPixelRange".

    Raises:
        ModelError: If the file is no ONNX, or cut short.
    """
    entries = [value for number, value in _fields(_open(path)) if number == _METADATA]
    return {_text(it, 1): _text(it, 2) for it in entries if isinstance(it, memoryview)}


def takes_uint8(path: str) -> bool:
    """Whether the first input of an ONNX graph is uint8.

    Raises:
        ModelError: If the file is no ONNX, or cut short.
    """
    message: Message | int | None = _open(path)
    for wanted in _FIRST_INPUT_DTYPE:
        fields = _fields(message) if isinstance(message, memoryview) else ()
        message = next((value for number, value in fields if number == wanted), None)
    return message == _UINT8


def _open(path: str) -> Message:
    try:
        refuse_pointer(path)
        with open(path, "rb") as file:
            model = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if not any(number == _GRAPH for number, _ in _fields(model)):
            raise ValueError("it holds no graph")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise _not_whole(path, error) from error
    return model


def _not_whole(path: str, error: ValueError) -> ModelError:
    return ModelError(f"{path} is no ONNX model, or not whole: {error}; copy it again")


def _text(message: Message, wanted: int) -> str:
    """Returns the last text of a field, as protocol buffers do; empty if there is none."""
    texts = [value for number, value in _fields(message) if number == wanted]
    last = texts[-1] if texts else b""
    return "" if isinstance(last, int) else bytes(last).decode(errors="replace")


def _fields(message: Message) -> Iterator[Field]:
    """Yields the numbers and values of fields; those of fixed width are skipped.

    Raises:
        ValueError: If it is no message, or cut short.

    Source:
        https://protobuf.dev/programming-guides/encoding/.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(message, at)
                if at + size > end:
                    raise ValueError("it ends early")
                yield tag >> 3, message[at : at + size]
                at += size
            case 1:
                at += 8
            case 5:
                at += 4
            case kind:
                raise ValueError(f"it has a field of wire type {kind}")
    if at > end:
        raise ValueError("it ends early")


def _varint(message: Message, at: int) -> tuple[int, int]:
    """Returns a number and the place after it: seven bits a byte, the lowest first."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it ends early")
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("it has a number of more than ten bytes")
