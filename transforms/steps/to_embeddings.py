"""ToEmbeddings: predictions -> rows of the embeddings table."""

import dataclasses
from collections.abc import Mapping

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.records import Step
from transforms.schemas import EMBEDDING, embedding_schema
from transforms.steps.embeddings import find_overflow, normalize_l2, to_embedding_column

PROBABILITIES = (
    "the model's outputs are probabilities: a classifier's answer rather than a feature vector; "
    "see pipelines.classify, or choose another output with --output_key or --signature"
)


def to_embedding_rows(
    batch: Predictions,
    *,
    dtype: str,
    normalize: str,
    carried: pa.Schema,
    metadata: Mapping[str, str],
) -> OutputRows:
    """Makes a batch's rows; see ToEmbeddings for the arguments."""
    schema = embedding_schema(batch.outputs.shape[1], dtype, carried, metadata)
    vector_type = schema.field(EMBEDDING).type
    vectors = normalize_l2(batch.outputs) if normalize == "l2" else batch.outputs
    errors = find_overflow(vectors, vector_type)
    if errors:
        rows, failures = batch.set_aside(Step.MODEL, errors)
        batch = dataclasses.replace(batch, rows=rows, failures=failures)
        vectors = np.delete(vectors, list(errors), axis=0)
    column = to_embedding_column(vectors, vector_type)
    warnings = [PROBABILITIES] if batch.outputs_are_probabilities else []
    return batch.tabulate(schema, {EMBEDDING: column}, *warnings)


@beam.typehints.with_input_types(Predictions)
@dataclasses.dataclass(eq=False)
class ToEmbeddings(beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]):
    """Turns model outputs into embedding rows, batch for batch.

    Attributes:
        dtype: "float32" or "float16".
        normalize: "none" or "l2".
        carried: The carried columns.
        metadata: What the table's footer says.
    """

    dtype: str
    normalize: str
    carried: pa.Schema
    metadata: Mapping[str, str]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[Predictions]) -> PCollection[OutputRows]:
        """Returns one batch of rows a batch of predictions."""
        return batches | "ToEmbeddingRows" >> beam.Map(
            to_embedding_rows,
            dtype=self.dtype,
            normalize=self.normalize,
            carried=self.carried,
            metadata=self.metadata,
        ).with_output_types(OutputRows)
