"""ImageEmbeddings: an image SavedModel for Beam's MLTransform."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.ml.transforms.base import EmbeddingsManager, EmbeddingTypeAdapter
from apache_beam.pvalue import PCollection

from transforms.errors import ModelError
from transforms.files.uris import is_local
from transforms.inference.batching import batching, size_of
from transforms.inference.elements import image_or_error
from transforms.inference.image_failure import ImageFailure
from transforms.inference.image_model_handler import ImageModelHandler
from transforms.inference.predictor import Image, Predictor


class ImageEmbeddings(EmbeddingsManager):
    """Puts vectors in the place of images, in columns of rows or dicts.

    For example::

        rows | MLTransform(write_artifact_location=DIR).with_transform(
            ImageEmbeddings("model/", columns=["photo"])
        )

    A column holds bytes of image files, or URIs; it gets a list of float. An image that cannot be
    used ends the pipeline, or goes, alone, to the second output of with_exception_handling.

    An MLTransform that reads the artifacts uses the same model with the same arguments, and refuses
    one that has changed since.
    """

    def __init__(
        self,
        model: str,
        *,
        columns: list[str] | None = None,
        type_adapter: EmbeddingTypeAdapter[Any, Any] | None = None,
        **options: Any,  # noqa: ANN401 - of ImageModelHandler
    ) -> None:
        """Finds and inspects the model.

        Args:
            model: Handle of the SavedModel; see EmbedImages.
            columns: Names of the columns.
            type_adapter: What to embed of elements without columns, and where to put it.
            **options: Further arguments of ImageModelHandler.

        Raises:
            UserError: If the model cannot be used so.
        """
        super().__init__(columns=columns, type_adapter=type_adapter)
        self._handler = ImageModelHandler(model, **options)
        self._options = options

    def get_model_handler(self) -> ModelHandler[Any, Any, Any]:
        """Returns what runs the model on images."""
        return self._handler

    def get_ptransform_for_processing(self, **_: Any) -> "EmbedColumns":  # noqa: ANN401 - Beam's
        """Returns what MLTransform applies, and keeps as its artifact."""
        model = self._handler.model
        return EmbedColumns(
            os.path.abspath(model) if is_local(model) else model,
            self._handler.fingerprint,
            self._options,
            self.type_adapter,
        )


@dataclasses.dataclass(eq=False)
class EmbedColumns(beam.PTransform[PCollection[Any], Any]):
    """What MLTransform applies; kept as JSON, so that it holds no more than what was said.

    Attributes:
        model: Handle of the SavedModel.
        fingerprint: sha256 of its files.
        options: Arguments of ImageModelHandler.
        type_adapter: What to embed of elements, and where to put it.
    """

    model: str
    fingerprint: str
    options: dict[str, Any]
    type_adapter: EmbeddingTypeAdapter[Any, Any]

    def __post_init__(self) -> None:
        super().__init__()
        self._catching: dict[str, Any] | None = None

    def default_label(self) -> str:
        """Returns a name that another model in the same MLTransform does not have."""
        return f"EmbedColumns {self.fingerprint[:12]}"

    def with_exception_handling(self, **arguments: Any) -> "EmbedColumns":  # noqa: ANN401 - Beam's
        """Gives elements whose image cannot be used an output of their own."""
        self._catching = arguments
        return self

    @beam.typehints.no_annotations
    def expand(self, elements: PCollection[Any]) -> Any:  # noqa: ANN401
        """Returns the elements with vectors, and those that failed if that is asked for.

        Raises:
            UserError: If the model cannot be used, or is not the one of the artifact.
        """
        handler = ImageModelHandler(self.model, **self.options)
        if handler.fingerprint != self.fingerprint:
            raise ModelError(
                f"{self.model}: found model {handler.fingerprint[:12]}, the artifact was made with "
                f"{self.fingerprint[:12]}; put that back, or make the artifact again"
            )
        embedded = elements | RunInference(_ElementHandler(handler, self.type_adapter))
        if self._catching is None:
            return embedded | "Take" >> beam.Map(_take)
        good, bad = embedded | "Take" >> beam.Map(_take).with_exception_handling(**self._catching)
        return good, bad | "Element" >> beam.MapTuple(lambda failed, why: (failed.element, why))


class _Embedded(NamedTuple):
    element: Any
    failure: ImageFailure | None


def _take(embedded: _Embedded) -> Any:  # noqa: ANN401 - the user's
    if embedded.failure is not None:
        raise embedded.failure.as_error()
    return embedded.element


class _ElementHandler(ModelHandler[Any, _Embedded, Predictor]):
    """Runs a handler of images on elements that hold some."""

    def __init__(self, handler: ImageModelHandler, adapter: EmbeddingTypeAdapter[Any, Any]) -> None:
        self._images_of = functools.partial(_images_of, adapter=adapter)
        sizes = batching(handler.images_a_batch, handler.max_batch_seconds, self._images_of)
        super().__init__(**sizes)
        self._handler = handler
        self._adapter = adapter

    def load_model(self) -> Predictor:
        return self._handler.load_model()

    def run_inference(
        self,
        batch: Sequence[Any],
        model: Predictor,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[_Embedded]:
        """Yields each element with its vectors, or as it came with the failure of an image."""
        images = [self._images_of(element) for element in batch]
        inferences = self._handler.infer([image for own in images for image in own], model)
        for element, own in zip(batch, images, strict=True):
            vectors: list[list[float]] = []
            failure = None
            for inference in itertools.islice(inferences, len(own)):
                if isinstance(inference, ImageFailure):
                    failure = failure or inference
                else:
                    vectors.append(inference.tolist())
            if failure is not None:
                yield _Embedded(element, failure)
                continue
            # Beam's adapter of columns puts vectors into the very dict, which others may have, too.
            copied = dict(element) if isinstance(element, dict) else element
            (result,) = self._adapter.output_fn([copied], vectors)
            yield _Embedded(result, None)

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        return sum(size_of(image) for element in batch for image in self._images_of(element))

    def get_metrics_namespace(self) -> str:
        return self._handler.get_metrics_namespace()


def _images_of(element: Any, adapter: EmbeddingTypeAdapter[Any, Any]) -> list[Image]:  # noqa: ANN401
    return [image_or_error({"image": image}, "image") for image in adapter.input_fn([element])]
