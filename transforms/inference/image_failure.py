"""ImageFailure: why an image could not be used, in place of what a model says of it."""

from typing import Any, NamedTuple

from transforms.failure import Failure
from transforms.inference.elements import value_of


class FailedImageError(Exception):
    """An image that could not be used."""


class ImageFailure(NamedTuple):
    """What became of an image that could not be used; the words are those of _failures.jsonl.

    Attributes:
        step: "read", "decode" or "model".
        error_type: Short reason to count by, such as "CorruptImage".
        message: Sentence on what a person needs to know.
    """

    step: str
    error_type: str
    message: str

    def as_error(self) -> FailedImageError:
        """Returns the failure as something to raise."""
        return FailedImageError(f"{self.step}/{self.error_type}: {self.message}")


def to_image_failure(failure: Failure) -> ImageFailure:
    """Returns a failure without the names of its image."""
    return ImageFailure(failure.step.value, failure.error_type, failure.message)


def raise_failure(result: Any) -> Any:  # noqa: ANN401 - with a key or not
    """Returns a result of RunInference, with a key or not, if its image could be used.

    For Beam's own way with failures, an output for what raised:

        handler = ImageModelHandler("model/").with_postprocess_fn(raise_failure)
        results, failed = images | RunInference(handler).with_exception_handling()
        failed.failed_postprocessing[0]  # of (PredictionResult, (exception, text, traceback))

    Raises:
        FailedImageError: If it could not.
    """
    inference = value_of(result).inference
    if isinstance(inference, ImageFailure):
        raise inference.as_error()
    return result
