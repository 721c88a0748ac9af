"""Models that change their own variables when they are called: saved in training mode."""

from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from transforms.errors import ModelError

_CHANGES = (
    "AssignVariableOp",
    "AssignAddVariableOp",
    "AssignSubVariableOp",
    "RngReadAndSkip",
    "ResourceScatter",
    "ResourceApply",
)
"""Operations on variables, and beginnings of their names."""

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")

SAVE_IT_RIGHT = (
    'archive = keras.export.ExportArchive(); archive.track(model); archive.add_endpoint("serve", '
    "lambda images: model(images, training=False), [model.inputs[0]]); "
    "archive.write_out(directory)"
)
"""What saves a Keras model for inference."""


def refuse_changes(function: tf.types.experimental.ConcreteFunction) -> None:
    """Refuses a model that answers differently at every call, and cannot be shared by threads.

    What is in a branch is let pass: it may never run.

    Raises:
        ModelError: If a call would change a variable.
    """
    graph = function.graph.as_graph_def()
    changed = next((node for node in _nodes(graph) if node.op.startswith(_CHANGES)), None)
    if changed is not None:
        raise ModelError(
            f"the model changes its own variables when it is called ({changed.name}), as random "
            "layers and batch normalization do in training: it was saved in training mode, as "
            "Keras' export() saves models with random layers, Resizing or CenterCrop; save it for "
            f"inference: {SAVE_IT_RIGHT}"
        )


def _nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """Yields the nodes of a graph and of the functions that are called in it."""
    functions = {function.signature.name: function for function in graph.library.function}
    waiting, seen = [graph.node], set()
    while waiting:
        for node in waiting.pop():
            yield node
            name = node.attr["f"].func.name if node.op in _CALLS else ""
            if name in functions and name not in seen:
                seen.add(name)
                waiting.append(functions[name].node_def)
