"""The model of a run: what is read of it at launch, and what is decided from that and the flags."""

import dataclasses
import importlib.util
import json
import platform
from importlib import metadata

from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError
from transforms.images.policy import Preprocessing
from transforms.models.engine_settings import AUTO, LARGEST_TUNED_BATCH, EngineSettings
from transforms.models.handle import fingerprint_model
from transforms.models.model_files import check_files
from transforms.models.spec import inspect_saved_model
from transforms.steps.launched_model import LaunchedModel, make_handler

SOFTWARE = ("apache-beam", "tensorflow", "tfx-bsl", "pyarrow", "pillow", "numpy")
"""Distributions whose versions go into the output."""


def launch_model(config: RunConfig, model_dir: str, *, assumes_range: bool) -> LaunchedModel:
    """Inspects the model; loads no weights.

    Args:
        config: The flags.
        model_dir: The model's local directory.
        assumes_range: Whether nobody said the range of the pixels that the model wants.

    Raises:
        ModelError: If it is not whole, cannot be called, or its image size is not known.
    """
    spec = inspect_saved_model(model_dir, signature=config.signature, output_key=config.output_key)
    check_files(model_dir, spec.files)
    image_size = spec.choose_image_size(config.image_size)
    assumed_range = config.input_range if assumes_range and spec.dtype != "uint8" else None
    fingerprint = fingerprint_model(model_dir)
    return LaunchedModel(config.model, fingerprint, spec, image_size, assumed_range)


def make_policy(config: RunConfig, model: LaunchedModel) -> Preprocessing:
    """Returns what is done to every image: the flags, and the model's size and dtype."""
    # --resize_mode becomes Preprocessing.resize_mode: a flag and its field have one name.
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    flags = {name: value for name, value in vars(config).items() if name in fields}
    own = {"image_size": model.image_size, "dtype": model.spec.dtype}
    return Preprocessing(**{**flags, **own})


def settle_engine(config: RunConfig, model: LaunchedModel, policy: Preprocessing) -> EngineSettings:
    """Returns how the model is run. What "auto" means is settled here, for every worker alike.

    Raises:
        FlagError: If the engine is not installed.
        ModelError: If the model must be loaded to settle it, and cannot be.
    """
    if config.engine == "openvino" and importlib.util.find_spec("openvino") is None:
        raise FlagError("--engine openvino needs the package: pip install '.[openvino]'")
    is_tuned = config.batch_size == AUTO
    settings = EngineSettings(
        engine=config.engine,
        precision=config.precision,
        num_threads=config.num_model_threads,
        pixel_range=policy.pixel_range,
        input_range=policy.input_range if policy.dtype != "uint8" else None,
        batch_size=LARGEST_TUNED_BATCH if is_tuned else int(config.batch_size),
        tunes_batch_size=is_tuned,
    )
    if config.precision != AUTO:
        return settings
    report = make_handler(model, settings).load_model().report
    return dataclasses.replace(settings, precision=report.precision)


def software_versions(engine: EngineSettings) -> dict[str, str]:
    """Returns the versions of what makes the numbers."""
    names = SOFTWARE if engine.engine == "tensorflow" else (*SOFTWARE, engine.engine)
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def footer_metadata(
    model: LaunchedModel, policy: Preprocessing, engine: EngineSettings
) -> dict[str, str]:
    """Returns what every data file says of its making; the same bytes for the same making."""
    return {
        "model_handle": model.handle,
        "model_fingerprint": model.fingerprint,
        "engine": engine.engine,
        "precision": engine.precision,
        "preprocessing": json.dumps(policy.to_dict(), sort_keys=True),
        "preprocessing_fingerprint": policy.fingerprint(),
        "software": json.dumps(software_versions(engine), sort_keys=True),
    }
