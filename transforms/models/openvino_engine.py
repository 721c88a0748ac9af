"""OpenVINO as the engine, on CPUs: one compiled model a worker, shared by its threads."""

import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, ModelError, brief
from transforms.machine.openvino_runtime import import_openvino, openvino_cause
from transforms.models.loaded_model import LoadedModel
from transforms.models.onnx_model import OnnxModel

if TYPE_CHECKING:  # An extra.
    from openvino import InferRequest, Model

_DEVICE = "CPU"

_SMALLEST_PART = 8
"""Images: smaller ones cost more each than the cores they would fill are worth."""

_PART_A_CORE = 4
"""Images: what an operation writes of more than these has left the core's cache when the next one
reads it. Fewer cost more each (docs/benchmarks.md)."""

_CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}
_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "f32"}
"""Of int8, what the operations are computed in that were not quantized."""


class OpenVinoEngine:
    """Runs a loaded model with OpenVINO. Threads may call it at the same time.

    In its throughput mode a request runs on one stream, which is one core or a few; requests wait
    for one. A batch is divided, so that a single thread that calls uses every core, and further
    where what is in work would not fit the cache.

    Attributes:
        device: "CPU".
        compiles_every_size: False: one compiled model takes batches of any size.
    """

    device = _DEVICE
    compiles_every_size = False

    def __init__(
        self,
        source: "LoadedModel | OnnxModel | Model",
        precision: str,
        num_threads: int | None = None,
    ) -> None:
        """Converts and compiles the model.

        Args:
            source: The model, loaded or converted. Variables of a loaded one are read in place:
                freezing first takes more memory, and EfficientNetV2-B0 then runs 2.6 times as long.
            precision: Name of the precision, one of `precisions()`, or "int8" of a quantized model.
            num_threads: Threads for all streams, or None for one a core.

        Raises:
            ModelError: If OpenVINO is not installed or cannot convert the model.
        """
        openvino = import_openvino()
        properties: dict[str, object] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _TYPES[precision],
            # Pinned threads of several processes would sit on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if num_threads is not None:
            properties["INFERENCE_NUM_THREADS"] = num_threads
        try:
            model = convert(source) if isinstance(source, LoadedModel | OnnxModel) else source
            self._compiled = openvino.Core().compile_model(model, _DEVICE, properties)
        # OpenVINO's converter raises Exception itself for some models.
        except Exception as error:
            cure = "" if isinstance(source, OnnxModel) else ", use --engine tensorflow"
            raise ModelError(
                f"OpenVINO cannot convert this model{cure}: {openvino_cause(error)}"
            ) from error
        self._num_streams = int(self._compiled.get_property("NUM_STREAMS"))
        self._num_cores = int(self._compiled.get_property("INFERENCE_NUM_THREADS"))
        self._is_divisible = model.inputs[0].partial_shape[0].is_dynamic
        self._own = threading.local()

    @staticmethod
    def precisions() -> tuple[str, ...]:
        """Returns what this machine computes in, float32 first and the fastest last.

        Raises:
            ModelError: If OpenVINO is not installed.
        """
        core = import_openvino().Core()
        found = core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        return tuple(name for name, capability in _CAPABILITIES.items() if capability in found)

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model on a batch, in parts; see TensorFlowEngine's call."""
        count = 1
        if self._is_divisible:
            count = count_parts(len(pixels), self._num_streams, self._num_cores)
        parts = np.array_split(pixels, count)
        requests = self._requests(count)
        errors = []
        for request, part in zip(requests, parts, strict=True):
            request.start_async([part], share_inputs=True)
        for request in requests:
            try:
                request.wait()
            except RuntimeError as error:
                errors.append(error)
        if errors:
            raise InferenceError(brief(errors[0])) from errors[0]
        # The requests' own memory, which their next call writes over.
        return np.concatenate([request.get_output_tensor(0).data for request in requests])

    def _requests(self, count: int) -> list["InferRequest"]:
        """Returns this thread's own requests."""
        own: list[InferRequest] = self._own.__dict__.setdefault("requests", [])
        while len(own) < count:
            own.append(self._compiled.create_infer_request())
        return own[:count]


def count_parts(images: int, num_streams: int, num_cores: int) -> int:
    """Returns into how many parts a batch goes, on streams that have so many cores together."""
    for_streams = min(num_streams, images // _SMALLEST_PART)
    for_caches = images // (_PART_A_CORE * max(1, num_cores // num_streams))
    return max(1, for_streams, for_caches)


def convert(loaded: LoadedModel | OnnxModel) -> "Model":
    """Converts a function as openvino.convert_model does, whose answers are the same bits.

    That one imports Keras, which takes a second, to find out what it is given. An ONNX model is of
    OpenVINO's own kind as it is loaded.
    """
    if isinstance(loaded, OnnxModel):
        return loaded.model
    from openvino.frontend import FrontEndManager
    from openvino.frontend.tensorflow.graph_iterator import GraphIteratorTFGraph

    converter = FrontEndManager().load_by_framework("tf")
    # Kept while it is converted: OpenVINO calls back.
    nodes = GraphIteratorTFGraph(loaded.function.graph, share_weights=True)
    return converter.convert(converter.load(nodes))
