"""Images to vectors and labels: functions on arrays and bytes, and the transforms around them.

For pipelines of your own: EmbedImages and ClassifyImages, and for Beam's own RunInference and
MLTransform ImageModelHandler and ImageEmbeddings; see docs/api.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.inference.classify_images import ClassifyImages
    from transforms.inference.embed_images import EmbedImages
    from transforms.inference.image_embeddings import ImageEmbeddings
    from transforms.inference.image_failure import ImageFailure, raise_failure
    from transforms.inference.image_model_handler import ImageModelHandler

_PUBLIC = {
    "ClassifyImages": "transforms.inference.classify_images",
    "EmbedImages": "transforms.inference.embed_images",
    "ImageEmbeddings": "transforms.inference.image_embeddings",
    "ImageFailure": "transforms.inference.image_failure",
    "ImageModelHandler": "transforms.inference.image_model_handler",
    "raise_failure": "transforms.inference.image_failure",
}

__all__ = [
    "ClassifyImages",
    "EmbedImages",
    "ImageEmbeddings",
    "ImageFailure",
    "ImageModelHandler",
    "raise_failure",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports what is asked for; Beam and TensorFlow wait until then."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
