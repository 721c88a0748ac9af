"""Which layers make int8 cost too much: those that NNCF's accuracy-aware mode keeps in float32."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.models.quantization import advanced_settings, batches_of, import_nncf, quiet
from transforms.models.quantization_cost import measure_cost

if TYPE_CHECKING:  # An extra.
    from openvino import Model, Node

MOST_LAYERS = 8
"""After which the search ends: a model that needs more of them in float32 gains little by int8."""

COMPARED_IMAGES = 64
"""Images at most that each try is judged by; there is one a layer, and more."""

_LAYERS = ("Convolution", "GroupConvolution", "MatMul")


def find_costly_layers(
    model: "Model",
    calibration: npt.NDArray[np.generic],
    control: npt.NDArray[np.generic],
    *,
    batch_size: int | None,
    measure: str,
    floor: float,
) -> list[str]:
    """Finds the layers without whose quantization a model would reach the floor.

    Args:
        model: The model, in float32.
        calibration: [images, height, width, 3], as the model takes them.
        control: The same of others.
        batch_size: Images that the model takes, or None for any number.
        measure: Name of the field of QuantizationCost that counts.
        floor: Least value of it that will do.

    Returns:
        Names of layers by their place and shape, in order, MOST_LAYERS at most; none if the floor
        is reached with all of them quantized, by these images.

    Raises:
        ModelError: If NNCF is not installed.
    """
    nncf = import_nncf()
    from nncf.quantization.advanced_parameters import AdvancedAccuracyRestorerParameters

    batches = batches_of(calibration, batch_size)
    # As the reference it is given its own answers: the measure of these is 1.
    reference: list[npt.NDArray[np.float32]] = []

    def validate(compiled: Any, items: Iterable[Any]) -> tuple[float, list[Any]]:  # noqa: ANN401
        answers = [np.array(compiled([item])[0]) for item in items]
        rows = np.concatenate(answers).reshape(sum(map(len, answers)), -1)
        if not reference:
            reference.append(rows)
        cost = measure_cost(reference[0], rows)
        return float(getattr(cost, measure)), [[answer] for answer in answers]

    with quiet():
        kept = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(batches),
            nncf.Dataset(batches_of(control[:COMPARED_IMAGES], batch_size)),
            validate,
            max_drop=1 - floor,
            subset_size=len(batches),
            advanced_quantization_parameters=advanced_settings(),
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
                max_num_iterations=MOST_LAYERS, num_ranking_workers=1
            ),
        )
    return list(_in_float32(kept))


def _in_float32(model: "Model") -> Iterable[str]:
    layers = [node for node in model.get_ordered_ops() if node.get_type_name() in _LAYERS]
    for place, layer in enumerate(layers, start=1):
        if layer.input_value(0).get_node().get_type_name() != "FakeQuantize":
            yield _describe(layer, f"{place} of {len(layers)}")


def _describe(layer: "Node", place: str) -> str:
    """Says which layer it is, as "convolution 3 of 26 (3x3 to 64)": a converted one has no name."""
    *_, height, width = layer.input(1).get_partial_shape()
    channels = layer.output(0).get_partial_shape()[1]
    if layer.get_type_name() == "MatMul":
        if layer.get_attributes()["transpose_b"]:
            height, width = width, height
        return f"matrix product {place} ({height} to {width})"
    kind = {"Convolution": "convolution", "GroupConvolution": "depthwise convolution"}
    return f"{kind[layer.get_type_name()]} {place} ({height}x{width} to {channels})"
