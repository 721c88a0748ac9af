"""A model as a launch sees it, and what loads it on a worker."""

import os
from typing import NamedTuple

from transforms.files.uris import is_local
from transforms.models.engine_settings import EngineSettings
from transforms.models.spec import ModelSpec
from transforms.steps.saved_model_handler import SavedModelHandler


class LaunchedModel(NamedTuple):
    """The model as the launch sees it: no weights, nothing of TensorFlow.

    Attributes:
        handle: Name that the user gave it.
        fingerprint: sha256 over its files.
        spec: Contract of the call: what goes in, what comes out.
        image_size: Height and width of the pixels it will get.
        assumed_range: Range of these pixels where neither the user nor the model's notes said one,
            and it matters; else None.
    """

    handle: str
    fingerprint: str
    spec: ModelSpec
    image_size: tuple[int, int]
    assumed_range: str | None = None


def make_handler(model: LaunchedModel, settings: EngineSettings) -> SavedModelHandler:
    """Returns what loads and runs the model on a worker."""
    return SavedModelHandler(
        # A worker may have another working directory.
        handle=os.path.abspath(model.handle) if is_local(model.handle) else model.handle,
        fingerprint=model.fingerprint,
        spec=model.spec,
        image_size=model.image_size,
        settings=settings,
        assumed_range=model.assumed_range,
    )
