"""ToTopK: predictions -> rows of the classification table."""

import dataclasses
from collections.abc import Mapping

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.errors import ModelError
from transforms.models.class_names import labels_for, positive_class
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, SCORE, classification_schema

SOFTMAX_OF_ONE = (
    "the model has one output, and --activation softmax of one number is 1 for every image; use "
    "--activation sigmoid, or none if the output is a probability"
)
ACTIVATED_TWICE = (
    "the model's outputs already are probabilities, and --activation is applied to them again: "
    "the scores mean little (their order holds); use --activation none"
)


def activate(logits: npt.NDArray[np.float32], activation: str) -> npt.NDArray[np.float32]:
    """Turns logits into scores.

    Args:
        logits: float32 [batch, num_classes], finite.
        activation: "softmax" (classes exclude each other), "sigmoid" (they do not) or "none".

    Returns:
        float32 [batch, num_classes]; computed in float64, so no exponential overflows.
    """
    wide = logits.astype(np.float64)
    if activation == "softmax":
        exponentials = np.exp(wide - wide.max(axis=1, keepdims=True, initial=-np.inf))
        wide = exponentials / exponentials.sum(axis=1, keepdims=True)
    elif activation == "sigmoid":
        wide = 0.5 * (1 + np.tanh(0.5 * wide))
    return wide.astype(np.float32)


def check_activation(activation: str | None, num_classes: int | None) -> None:
    """Checks that an activation fits a model's width, as far as either is known.

    Raises:
        ModelError: If it is the softmax of one number.
    """
    if activation == "softmax" and num_classes == 1:
        raise ModelError(SOFTMAX_OF_ONE)


def default_activation(output_dim: int, outputs_are_probabilities: bool) -> str:
    """Returns how scores are made where nobody says: by sigmoid or not at all of one output."""
    if output_dim > 1:
        return "softmax"
    return "none" if outputs_are_probabilities else "sigmoid"


def top_k_classes(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int32]:
    """Picks each row's k largest scores, best first; of equal scores the lower index wins.

    Args:
        scores: float32 [batch, num_classes].
        k: Classes to keep; all of them if num_classes is smaller.

    Returns:
        Class indices int32 [batch, min(k, num_classes)].
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)


def to_class_columns(
    logits: npt.NDArray[np.float32], *, activation: str, k: int, labels: tuple[str, ...] | None
) -> dict[str, pa.Array]:
    """Returns the class_index, class_label and score columns.

    Args:
        logits: float32 [batch, num_classes].
        activation: Name of the activation, as for activate.
        k: Classes a row.
        labels: Names of the classes, one a class, or None: class_label then holds nulls. Of one
            logit, one name or two, as positive_class reads them.
    """
    # Ranked by logit: rounding a score to float32 must not change the order.
    index = top_k_classes(logits, k)
    scores = np.take_along_axis(activate(logits, activation), index, axis=1)
    if logits.shape[1] == 1:
        number, name = positive_class(labels)
        index, labels = np.full_like(index, number), ("",) * number + (name,)
    offsets = pa.array(np.arange(0, index.size + 1, max(index.shape[1], 1), dtype=np.int32))
    if labels is None:
        names = pa.nulls(index.size, pa.string())
    else:
        names = pa.array(labels, pa.string()).take(pa.array(index.reshape(-1)))
    columns = {
        CLASS_INDEX: pa.array(index.reshape(-1)),
        CLASS_LABEL: names,
        SCORE: pa.array(scores.reshape(-1)),
    }
    return {name: _to_lists(offsets, values) for name, values in columns.items()}


def _to_lists(offsets: pa.Array, values: pa.Array) -> pa.Array:
    element = pa.list_(pa.field("element", values.type))
    return pa.ListArray.from_arrays(offsets, values, type=element)


def to_top_k_rows(
    batch: Predictions,
    *,
    top_k: int,
    activation: str,
    labels: tuple[str, ...] | None,
    carried: pa.Schema,
    metadata: Mapping[str, str],
    statistics: bool = False,
) -> OutputRows:
    """Makes a batch's rows; see ToTopK for the arguments.

    Raises:
        ModelError: If the labels or the activation do not fit the model's width.
    """
    num_classes = batch.outputs.shape[1]
    check_activation(activation, num_classes)
    names = labels if labels is None else labels_for(labels, num_classes)
    if num_classes == 1:
        names = labels
    columns = to_class_columns(batch.outputs, activation=activation, k=top_k, labels=names)
    warnings = [ACTIVATED_TWICE] if activation != "none" and batch.outputs_are_probabilities else []
    schema = classification_schema(carried, metadata, statistics=statistics)
    return batch.tabulate(schema, columns, *warnings)


@beam.typehints.with_input_types(Predictions)
@dataclasses.dataclass(eq=False)
class ToTopK(beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]):
    """Turns model outputs into the best classes of each image, batch for batch.

    Attributes:
        top_k: Classes to keep.
        activation: "softmax", "sigmoid" or "none".
        labels: Class names as read from the label file, or None.
        carried: The carried columns.
        metadata: Entries of the table's footer, by name.
        statistics: Whether the rows have the columns of STATISTICS_FIELDS.
    """

    top_k: int
    activation: str
    labels: tuple[str, ...] | None
    carried: pa.Schema
    metadata: Mapping[str, str]
    statistics: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[Predictions]) -> PCollection[OutputRows]:
        """Returns one batch of rows a batch of predictions."""
        return batches | "ToTopKRows" >> beam.Map(
            to_top_k_rows,
            top_k=self.top_k,
            activation=self.activation,
            labels=self.labels,
            carried=self.carried,
            metadata=self.metadata,
            statistics=self.statistics,
        ).with_output_types(OutputRows)
