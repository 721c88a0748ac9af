"""Nodes and tensors of a GraphDef by name, and the part of a graph that computes some of them."""

from collections.abc import Iterable

from tensorflow.core.framework import graph_pb2, node_def_pb2


def data_inputs(node: node_def_pb2.NodeDef) -> list[str]:
    """Returns a node's inputs without those that only say what it comes after."""
    return [tensor for tensor in node.input if not tensor.startswith("^")]


def source(tensor: str) -> str:
    """Returns the node that a tensor, or "^node", comes from."""
    return tensor.removeprefix("^").partition(":")[0]


def full_name(tensor: str) -> str:
    """Returns a tensor's name with the output's number, of which GraphDef leaves out 0."""
    return tensor if ":" in tensor else f"{tensor}:0"


def calls_functions(node: node_def_pb2.NodeDef) -> bool:
    """Whether a node runs functions, as branches, loops and what JAX exports do."""
    has_functions = any(it.HasField("func") or it.list.func for it in node.attr.values())
    return has_functions or node.op == "XlaCallModule"


def part_of(graph: graph_pb2.GraphDef, tensors: Iterable[str]) -> graph_pb2.GraphDef:
    """Returns what computes these tensors, and the functions that it calls."""
    nodes = {node.name: node for node in graph.node}
    needed: set[str] = set()
    waiting = list(map(source, tensors))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += map(source, data_inputs(nodes[name]))
    part = graph_pb2.GraphDef(versions=graph.versions)
    if any(calls_functions(nodes[name]) for name in needed):
        part.library.CopyFrom(graph.library)
    for name in needed:
        node = part.node.add()
        node.CopyFrom(nodes[name])
        del node.input[:]
        node.input.extend(data_inputs(nodes[name]))
    return part
