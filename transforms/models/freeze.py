"""Variables made constants, which TensorFlow folds and need not lock.

    the model: its variables are outside of it, parts of it are calls of functions

        images ----> StatefulPartitionedCall ----> Identity
                       ^                ^
            handle of kernel   handle of offset         captured by the function

    1. inlined: one graph

        images ----> Conv2D ------------> AddV2 ----> Identity
                       ^                    ^
                 ReadVariableOp       ReadVariableOp
                       ^                    ^
                handle of kernel     handle of offset

    2. _take_reads: what reads is gone, and two tensors lack a source

        images ----> Conv2D ------------> AddV2 ----> Identity
                       ^                    ^
              "ReadVariableOp:0"   "AddV2/ReadVariableOp:0"

    3. import_graph: the sources are constants, and nothing is captured

        images ----> Conv2D ------------> AddV2 ----> Identity
                       ^                    ^
                 Const (kernel)       Const (offset)

A graph that does more with a variable than to read it whole (`tf.gather` takes rows by its handle)
is left to TensorFlow's own convert_variables_to_constants_v2 instead of 2.

That function is of the module tensorflow.python.framework.convert_to_constants as it is in
TensorFlow 2.21, which setup.py asks for, and no public API; step 1 is that of `loaded_model`.
tests/transforms/models/test_freeze.py notices a change: it compares frozen models of every kind
with the answers of the models themselves, among them variables that are read twice, in a branch and
by rows, and asks that nothing is captured.
"""

from collections.abc import Mapping

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import convert_to_constants

from transforms.models.loaded_model import LoadedModel

MAX_FROZEN_BYTES = 256 * 2**20
"""Variables beyond this stay variables.

Frozen, MobileNetV2 is 1.6 times as fast on a CPU, EfficientNetB0 1.3, ResNet50 1.1: constants let
TensorFlow fold batch normalisation. But freezing and the first call then take 14 bytes of memory
for each byte of variables.
"""


def freeze(loaded: LoadedModel) -> tf.types.experimental.ConcreteFunction:
    """Turns a model's variables into constants.

    Returns:
        The frozen function, with a signature; or the model's own where it cannot or should not be
        frozen.
    """
    function = loaded.function
    if loaded.size_bytes > MAX_FROZEN_BYTES:
        return function
    graph = graph_pb2.GraphDef()
    graph.CopyFrom(loaded.graph)
    reads = _take_reads(graph, function)
    if reads:
        return import_graph(graph, function.inputs[0], function.outputs[0], reads)
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function, lower_control_flow=False
    )
    # A lookup table has no constant form and is left as a second input.
    if len(frozen.inputs) > 1:
        return function
    return import_graph(frozen.graph.as_graph_def(), frozen.inputs[0], frozen.outputs[0])


def import_graph(
    graph: graph_pb2.GraphDef,
    images: tf.Tensor,
    outputs: tf.Tensor,
    variables: Mapping[str, tf.Variable] | None = None,
) -> tf.types.experimental.ConcreteFunction:
    """Makes a function of a graph, the variables' values built in.

    Args:
        graph: The graph.
        images: Input of the graph, as it is named there.
        outputs: Output of the graph, likewise.
        variables: Variables whose values become constants, by the names of the tensors that get
            them and have no source in the graph.

    Returns:
        The function, with a signature. Without one, TensorFlow finds out at every call by raising
        an error whose message prints the images: 2.5 ms of Python for 32 of them.
    """
    variables = variables or {}
    # A variable that is read in several places becomes one constant.
    values = {variable.ref(): variable.numpy() for variable in variables.values()}

    @tf.function(input_signature=[tf.TensorSpec(images.shape, images.dtype)], autograph=False)
    def run(batch: tf.Tensor) -> tf.Tensor:
        constants = {reference: tf.constant(value) for reference, value in values.items()}
        inputs = {name: constants[variable.ref()] for name, variable in variables.items()}
        (result,) = tf.graph_util.import_graph_def(
            graph, input_map={images.name: batch, **inputs}, return_elements=[outputs.name]
        )
        return result

    return run.get_concrete_function()


def _take_reads(
    graph: graph_pb2.GraphDef, function: tf.types.experimental.ConcreteFunction
) -> dict[str, tf.Variable]:
    """Takes the reading of variables out of a graph.

    convert_variables_to_constants_v2 gives graphs whose weights are copied at every step: three
    times the time and memory of constants that come when all else is done.

    Returns:
        The tensors that are left without a source, and their variables, such as
        {"model/Conv2D/ReadVariableOp:0": kernel}; none if the graph does more with what is not of
        itself than read variables; it is of no use then.
    """
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    captures = {inner.op.name: variables.get(id(outer)) for outer, inner in function.graph.captures}
    nodes = {node.name: node for node in graph.node}

    # handle -> Identity -> Identity -> ReadVariableOp: inlining leaves an Identity for every call.
    def captured(node: tf.compat.v1.NodeDef) -> tf.Variable | None:
        while node.op == "Identity":
            node = nodes[_source(node.input[0])]
        return captures.get(node.name)

    gone, reads = set(captures), {}
    for node in graph.node:
        if node.op in ("Identity", "ReadVariableOp"):
            variable = captured(nodes[_source(node.input[0])])
            if variable is not None:
                gone.add(node.name)
                if node.op == "ReadVariableOp":
                    reads[node.name] = variable
    kept = [node for node in graph.node if node.name not in gone]
    handles = gone - reads.keys()
    for node in kept:
        if any(_source(tensor) in handles for tensor in node.input):
            return {}
        # "^name" only says that a node comes after another; nothing comes after a constant.
        for after in [tensor for tensor in node.input if tensor.removeprefix("^") in gone]:
            if after.startswith("^"):
                node.input.remove(after)
    del graph.node[:]
    graph.node.extend(kept)
    return {f"{name}:0": variable for name, variable in reads.items()}


def _source(tensor: str) -> str:
    """Returns the node that a tensor comes from; GraphDef leaves out an output's number 0."""
    return tensor.partition(":")[0]
