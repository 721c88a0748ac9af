"""ImageModelHandler: an image SavedModel for Beam's own RunInference."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from transforms.inference.batching import batching, size_of
from transforms.inference.elements import image_or_error, value_of
from transforms.inference.embed_images import check_normalize, tabulate_embeddings
from transforms.inference.image_failure import ImageFailure, to_image_failure
from transforms.inference.model_options import ModelOptions
from transforms.inference.predictor import Image, Predictor
from transforms.inputs.part import take_batch
from transforms.schemas import EMBEDDING, IMAGE_ID

Inference = npt.NDArray[np.float32] | ImageFailure
"""What is said of an image: float32 [output_dim], or why there is nothing to say."""


@dataclasses.dataclass(eq=False)
class ImageModelHandler(ModelHandler[bytes | str, PredictionResult, Predictor], ModelOptions):
    """Runs an image SavedModel in RunInference, with a KeyedModelHandler around it or not.

    For example::

        results = images | RunInference(ImageModelHandler("model/"))

    An example is the bytes of an image file, or its URI. Its PredictionResult has it, the output of
    the model as `inference` (float32 [output_dim]: a feature vector, or a classifier's logits), and
    the model's handle as `model_id`. An image that cannot be used has an ImageFailure as its
    `inference`, and costs the others of its batch nothing; see raise_failure. Rows, windows and
    labels are EmbedImages' and ClassifyImages' affair, which also decode ahead of the model.

    Attributes:
        model: Handle of the SavedModel; see EmbedImages, also for the other arguments.
        normalize: "l2" scales outputs to length 1; "none" does not.

    Raises:
        UserError: If the model cannot be used so.
    """

    model: str
    normalize: str = "none"

    def __post_init__(self) -> None:
        check_normalize(self.normalize)
        super().__init__(**batching(self.images_a_batch, self.max_batch_seconds, _images_of))
        self._settled = self.settle(self.model)
        self.model = os.fspath(self.model)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model's files (sha256)."""
        return self._settled.handler.fingerprint

    def load_model(self) -> Predictor:
        """Loads and probes the model, once a process.

        Raises:
            ModelError: If it is not the model that was there when the handler was made, or fails
                its probe.
        """
        return Predictor(self._settled)

    def run_inference(
        self,
        batch: Sequence[bytes | str],
        model: Predictor,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[PredictionResult]:
        """Yields a result an example, in order.

        Raises:
            TypeError: If an example is neither bytes nor a URI.
        """
        images = [image_or_error({"image": example}, "image") for example in batch]
        for example, inference in zip(batch, self.infer(images, model), strict=True):
            yield PredictionResult(example, inference, self.model)

    def infer(self, images: Sequence[Image], model: Predictor) -> Iterator[Inference]:
        """Yields what the model says of each image, in order."""
        # Of several handlers in one KeyedModelHandler, none says how large a batch may be.
        waiting = iter(images)
        while batch := take_batch(waiting, self.images_a_batch, size_of):
            yield from self._infer(batch, model)

    def _infer(self, images: Sequence[Image], model: Predictor) -> list[Inference]:
        found: dict[str, Inference] = {}
        tabulate = functools.partial(tabulate_embeddings, normalize=self.normalize)
        for batch in model.infer(model.prepare(images), tabulate):
            vectors = batch.rows.column(EMBEDDING)
            rows = vectors.flatten().to_numpy().reshape(-1, vectors.type.list_size)
            found.update(zip(batch.rows.column(IMAGE_ID).to_pylist(), rows, strict=True))
            found.update((it.image_id, to_image_failure(it)) for it in batch.failures)
        return [found[str(place)] for place in range(len(images))]

    def get_num_bytes(self, batch: Sequence[bytes | str]) -> int:
        """Returns the size of what was given; Beam's default pickles it to find out."""
        return sum(map(size_of, batch))

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of Beam's own inference metrics."""
        return "ImageModelHandler"

    def update_model_path(self, model_path: str | None = None) -> None:
        """Takes another model, as RunInference's model_metadata_pcoll names it."""
        if model_path and model_path != self.model:
            self.model, self._settled = model_path, self.settle(model_path)

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Refuses arguments: a call of the model takes images.

        Raises:
            ValueError: If there are any.
        """
        if inference_args:
            raise ValueError(f"an image model takes no inference_args, got {inference_args}")


def _images_of(example: object) -> tuple[object]:
    """Returns the image of an example, with the key of a KeyedModelHandler or not."""
    return (value_of(example),)
