"""How a model is to be run, and what its outputs become. Imports no TensorFlow."""

import dataclasses

from transforms.errors import FlagError
from transforms.models.spec import EndpointKind
from transforms.records import WrittenFile

ENGINES = ("tensorflow", "openvino")

AUTO = "auto"
"""Choice left to the machine: of a precision the fastest that does, of a batch size the fastest
that is measured on the first batches."""

INT8 = "int8"
"""Precision of a model that was quantized; "auto" never takes it."""

PRECISIONS = ("float32", "bfloat16", "float16", INT8, AUTO)

ACTIVATIONS = ("softmax", "sigmoid", "none")
NORMALIZATIONS = ("none", "l2")
"""What makes scores of a classifier's outputs, and vectors of others; the first is the default."""

LARGEST_TUNED_BATCH = 64
"""Images a batch while the batch size is measured: calls of this, its half and so on are tried."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How a model is to be run.

    Attributes:
        engine: Name of the engine, one of ENGINES.
        precision: Name of the precision, one of PRECISIONS. "auto" is the fastest that the machine
            has and that keeps the answers close to those of float32.
        num_threads: The engine's threads, or None for one a core.
        pixel_range: Smallest and largest value of the pixels that the model will get.
        input_range: Range that they have by name, where first images may speak against it; None
            where there is nothing to choose or no run.
        batch_size: Images of a full batch: what an engine that compiles every size pads to.
        tunes_batch_size: Whether to try smaller calls on the first full batches, and keep to the
            size that is fastest.
        quantized: File of the quantized model, for "int8"; else None.
    """

    engine: str = "tensorflow"
    precision: str = "float32"
    num_threads: int | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    input_range: str | None = None
    batch_size: int | None = None
    tunes_batch_size: bool = False
    quantized: WrittenFile | None = None


def choose_engine(kind: EndpointKind, asked: str | None = None) -> str:
    """Returns the engine that runs a model: as asked for, or that of its format.

    Raises:
        FlagError: If the one asked for does not run models of this format.
    """
    if kind is not EndpointKind.GRAPH:
        return asked or "tensorflow"
    if asked == "tensorflow":
        raise FlagError(
            "--engine tensorflow runs SavedModels, and the model is ONNX: leave --engine out, or "
            "give openvino"
        )
    return "openvino"
