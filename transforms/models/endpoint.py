"""Something in a model that can be called, and the ways to call it with images alone."""

import dataclasses
from collections.abc import Mapping

from transforms.models.spec import EndpointKind, Scalar, Training
from transforms.models.tensor_info import TensorInfo

ONLY_OUTPUT = ""
"""Output key of an endpoint that returns a bare tensor."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """One way to call an endpoint with images alone."""

    images: TensorInfo
    outputs: Mapping[str, TensorInfo]
    passes_training: bool = False
    switches: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Scalar], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Something in a model that can be called.

    Attributes:
        kind: Way to call it: as an object, by a signature, or by one of its attributes.
        name: "__call__", the signature's, or the attribute's.
        inputs: Inputs of every trace, for messages.
        traces: The ways in which images alone can be given to it, for inference; may be empty.
        training: Whether it takes `training`.
        trains: Whether images can be given to it with training=True too.
        hyperparameters: Other arguments with their defaults; what is no scalar, as text.
        tensors: Inputs of every trace that are tensors, for messages.
    """

    kind: EndpointKind
    name: str
    inputs: tuple[str, ...]
    traces: tuple[Trace, ...]
    training: Training = Training.ABSENT
    trains: bool = False
    hyperparameters: tuple[tuple[str, Scalar], ...] = ()
    tensors: tuple[tuple[TensorInfo, ...], ...] = ()

    def __str__(self) -> str:
        """Such as "signature serve(images: float32 [N, 224, 224, 3])"."""
        if not self.inputs:
            return f"{self.kind} {self.name} (never traced: call it once before saving it)"
        return f"{self.kind} {self.name}({' | '.join(self.inputs)})"
