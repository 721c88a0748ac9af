"""ToTopK: predictions -> rows of the classification table."""

import dataclasses
from collections.abc import Mapping

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.models.class_names import labels_for
from transforms.schemas import classification_schema
from transforms.steps.top_k import to_class_columns

ACTIVATED_TWICE = (
    "the model's outputs already are probabilities, and --activation is applied to them again: "
    "the scores mean little (their order holds); use --activation none"
)


def to_top_k_rows(
    batch: Predictions,
    *,
    top_k: int,
    activation: str,
    labels: tuple[str, ...] | None,
    carried: pa.Schema,
    metadata: Mapping[str, str],
) -> OutputRows:
    """Makes a batch's rows; see ToTopK for the arguments."""
    names = labels if labels is None else labels_for(labels, batch.outputs.shape[1])
    columns = to_class_columns(batch.outputs, activation=activation, k=top_k, labels=names)
    warnings = [ACTIVATED_TWICE] if activation != "none" and batch.outputs_are_probabilities else []
    return batch.tabulate(classification_schema(carried, metadata), columns, *warnings)


@beam.typehints.with_input_types(Predictions)
@dataclasses.dataclass(eq=False)
class ToTopK(beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]):
    """Turns model outputs into the best classes of each image, batch for batch.

    Attributes:
        top_k: Classes to keep.
        activation: "softmax", "sigmoid" or "none".
        labels: Class names as read from the label file, or None.
        carried: The carried columns.
        metadata: What the table's footer says.
    """

    top_k: int
    activation: str
    labels: tuple[str, ...] | None
    carried: pa.Schema
    metadata: Mapping[str, str]

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
        ).with_output_types(OutputRows)
