"""Why a model cannot be given images alone: one sentence for each kind of model."""

from collections.abc import Collection

from transforms.models.endpoint import Endpoint
from transforms.models.tensor_info import TensorInfo

_WANTED = "this pipeline gives images alone, [N, height, width, 3] of numbers"
_SOUND = ("audio", "wav", "sound", "spectrogram")
_SHORTEST_SOUND = 8000
"""Samples of half a second at 16 kHz: a row of numbers as long as this is taken for sound."""


def refusal(endpoints: Collection[Endpoint]) -> str:
    """Says why none of these can be given images, as in "the model takes audio, ..."."""
    inputs = [text for endpoint in endpoints for text in endpoint.inputs]
    if endpoints and not inputs:
        return "was never traced; call it once before saving it"
    training = {word for text in inputs for word in ("True", "False") if f"training={word}" in text}
    if training == {"True"}:
        return "is traced with training=True only; trace it with training=False and save it again"
    if any(": string [" in text for text in inputs):
        return (
            "takes strings; this pipeline decodes images itself and needs a signature that takes "
            "pixels, [N, height, width, 3]"
        )
    for endpoint in endpoints:
        for tensors in endpoint.tensors:
            if said := _takes(tensors):
                return f"takes {said}; {_WANTED}"
    return "cannot be given images alone, [N, height, width, 3] of numbers"


def _takes(tensors: tuple[TensorInfo, ...]) -> str | None:
    images = next((tensor for tensor in tensors if tensor.holds_images), None)
    others = [tensor for tensor in tensors if tensor is not images]
    if len(tensors) > 1 and images is not None:
        # "meta: float32 [N, 4]" is said as "meta, float32 [N, 4]".
        listed = " and ".join(str(tensor).replace(": ", ", ", 1) for tensor in others)
        return f"a second input, {listed}" if len(others) == 1 else f"further inputs, {listed}"
    if len(tensors) != 1:
        return None
    (tensor,) = tensors
    shape = tensor.shape
    if shape is None:
        return None
    if any(word in tensor.name.lower() for word in _SOUND):
        return f"audio, {tensor}"
    if len(shape) == 5:
        return f"volumes or films, {tensor}"
    if len(shape) == 4:
        channels = sorted(side for side in (shape[1], shape[3]) if side is not None)
        return f"images of {channels[0] if channels else '?'} channels, {tensor}"
    if len(shape) == 3:
        return f"images without channels, or sequences, {tensor}"
    if tensor.dtype.startswith("int"):
        return f"tokens, {tensor}"
    if len(shape) == 1 or (shape[-1] or 0) >= _SHORTEST_SOUND:
        return f"audio, {tensor}"
    return f"a table of numbers, {tensor}"
