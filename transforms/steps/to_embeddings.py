"""ToEmbeddings: predictions -> rows of the embeddings table."""

import dataclasses
from collections.abc import Mapping

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.errors import EmbeddingOverflowError, ModelError
from transforms.failure import Step
from transforms.schemas import EMBEDDING, embedding_schema

PROBABILITIES = (
    "the model's outputs are probabilities: a classifier's answer rather than a feature vector; "
    "see pipelines.classify, or choose another output with --output_key or --signature"
)


def check_length(normalize: str, embedding_dim: int | None) -> None:
    """Checks that vectors of length 1 say something, as far as their dimension is known.

    Raises:
        ModelError: If they are of one number.
    """
    if normalize == "l2" and embedding_dim == 1:
        raise ModelError(
            "the model has one output, and --normalize l2 makes each number 1 or -1; use "
            "--normalize none"
        )


def normalize_l2(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales each vector to length 1; a zero vector stays zero.

    Args:
        vectors: float32 [batch, embedding_dim].

    Returns:
        float32 [batch, embedding_dim].
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)


def find_overflow(
    vectors: npt.NDArray[np.float32], vector_type: pa.DataType
) -> dict[int, EmbeddingOverflowError]:
    """Finds the vectors that do not fit the written type.

    Args:
        vectors: float32 [batch, embedding_dim], finite.
        vector_type: fixed_size_list<float32 | float16>[embedding_dim].

    Returns:
        What is wrong, by row number.
    """
    dtype = np.dtype(vector_type.value_type.to_pandas_dtype())
    limit = float(np.finfo(dtype).max)
    largest = np.abs(vectors).max(axis=1, initial=0)
    return {
        int(row): EmbeddingOverflowError(
            f"value {largest[row]:.6g} does not fit {dtype} (largest {limit:.6g}); use "
            "--embedding_dtype float32 or --normalize l2"
        )
        for row in np.flatnonzero(largest > limit)
    }


def to_embedding_column(vectors: npt.NDArray[np.float32], vector_type: pa.DataType) -> pa.Array:
    """Returns the vectors as one fixed-size-list column, without a copy for float32.

    Args:
        vectors: float32 [batch, embedding_dim], each fitting the type.
        vector_type: fixed_size_list<float32 | float16>[embedding_dim].
    """
    dtype = vector_type.value_type.to_pandas_dtype()
    values = np.ascontiguousarray(vectors).astype(dtype, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=vector_type)


def to_embedding_rows(
    batch: Predictions,
    *,
    dtype: str,
    normalize: str,
    carried: pa.Schema,
    metadata: Mapping[str, str],
    statistics: bool = False,
) -> OutputRows:
    """Makes a batch's rows; see ToEmbeddings for the arguments.

    Raises:
        ModelError: If all that is left of a vector is its sign.
    """
    width = batch.outputs.shape[1]
    check_length(normalize, width)
    schema = embedding_schema(width, dtype, carried, metadata, statistics=statistics)
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
        metadata: Entries of the table's footer, by name.
        statistics: Whether the rows have the columns of STATISTICS_FIELDS.
    """

    dtype: str
    normalize: str
    carried: pa.Schema
    metadata: Mapping[str, str]
    statistics: bool = False

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
            statistics=self.statistics,
        ).with_output_types(OutputRows)
