"""Models that answer the same image differently from call to call, as they draw random numbers.

A random flip that was left in a model, `tf.image.random_flip_left_right`, changes no variable, and
two calls of it agree as often as not.
"""

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from transforms.errors import ModelError
from transforms.models.any_model import AnyModel
from transforms.models.onnx_model import OnnxModel

_DRAWS = (
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "Random",
    "StatefulStandardNormal",
    "StatefulTruncatedNormal",
    "StatefulUniform",
    "TruncatedNormal",
)
"""Beginnings of the names of operations that draw other numbers at every call, TensorFlow's and
OpenVINO's."""

_CALLS = 16
"""A flip that falls as a coin does is the same in all of them once in 32,768 times."""

_TOLERANCE = 1e-4
"""Share of the largest output: what sums in another order may change."""


def refuse_chance(loaded: AnyModel, call: Callable[[], npt.NDArray[np.float32]]) -> None:
    """Refuses a model that draws random numbers, if its answers depend on them.

    They need not: the dropout of a TF1 graph is in a branch that inference does not take.

    Args:
        loaded: The model.
        call: Callback, gives the model's answer to an image that is always the same.

    Raises:
        ModelError: If the answers differ.
    """
    drawing = next((kind for kind in _kinds(loaded) if kind.startswith(_DRAWS)), None)
    if drawing is None:
        return
    first = call()
    for _ in range(_CALLS - 1):
        if np.abs(call() - first).max() > _TOLERANCE * np.abs(first).max():
            raise ModelError(
                f"the model's answer to the same image differs from call to call: it draws random "
                f"numbers ({drawing}), as dropout and tf.image.random_flip_left_right do; save it "
                "for inference, without them"
            )


def _kinds(loaded: AnyModel) -> list[str]:
    """Returns the types of a model's operations, in branches and loops too."""
    if isinstance(loaded, OnnxModel):
        return [node.get_type_name() for node in loaded.model.get_ops()]
    graph = loaded.function.graph.as_graph_def()
    bodies = (function.node_def for function in graph.library.function)
    return [node.op for node in itertools.chain(graph.node, *bodies)]
