"""OpenVINO as the engine, on CPUs: one compiled model a worker, shared by its threads."""

import sys
import threading
from types import ModuleType

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, ModelError, brief
from transforms.loaded_model import LoadedModel

_DEVICE = "CPU"
_CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}
_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


class OpenVinoEngine:
    """Runs a loaded model with OpenVINO. Threads may call it at the same time.

    Its throughput mode gives every call a stream, one core or a few: two threads that call use
    twice the cores of one.

    Attributes:
        device: "CPU".
        compiles_every_size: False: one compiled model takes batches of any size.
    """

    device = _DEVICE
    compiles_every_size = False

    def __init__(self, loaded: LoadedModel, precision: str, num_threads: int | None = None) -> None:
        """Converts and compiles the model.

        Args:
            loaded: The model. Its variables are read in place: freezing first would take as long
                again, and many times the memory.
            precision: One of `precisions()`.
            num_threads: Threads for all streams, or None for one a core.

        Raises:
            ModelError: If OpenVINO is not installed or cannot convert the model.
        """
        openvino = _import_openvino()
        properties: dict[str, object] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _TYPES[precision],
            # Pinned threads of several processes would sit on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if num_threads is not None:
            properties["INFERENCE_NUM_THREADS"] = num_threads
        try:
            model = openvino.convert_model(loaded.function)
            self._compiled = openvino.Core().compile_model(model, _DEVICE, properties)
        # OpenVINO's converter raises Exception itself for some models.
        except Exception as error:
            raise ModelError(
                f"OpenVINO cannot convert this model, use --engine tensorflow: {brief(error)}"
            ) from error
        self._own = threading.local()

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Returns what this machine computes in, float32 first and the fastest last.

        Raises:
            ModelError: If OpenVINO is not installed.
        """
        core = _import_openvino().Core()
        found = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        return tuple(name for name, capability in _CAPABILITIES.items() if capability in found)

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model on a batch; see TensorFlowEngine's call."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        try:
            request.infer([pixels], share_inputs=True)
        except RuntimeError as error:
            raise InferenceError(brief(error)) from error
        # The request's own memory, which its next call writes over.
        return request.get_output_tensor(0).data.copy()


def _import_openvino() -> ModuleType:
    # OpenVINO reports every import and conversion to Google Analytics by this package, unless it is
    # absent or the user has opted out.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "--engine openvino needs the package openvino: pip install '.[openvino]'"
        ) from error
    return openvino
