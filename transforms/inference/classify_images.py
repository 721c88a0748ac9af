"""ClassifyImages: the best classes of every image of a PCollection."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.errors import FlagError
from transforms.inference.image_inference import ImageInference, Inferred
from transforms.inference.infer_batch import columns_less_names
from transforms.models.class_names import read_fitting_labels
from transforms.models.engine_settings import ACTIVATIONS
from transforms.models.image_model import ImageModel
from transforms.models.top_k import TOP_K, check_top_k
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, CONTENT_SHA256, HEIGHT, SCORE, WIDTH
from transforms.steps.to_top_k import check_activation, default_activation, to_top_k_rows

COLUMNS = {
    CLASS_INDEX: Sequence[np.int32],
    CLASS_LABEL: Sequence[str | None],
    SCORE: Sequence[np.float32],
    WIDTH: int,
    HEIGHT: int,
    CONTENT_SHA256: str,
}
"""New columns, and their types."""


@dataclasses.dataclass(eq=False)
class ClassifyImages(ImageInference):
    """Gives every image its best classes, by any TF2 image SavedModel.

    For example::

        rows, failures = photos | ClassifyImages("classifier/", labels="labels.txt", top_k=3)

    Elements are as EmbedImages takes them. What comes out has the columns class_index (list of
    int), class_label (list of str, or of None without labels), score (list of float), all best
    first, width, height and content_sha256.

    Attributes:
        model: Handle of the SavedModel; see EmbedImages, also for the other arguments.
        labels: File of the class names; None for the one that came with the model, if any.
        top_k: Classes to keep; 5, the default, are all of a model that has fewer.
        activation: "softmax", "sigmoid" or "none"; None for what the model says: by its notes, or
            sigmoid or none if it has one output, else softmax.

    Raises:
        UserError: From where it is applied, if the model cannot be used so.
        TypeError: If rows have no field for the image, or one of a new column's name.
    """

    model: str
    labels: str | None = None
    top_k: int = TOP_K
    activation: str | None = None

    @beam.typehints.no_annotations
    def expand(self, images: PCollection[Any]) -> Inferred:
        """Returns the elements with classes, and those that failed."""
        model = self.settle(self.model)
        activation = self.activation or model.notes.get("activation")
        if activation not in (None, *ACTIVATIONS):
            raise FlagError(
                f"activation must be one of {' '.join(ACTIVATIONS)}, got {activation!r}"
            )
        num_classes = model.spec.output_dim
        check_activation(activation, num_classes)
        check_top_k(self.top_k, num_classes)
        return self.infer(
            images,
            model,
            tabulate=functools.partial(
                _tabulate,
                top_k=self.top_k,
                activation=activation,
                labels=read_fitting_labels(self.labels or model.spec.labels, num_classes),
            ),
            columns_of=_columns_of,
            columns=COLUMNS,
        )


def _tabulate(
    batch: Predictions,
    model: ImageModel,
    *,
    top_k: int,
    activation: str | None,
    labels: tuple[str, ...] | None,
) -> OutputRows:
    return to_top_k_rows(
        batch,
        top_k=top_k,
        activation=activation
        or default_activation(model.output_dim, model.outputs_are_probabilities),
        labels=labels,
        carried=pa.schema([]),
        metadata={},
    )


def _columns_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = {name: column.to_pylist() for name, column in columns_less_names(batch).items()}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
