"""Whether a model's outputs are probabilities already, or logits that an activation is wanted for.

Several outputs are told by their sum, or by a sigmoid that computes them: an image may then be of
several classes. One output alone is told by its range, and by what computes it: the logits of a
head such as Keras' `Dense(1)` can lie in [0, 1] by chance.

    GlobalAveragePooling2D --> MatMul --> BiasAdd                logits, whatever their range
    GlobalAveragePooling2D --> MatMul --> BiasAdd --> Sigmoid    probabilities
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_PASS_ON = ("Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast", "EnsureShape")
_LINEAR = ("MatMul", "BiasAdd", "Add", "AddV2", "Conv2D", "Convolution")
"""Operations that logits come from, by TensorFlow's names and OpenVINO's."""
_SIGMOIDS = ("Sigmoid", "HardSigmoid")


def are_probabilities(outputs: npt.NDArray[np.float32], last_kind: str) -> bool:
    """Tells probabilities from logits and features.

    Args:
        outputs: float32 [batch, output_dim] of a few images.
        last_kind: Type of the operation that computed them.
    """
    if outputs.min() < 0:
        return False
    if outputs.shape[1] == 1:
        return bool(outputs.max() <= 1) and last_kind not in _LINEAR
    if last_kind in _SIGMOIDS:
        return True
    return np.allclose(outputs.sum(axis=1, dtype=np.float64), 1, atol=1e-2)


def last_operation(function: tf.types.experimental.ConcreteFunction) -> str:
    """Returns the type of the operation that computes a function's output, such as "Sigmoid"."""
    graph = function.graph.as_graph_def()
    functions = {it.signature.name: it for it in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    tensor = function.graph.outputs[0].name
    while True:
        # A tensor is "name:0" in a graph, and "name:output:0" in a function.
        name, *_, index = tensor.split(":") if ":" in tensor else (tensor, "0")
        if name not in nodes:  # An argument of a function.
            return "Placeholder"
        node = nodes[name]
        if node.op in _CALLS and node.attr["f"].func.name in functions:
            called = functions[node.attr["f"].func.name]
            tensor = called.ret[called.signature.output_arg[int(index)].name]
            nodes = {it.name: it for it in called.node_def}
        elif node.op in _PASS_ON:
            tensor = node.input[0]
        else:
            return node.op
