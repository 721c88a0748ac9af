"""The transforms as Beam YAML calls them, with its convention for errors; see docs/beam_yaml.md."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.inference.classify_images import ClassifyImages
from transforms.inference.embed_images import EmbedImages
from transforms.inference.image_inference import ImageInference, Inferred

GOOD = "good"
"""Beam YAML's name of the output that is not the errors'. (apache_beam/yaml/yaml_errors.py)"""


def embed_images(
    model: str,
    error_handling: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - of EmbedImages
) -> "WithErrorHandling":
    """Returns EmbedImages for Beam YAML.

    Args:
        model: Handle of the SavedModel.
        error_handling: {"output": name} gives failures an output of that name; None lets the first
            failure end the pipeline.
        **options: Further arguments of EmbedImages.
    """
    return WithErrorHandling(EmbedImages(model, **options), error_handling)


def classify_images(
    model: str,
    error_handling: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - of ClassifyImages
) -> "WithErrorHandling":
    """Returns ClassifyImages for Beam YAML; see embed_images."""
    return WithErrorHandling(ClassifyImages(model, **options), error_handling)


@dataclasses.dataclass(eq=False)
class WithErrorHandling(beam.PTransform[PCollection[Any], dict[str, PCollection[Any]]]):
    """A transform whose failures go where a YAML file says.

    Attributes:
        transform: The transform.
        error_handling: {"output": name}, or None.
    """

    transform: ImageInference
    error_handling: Mapping[str, str] | None

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, images: PCollection[Any]) -> dict[str, PCollection[Any]]:
        """Returns the outputs by name."""
        found: Inferred = images | "Infer" >> self.transform
        if self.error_handling is None:
            _ = found.failures | "Fail" >> beam.Map(_fail)
            return {GOOD: found.rows}
        return {GOOD: found.rows, self.error_handling["output"]: found.failures}


def _fail(failure: Any) -> None:  # noqa: ANN401
    raise RuntimeError(f"an image failed, and there is no error_handling: {failure}")
