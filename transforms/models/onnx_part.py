"""A part of an ONNX model's graph, from the images to some tensors, that is run by itself."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.errors import brief
from transforms.machine.openvino_runtime import import_openvino
from transforms.models.onnx_model import OnnxModel
from transforms.models.onnx_path import tensor


class OnnxPart:
    """Computes some tensors of a model's graph. Threads may call it at the same time."""

    def __init__(self, loaded: OnnxModel, tensors: Sequence[str]) -> None:
        """Compiles the part, in float32.

        Args:
            loaded: The model.
            tensors: Names of the tensors, such as "Add_12:0"; one at least depends on the images.

        Raises:
            ValueError: If the part does not run by itself.
        """
        openvino = import_openvino()
        ops = openvino.opset13
        try:
            results = [
                ops.result(ops.convert(tensor(loaded.model, name), "f32")) for name in tensors
            ]
            part = openvino.Model(results, loaded.model.get_parameters(), "part")
            self._compiled = openvino.Core().compile_model(
                part, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
        except RuntimeError as error:
            raise ValueError(brief(error)) from error

    def __call__(self, images: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float32]]:
        """Returns the tensors, as float32.

        Args:
            images: [batch, height, width, 3] of the model's dtype, and of its batch if that is
                fixed.

        Raises:
            ValueError: If the part fails on these.
        """
        try:
            found = self._compiled.create_infer_request().infer([np.ascontiguousarray(images)])
        except RuntimeError as error:
            raise ValueError(brief(error)) from error
        return [found[place].copy() for place in range(len(found))]
