"""The programs: flags in, a published run directory out.

For pipelines of your own: RunImageInference, and the flags that it takes; see docs/api.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.cli.classify_flags import ClassifyConfig
    from pipelines.cli.embed_flags import EmbedConfig
    from pipelines.cli.refresh_flags import RefreshConfig
    from pipelines.run_image_inference import RunImageInference

_PUBLIC = {
    "ClassifyConfig": "pipelines.cli.classify_flags",
    "EmbedConfig": "pipelines.cli.embed_flags",
    "RefreshConfig": "pipelines.cli.refresh_flags",
    "RunImageInference": "pipelines.run_image_inference",
}

__all__ = ["ClassifyConfig", "EmbedConfig", "RefreshConfig", "RunImageInference"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports what is asked for; Beam and TensorFlow wait until then."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
