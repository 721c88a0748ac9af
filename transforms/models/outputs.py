"""Which output of a model is used: those that could never be one row of numbers are not offered."""

from collections.abc import Mapping, Sequence

from transforms.errors import ModelError
from transforms.models.endpoint import ONLY_OUTPUT, Endpoint
from transforms.models.spec import EndpointKind
from transforms.models.tensor_info import TensorInfo

_DTYPES = ("float32", "float16", "bfloat16", "float64")
_WANTED = "of a float type and the shape [N, D], [N, 1, 1, D] or [N, D, 1, 1]"
_LOGITS = ("logits", "probabilities")
_FEATURES = "feature_vector"


def usable_outputs(outputs: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    """Returns the names of the outputs that may be one row of numbers an image.

    Of {"Confidences": float32 [N, 2], "Prediction": string [N]} that is "Confidences". A map of one
    place counts where there is nothing else: it is mostly what the others are made of.
    """
    rows = {key: output.shape or () for key, output in outputs.items() if _is_rows(output)}
    return tuple(key for key, shape in rows.items() if not is_map_of_one(shape)) or tuple(rows)


def choose_output(
    endpoint: Endpoint, outputs: Mapping[str, TensorInfo], output_key: str | None
) -> str:
    """Returns the name of the output to use.

    Args:
        endpoint: What is called, for messages.
        outputs: Its outputs by name.
        output_key: Name that the user says, or None to choose.

    Raises:
        ModelError: If it is not there, or several are as good.
    """
    if output_key is not None:
        if output_key not in outputs or output_key == ONLY_OUTPUT:
            keys = ", ".join(outputs) or "none"
            named = "one output without a name" if ONLY_OUTPUT in outputs else f"the outputs {keys}"
            raise ModelError(f"--output_key {output_key} is not in the model: it has {named}")
        return output_key
    boxes = next((output for key, output in outputs.items() if "box" in key.lower()), None)
    if boxes is not None and len(outputs) > 1:
        raise ModelError(
            f"{endpoint.kind} {endpoint.name} answers with boxes, {boxes}: it detects objects, "
            "want one row of numbers an image; choose another output with --output_key"
        )
    usable = usable_outputs(outputs)
    if len(outputs) == 1:
        return next(iter(outputs))
    if not usable:
        listed = "; ".join(map(str, outputs.values()))
        raise ModelError(
            f"{endpoint.kind} {endpoint.name} returns {listed or 'nothing'}, want one row of "
            f"numbers an image, {_WANTED}"
            + ("" if _is_whole(endpoint) else "; choose another with --signature")
        )
    if len(usable) == 1:
        return usable[0]
    if "default" in usable:
        return "default"
    # Features and logits side by side: only the user knows which are wanted.
    if _FEATURES not in usable:
        for key in _LOGITS:
            if key in usable:
                return key
    elif not any(key in usable for key in _LOGITS):
        return _FEATURES
    raise ModelError(
        f"{endpoint.kind} {endpoint.name} has the outputs {', '.join(usable)}; choose one with "
        "--output_key"
    )


def output_shape(endpoint: Endpoint, output: TensorInfo) -> tuple[int | None, int | None]:
    """Returns the rank and the width of an output, None for what is not declared.

    Raises:
        ModelError: If it is not one row of numbers an image.
    """
    if not _is_rows(output):
        raise ModelError(
            f"{endpoint.kind} {endpoint.name} returns {output}, want one row of numbers an image, "
            f"{_WANTED}; choose another with --output_key{_or_signature(endpoint)}"
        )
    if output.shape is None:
        return None, None
    return len(output.shape), output.shape[1 if is_map_of_one(output.shape) else -1]


def is_map_of_one(shape: Sequence[int | None]) -> bool:
    """Whether a shape is [batch, output_dim, 1, 1], as of pooled maps with their channels first."""
    return len(shape) == 4 and tuple(shape[2:]) == (1, 1)


def _or_signature(endpoint: Endpoint) -> str:
    """Says the other flag that chooses; a graph has no other parts."""
    return "" if _is_whole(endpoint) else " or --signature"


def _is_whole(endpoint: Endpoint) -> bool:
    return endpoint.kind is EndpointKind.GRAPH


def _is_rows(output: TensorInfo) -> bool:
    shape = output.shape
    if output.dtype not in _DTYPES:
        return False
    if shape is None or len(shape) == 2:
        return True
    return is_map_of_one(shape) or (
        len(shape) == 4 and all(side in (1, None) for side in shape[1:3])
    )
