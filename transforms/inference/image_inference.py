"""ImageInference: what transforms share that give every image of a PCollection a model's answer."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.utils.timestamp import Timestamp

from transforms.errors import ImageError
from transforms.images.policy import Preprocessing
from transforms.inference.elements import image_of, output_type
from transforms.inference.infer_batch import (
    FAILURE_COLUMNS,
    FAILURES,
    ColumnsOf,
    InferBatch,
    Tabulate,
    Waiting,
)
from transforms.inference.settled_model import SettledModel, settle_model
from transforms.inputs.part import BATCH_BYTES


class Inferred(NamedTuple):
    """Outputs of a transform.

    Attributes:
        rows: PCollection of elements with the model's columns.
        failures: PCollection of elements whose image could not be used, with FAILURE_COLUMNS.
    """

    rows: PCollection[Any]
    failures: PCollection[Any]


@dataclasses.dataclass(eq=False, kw_only=True)
class ImageInference(beam.PTransform[PCollection[Any], Inferred]):
    """What EmbedImages and ClassifyImages share; see there."""

    image: str = "image"
    signature: str | None = None
    output_key: str | None = None
    engine: str = "tensorflow"
    precision: str = "float32"
    batch_size: int = 32
    max_batch_seconds: float | None = None
    num_model_threads: int | None = None
    image_size: tuple[int, int] | None = None
    input_range: str | None = None
    resize_mode: str | None = None
    crop_fraction: float | None = None
    interpolation: str | None = None
    antialias: bool | None = None
    exif: str | None = None
    decode: str | None = None
    max_image_pixels: int | None = None
    max_image_bytes: int | None = None
    max_image_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def settle(self, model: str) -> SettledModel:
        """Finds and inspects the model.

        Raises:
            UserError: If it cannot be used so.
        """
        given = {
            field.name: value
            for field in dataclasses.fields(Preprocessing)
            if field.name != "image_size" and (value := getattr(self, field.name, None)) is not None
        }
        return settle_model(
            model,
            signature=self.signature,
            output_key=self.output_key,
            # Beam YAML gives a list.
            image_size=None if self.image_size is None else (*self.image_size,),
            preprocessing=given,
            engine=self.engine,
            precision=self.precision,
            num_threads=self.num_model_threads,
            batch_size=self.batch_size,
        )

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
            TypeError: If rows have no field for the image, or one of a new column's name.
        """
        rows_type = output_type(images.element_type, self.image, columns)
        failures_type = output_type(images.element_type, self.image, FAILURE_COLUMNS)
        weight = _Weight(self.image, self.batch_size)
        full = weight.full
        sizes: dict[str, Any] = {"element_size_fn": weight}
        if self.max_batch_seconds is not None:  # Counted by Beam in elements, whatever they weigh.
            full, sizes = self.batch_size, {"max_batch_duration_secs": self.max_batch_seconds}
        batches = (
            images
            | "Wait" >> beam.Map(_waiting).with_output_types(Waiting)
            | "Batch" >> beam.BatchElements(min_batch_size=full, max_batch_size=full, **sizes)
        )
        inferring = beam.ParDo(InferBatch(model, self.image, tabulate, columns_of))
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


@dataclasses.dataclass(frozen=True)
class _Weight:
    """Share of a batch that an element takes, in whole numbers: BATCH_BYTES end a batch, too."""

    image: str
    batch_size: int

    def __call__(self, waiting: Waiting) -> int:
        try:
            image = image_of(waiting.element, self.image)
        except ImageError:
            image = ""
        size_bytes = len(image) if isinstance(image, bytes) else 0
        return min(max(BATCH_BYTES, size_bytes * self.batch_size), self.full)

    @property
    def full(self) -> int:
        return BATCH_BYTES * self.batch_size
