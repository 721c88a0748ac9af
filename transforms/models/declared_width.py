"""How wide the outputs of a model can be: read from saved_model.pb without TensorFlow.

TensorFlow takes 5 s to import. What is called is decided in `spec`, with it; here it is only told
what no choice of there can exceed.
"""

import os
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from transforms.models.handle import SAVED_MODEL
from transforms.models.proto_fields import fields, messages

# Field numbers. Source: tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph,struct}
# .proto and core/framework/{tensor_shape,types}.proto of 2.21.
_META_GRAPHS = 2
_SIGNATURE_OUTPUTS = (5, 2, 2, 2)  # signature_def, its value; outputs, its value: a TensorInfo
_OBJECT_GRAPH = 7
_NODES, _CONCRETE_FUNCTIONS = 1, 2
_CHILDREN, _FUNCTION = 1, 6
_FUNCTION_NAMES = 1
_OUTPUT_SIGNATURE = 4
_TENSOR_SPECS = (33, 35)
_NESTS = ((51, 1), (52, 1), (53, 1, 2), (54, 2, 2))  # list, tuple, dict and named tuple
_FLOATS = (1, 2, 14, 19)  # float32, float64, bfloat16, float16
_REFERENCE = 100  # Above it is a reference to the same dtype, of TF1.
_CALL = b"__call__"


def widest_output(model_dir: str, signature: str | None = None) -> int | None:
    """Returns the most numbers that an output of the model itself or of a signature has an image.

    None where one does not say, or the file cannot be read. Of a classifier of 1,000 classes that
    gives features of 1,280, too, it is 1,280.

    Args:
        model_dir: A directory that holds saved_model.pb.
        signature: The signature or callable attribute that is asked for.
    """
    names = {_CALL, (signature or "__call__").encode()}
    try:
        with open(os.path.join(model_dir, SAVED_MODEL), "rb") as file:
            graphs = messages(file.read(), _META_GRAPHS)
        widths = [
            width
            for graph in graphs
            for tensor, shape_field, dtype_field in _outputs(graph, names)
            for width in _widths(tensor, shape_field, dtype_field)
        ]
    except (OSError, DecodeError):
        return None
    known = [width for width in widths if width is not None]
    return max(known) if known and len(known) == len(widths) else None


def _outputs(graph: bytes, names: set[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yields tensors, with the numbers of the fields that hold their shape and dtype."""
    for tensor in messages(graph, *_SIGNATURE_OUTPUTS):
        yield tensor, 3, 2
    for objects in messages(graph, _OBJECT_GRAPH):
        functions = {}
        for entry in messages(objects, _CONCRETE_FUNCTIONS):
            [name], [function] = messages(entry, 1), messages(entry, 2)
            functions[name] = function
        nodes = messages(objects, _NODES)
        for name in _functions_named(nodes, names):
            for structure in messages(functions.get(name, b""), _OUTPUT_SIGNATURE):
                for tensor in _tensors_in(structure):
                    yield tensor, 2, 3


def _functions_named(nodes: list[bytes], names: set[bytes]) -> Iterator[bytes]:
    """Yields the names of the concrete functions of the root's attributes, and of their calls."""
    for name, node in _children(nodes, nodes[0]) if nodes else ():
        if name in names:
            yield from messages(node, _FUNCTION, _FUNCTION_NAMES)
            for called, function in _children(nodes, node):
                if called == _CALL:
                    yield from messages(function, _FUNCTION, _FUNCTION_NAMES)


def _children(nodes: list[bytes], node: bytes) -> Iterator[tuple[bytes, bytes]]:
    for child in messages(node, _CHILDREN):
        reference = dict(fields(child))
        index, name = reference.get(1, 0), reference.get(2)
        if isinstance(index, int) and isinstance(name, bytes) and index < len(nodes):
            yield name, nodes[index]


def _tensors_in(structure: bytes) -> Iterator[bytes]:
    for number in _TENSOR_SPECS:
        yield from messages(structure, number)
    for path in _NESTS:
        for value in messages(structure, *path):
            yield from _tensors_in(value)


def _widths(tensor: bytes, shape_field: int, dtype_field: int) -> Iterator[int | None]:
    """Yields the width of a tensor that may be one row of numbers an image; None for any width."""
    found = dict(fields(tensor))
    dtype = found.get(dtype_field)
    if not isinstance(dtype, int) or dtype % _REFERENCE not in _FLOATS:
        return
    shape = found.get(shape_field, b"")
    assert isinstance(shape, bytes), "a message"
    if dict(fields(shape)).get(3):  # unknown_rank
        yield None
        return
    sizes = [dict(fields(axis)).get(1, 0) for axis in messages(shape, 2)]
    if len(sizes) in (2, 4):
        width = sizes[1] if sizes[2:] == [1, 1] else sizes[-1]
        yield width if isinstance(width, int) and width < 1 << 63 else None
