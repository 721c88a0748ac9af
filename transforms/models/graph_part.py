"""A part of a loaded model's graph, from the images to some tensors, that is run by itself."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.images.tensor_view import as_tensor
from transforms.models.graph_nodes import part_of
from transforms.models.loaded_model import LoadedModel


class GraphPart:
    """Computes some tensors of a model's graph. Threads may call it at the same time."""

    def __init__(self, loaded: LoadedModel, tensors: Sequence[str]) -> None:
        """Takes the part out of the graph.

        Args:
            loaded: The model.
            tensors: Names of the tensors, such as "model/sub:0"; one at least depends on the
                images.

        Raises:
            ValueError: If the part does not run by itself.
        """
        images = loaded.function.inputs[0]
        part = part_of(loaded.graph, tensors)
        names = {node.name for node in part.node}
        captures = loaded.function.graph.captures
        handles = {inner.name: outer for outer, inner in captures if inner.op.name in names}
        held = set(map(id, handles.values()))
        # They live as long as someone holds them; an engine may let go of the model.
        self._variables = [item for item in loaded.variables if id(item.handle) in held]

        @tf.function(
            input_signature=[tf.TensorSpec(images.shape, images.dtype)],
            autograph=False,
        )
        def run(batch: tf.Tensor) -> list[tf.Tensor]:
            graph = tf.compat.v1.get_default_graph()
            inputs = {name: graph.capture(handle) for name, handle in handles.items()}
            found = tf.graph_util.import_graph_def(
                part, input_map={**inputs, images.name: batch}, return_elements=tensors
            )
            return [tf.cast(tensor, tf.float32) for tensor in found]

        self._run = run.get_concrete_function()

    def __call__(self, images: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float32]]:
        """Returns the tensors, as float32.

        Args:
            images: [batch, height, width, 3] of the model's dtype, and of its batch if that is
                fixed.

        Raises:
            tf.errors.OpError: If the part fails on these.
        """
        return [tensor.numpy() for tensor in self._run(as_tensor(images))]
