"""What int8 costs: its answers to images that did not calibrate it, beside those of float32."""

import dataclasses

import numpy as np
import numpy.typing as npt

from transforms.models.cosines import cosines
from transforms.vectors.neighbour_overlap import overlap_at_k

NEIGHBOURS = 10

_Outputs = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class QuantizationCost:
    """How far int8 is from float32.

    Attributes:
        images: Images that were compared; none of them calibrated.
        cosine_median: Median cosine of an image's two answers, as `cosines` has it.
        cosine_least: Least of them.
        top_1_agreement: Share of images of which the largest output is the same one; of models
            with one output, that lies on the same side of the median.
        neighbour_overlap: Mean share of an image's ten nearest among the others that both find.
    """

    images: int
    cosine_median: float
    cosine_least: float
    top_1_agreement: float
    neighbour_overlap: float


def measure_cost(reference: _Outputs, quantized: _Outputs) -> QuantizationCost:
    """Compares two models' answers to the same images.

    Args:
        reference: [images, output_dim], finite, of the model in float32.
        quantized: [images, output_dim], of the quantized one.
    """
    found = cosines(reference, quantized)
    agree = _top_1(reference, reference) == _top_1(quantized, reference)
    overlap = overlap_at_k(_nearest(reference), _nearest(quantized))
    return QuantizationCost(
        images=len(reference),
        cosine_median=_rounded(np.median(found)),
        cosine_least=_rounded(found.min()),
        top_1_agreement=_rounded(agree.mean()),
        neighbour_overlap=_rounded(overlap.mean(dtype=np.float64)),
    )


def _top_1(outputs: _Outputs, reference: _Outputs) -> npt.NDArray[np.integer]:
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > np.median(reference)).astype(np.int64)
    return outputs.argmax(axis=1)


def _nearest(vectors: _Outputs) -> npt.NDArray[np.integer]:
    """Returns the nearest of each among the others: int64 [images, NEIGHBOURS].

    Near is by cosine, and of one number, which has no direction, by difference.
    """
    if vectors.shape[1] == 1:
        found = -np.abs(vectors - vectors.T)
    else:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.where(norms > 0, norms, 1)
        found = unit @ unit.T
    np.fill_diagonal(found, -np.inf)
    return np.argsort(-found, axis=1, kind="stable")[:, :NEIGHBOURS]


def _rounded(value: np.floating) -> float:
    return round(float(value), 6)
