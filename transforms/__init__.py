"""Images to vectors and labels: functions on arrays and bytes, and the transforms around them.

For pipelines of your own: EmbedImages and ClassifyImages; see docs/api.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.inference.classify_images import ClassifyImages
    from transforms.inference.embed_images import EmbedImages

_PUBLIC = {
    "ClassifyImages": "transforms.inference.classify_images",
    "EmbedImages": "transforms.inference.embed_images",
}

__all__ = ["ClassifyImages", "EmbedImages"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports what is asked for; Beam and TensorFlow wait until then."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
