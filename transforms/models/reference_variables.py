"""TF1's reference variables, replaced by such as TensorFlow 2 can count, freeze and save.

before    images --> MatMul <-- Identity <-- VariableV2 "weights"   a node that holds numbers
after     images --> MatMul <-- Identity <-- weights:0              read from a tf.Variable
"""

from collections.abc import Callable, Collection

import tensorflow as tf

_OPERATIONS = ("VariableV2", "Variable")
_TABLES = ("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")


class WithoutReferences(tf.Module):  # type: ignore[misc]
    """Stands in for a restored TF1 model: one of its signatures, and the variables of that.

    Attributes:
        variables: Variables in place of the signature's reference variables; not trainable.
        signatures: The one signature, called as in the model: images by name in, outputs by key
            out.
    """

    variables: list[tf.Variable] = []  # noqa: RUF012 - a plain attribute is saved
    signatures: dict[str, Callable[..., dict[str, tf.Tensor]]] = {}  # noqa: RUF012

    def __init__(self, name: str, signature: tf.types.experimental.ConcreteFunction) -> None:
        """Takes over the values as they are now.

        Args:
            name: Name of the signature.
            signature: Signature that has reference variables, and no tables.
        """
        super().__init__()
        names = _names(signature, _OPERATIONS)
        graph = signature.graph.as_graph_def()
        kept = [node for node in graph.node if node.name not in names]
        del graph.node[:]
        graph.node.extend(kept)
        # The signature itself reads its variables: TensorFlow 2 has no other way to their values.
        with signature.graph.as_default():
            reads = [tf.identity(signature.graph.get_tensor_by_name(f"{it}:0")) for it in names]
        values = signature.prune([], reads)()
        self.variables = [
            tf.Variable(value, trainable=False, name=it)
            for it, value in zip(names, values, strict=True)
        ]
        # What it does not own as a reference variable it has been given: captured resources.
        captured = {inner.name: outer for outer, inner in signature.graph.captures}

        def run(**images: tf.Tensor) -> dict[str, tf.Tensor]:
            (value,) = images.values()
            owned = zip(names, self.variables, strict=True)
            inputs = {f"{it}:0": variable.read_value() for it, variable in owned}
            outputs = tf.graph_util.import_graph_def(
                graph,
                input_map={**captured, **inputs, signature.inputs[0].name: value},
                return_elements=[out.name for out in signature.structured_outputs.values()],
                name="",
            )
            return dict(zip(signature.structured_outputs, outputs, strict=True))

        self.signatures = {name: tf.function(run, autograph=False)}


def without_references(owner: tf.Module, name: str, output_key: str) -> tf.Module:
    """Returns a restored model, or what stands in for one of its outputs.

    Where that needs a lookup table too, the model stays as it is: the table's content would be
    lost.

    Args:
        owner: The restored object.
        name: Name of the signature in use.
        output_key: Name of the output in use.
    """
    signature = owner.signatures[name]
    if not _names(signature, _OPERATIONS):
        return owner
    outputs = {output_key: signature.structured_outputs[output_key]}
    used = signature.prune(signature.inputs[0], outputs)
    return owner if _names(used, _TABLES) else WithoutReferences(name, used)


def has_references(owner: tf.Module, name: str) -> bool:
    """Tells whether a signature still has reference variables."""
    if isinstance(owner, WithoutReferences):
        return False
    return bool(_names(owner.signatures[name], _OPERATIONS))


def _names(signature: tf.types.experimental.ConcreteFunction, types: Collection[str]) -> list[str]:
    return [it.name for it in signature.graph.get_operations() if it.type in types]
