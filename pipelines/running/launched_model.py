"""The model of a run: what is decided from it and the flags, and what the output says of both."""

import contextlib
import dataclasses
import json
import platform
from importlib import metadata

from pipelines.cli.run_flags import RunConfig
from transforms.images.policy import Preprocessing
from transforms.models.engine_settings import EngineSettings
from transforms.steps.launched_model import LaunchedModel

SOFTWARE = (
    "apache-beam", "tensorflow", "tfx-bsl", "pyarrow", "pillow", "pillow-heif", "numpy",
)  # fmt: skip
"""Distributions whose versions go into the output."""


def make_policy(config: RunConfig, model: LaunchedModel) -> Preprocessing:
    """Returns what is done to every image: the flags, and the model's size and dtype."""
    # --resize_mode becomes Preprocessing.resize_mode: a flag and its field have one name.
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    flags = {name: value for name, value in vars(config).items() if name in fields}
    own = {"image_size": model.image_size, "dtype": model.spec.dtype}
    return Preprocessing(**{**flags, **own})


def software_versions(engine: EngineSettings) -> dict[str, str]:
    """Returns the versions of what makes the numbers."""
    names = SOFTWARE if engine.engine == "tensorflow" else (*SOFTWARE, engine.engine)
    versions = {"python": platform.python_version()}
    for name in names:
        # tfx-bsl is none of ARM, and pillow-heif is an extra.
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def footer_metadata(
    model: LaunchedModel, policy: Preprocessing, engine: EngineSettings
) -> dict[str, str]:
    """Returns what every data file says of its making; the same bytes for the same making."""
    return {
        "model_handle": model.handle,
        "model_fingerprint": model.fingerprint,
        "engine": engine.engine,
        "precision": engine.precision,
        **({} if engine.quantized is None else {"int8_model": engine.quantized.sha256}),
        "preprocessing": json.dumps(policy.to_dict(), sort_keys=True),
        "preprocessing_fingerprint": policy.fingerprint(),
        "software": json.dumps(software_versions(engine), sort_keys=True),
    }
