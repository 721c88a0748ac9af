"""ImageInference: what transforms share that give every image of a PCollection a model's answer."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.utils.timestamp import Timestamp

from transforms.inference.batching import batching
from transforms.inference.elements import image_or_error, output_type
from transforms.inference.image_failure import ImageFailure
from transforms.inference.infer_batch import FAILURES, ColumnsOf, InferBatch, Waiting
from transforms.inference.model_options import ModelOptions
from transforms.inference.predictor import Image, Tabulate
from transforms.inference.settled_model import SettledModel


class Inferred(NamedTuple):
    """Outputs of a transform.

    Attributes:
        rows: PCollection of elements with the model's columns.
        failures: PCollection of elements whose image could not be used, with the fields of an
            ImageFailure.
    """

    rows: PCollection[Any]
    failures: PCollection[Any]


@dataclasses.dataclass(eq=False, kw_only=True)
class ImageInference(beam.PTransform[PCollection[Any], Inferred], ModelOptions):
    """What EmbedImages and ClassifyImages share; see there."""

    image: str = "image"

    def __post_init__(self) -> None:
        super().__init__()

    def infer(
        self,
        images: PCollection[Any],
        model: SettledModel,
        *,
        tabulate: Tabulate,
        columns_of: ColumnsOf,
        columns: Mapping[str, Any],
    ) -> Inferred:
        """Batches elements, and runs the model on them.

        Args:
            images: The elements.
            model: The model, settled.
            tabulate: Callback from predictions to output rows.
            columns_of: Callback from output rows to the new columns of each.
            columns: Types of the new columns, by name.

        Raises:
            TypeError: If rows have no field for the image, or one of a new column's name. Of
                elements without a type only the workers see that.
        """
        rows_type = output_type(images.element_type, self.image, columns)
        failures_type = output_type(images.element_type, self.image, ImageFailure.__annotations__)
        images_of = functools.partial(_images_of, image=self.image)
        sizes = batching(self.images_a_batch, self.max_batch_seconds, images_of)
        batches = (
            images
            | "Wait" >> beam.Map(_waiting).with_output_types(Waiting)
            | "Batch" >> beam.BatchElements(**sizes)
        )
        # Rows and failures alike, whichever an element becomes.
        names = columns.keys() | ImageFailure.__annotations__.keys()
        inferring = beam.ParDo(InferBatch(model, self.image, tabulate, columns_of, names))
        found = batches | "InferBatch" >> inferring.with_outputs(FAILURES, main="rows")
        return Inferred(
            found.rows | "HandOnRows" >> beam.Map(_hand_on).with_output_types(rows_type),
            found.failures
            | "HandOnFailures" >> beam.Map(_hand_on).with_output_types(failures_type),
        )


def _hand_on(element: Any) -> Any:  # noqa: ANN401
    """Returns an element as it is.

    What a step yields as its bundle ends is lost if the next one takes batches, as WriteToParquet
    of rows does: Beam hands on what it has gathered for that just before. (DoOperation.finish in
    apache_beam/runners/worker/operations.py of 2.77) So another step is put between.
    """
    return element


def _waiting(
    element: Any,  # noqa: ANN401
    timestamp: Timestamp = beam.DoFn.TimestampParam,  # type: ignore[assignment]
) -> Waiting:
    return Waiting(element, timestamp)


def _images_of(waiting: Waiting, image: str) -> tuple[Image]:
    return (image_or_error(waiting.element, image),)
