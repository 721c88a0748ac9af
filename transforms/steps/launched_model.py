"""A model as a launch sees it, how it is to be run, and what loads it on a worker."""

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.errors import FlagError
from transforms.files.uris import is_local
from transforms.images.policy import Preprocessing
from transforms.models.contract import inspect_model
from transforms.models.engine_settings import (
    AUTO,
    ENGINES,
    INT8,
    LARGEST_TUNED_BATCH,
    PRECISIONS,
    EngineSettings,
    choose_engine,
)
from transforms.models.first_layer import AssumedRange
from transforms.models.handle import fingerprint_model
from transforms.models.notes import assume_range, noted_image_size
from transforms.models.onnx_files import is_onnx
from transforms.models.spec import ModelSpec
from transforms.records import WrittenFile
from transforms.runs.known_model import known_spec
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.shared_model_handler import SharedModelHandler


class LaunchedModel(NamedTuple):
    """The model as the launch sees it: no weights, nothing of TensorFlow.

    Attributes:
        handle: Name that the user gave it.
        fingerprint: sha256 over its files.
        spec: Contract of the call: what goes in, what comes out.
        image_size: Height and width of the pixels it will get.
        assumed_range: Range of these pixels where neither the user nor image_model.json said one,
            and it matters; else None.
    """

    handle: str
    fingerprint: str
    spec: ModelSpec
    image_size: tuple[int, int]
    assumed_range: AssumedRange | None = None

    @property
    def assumes_default_range(self) -> bool:
        """Whether nothing and nobody said the range of the pixels, and it matters."""
        return self.assumed_range is not None and not self.assumed_range.source


def launch_model(
    handle: str,
    model_dir: str,
    *,
    signature: str | None,
    output_key: str | None,
    image_size: tuple[int, int] | None,
    input_range: str,
    is_range_given: bool,
    earlier: Mapping[str, Any] | None = None,
) -> LaunchedModel:
    """Inspects a model; loads no weights, and no TensorFlow for one that an earlier run inspected.

    Args:
        handle: Name that the user gave it.
        model_dir: The model's local directory.
        signature: Signature or attribute to use, or None to choose.
        output_key: Output to use, or None to choose.
        image_size: (height, width) as asked for, or None for the model's own, or the one of
            the files beside it.
        input_range: Range of the pixels.
        is_range_given: Whether the user gave it.
        earlier: The content of _run.json of a run that may have had the same model, or None.

    Raises:
        ModelError: If it is not whole, cannot be called, or its image size is not known.
    """
    fingerprint = fingerprint_model(model_dir)
    wanted = {"signature": signature, "output_key": output_key}
    spec = None
    if earlier is not None and not is_onnx(model_dir):  # Of ONNX it takes no time.
        spec = known_spec(earlier, model_dir=model_dir, fingerprint=fingerprint, **wanted)
    if spec is None:
        spec = inspect_model(model_dir, **wanted)
    if image_size is None and spec.image_size is None:
        image_size = noted_image_size(model_dir, spec)
    return LaunchedModel(
        handle,
        fingerprint,
        spec.for_range(input_range),
        spec.choose_image_size(image_size),
        None if is_range_given or spec.dtype == "uint8" else assume_range(model_dir, input_range),
    )


def settle_engine(
    model: LaunchedModel,
    policy: Preprocessing,
    *,
    engine: str | None,
    precision: str,
    num_threads: int | None,
    batch_size: int | str,
    quantized: WrittenFile | None = None,
) -> EngineSettings:
    """Returns how a model is run. What "auto" means is settled here, for every worker alike.

    Args:
        model: The model.
        policy: What is done to every image.
        engine: Name of the engine, one of ENGINES; None for the one of the model's format.
        precision: Name of the precision, one of PRECISIONS.
        num_threads: The engine's threads, or None for one a core.
        batch_size: Images a model call, or "auto".
        quantized: File of the quantized model, for "int8".

    Raises:
        FlagError: If there is no such engine or precision, or the engine is not installed.
        ModelError: If the model must be loaded to settle it, and cannot be.
    """
    engine = choose_engine(model.spec.kind, engine)
    for name, value, choices in (
        ("engine", engine, ENGINES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in choices:
            raise FlagError(f"--{name} must be one of {' '.join(choices)}, got {value!r}")
    if engine == "openvino" and importlib.util.find_spec("openvino") is None:
        raise FlagError("--engine openvino needs the package: pip install '.[openvino]'")
    if precision == INT8 and quantized is None:
        raise FlagError(
            "--precision int8 is calibrated on the images of a run: embed, classify and refresh "
            "have it; use another precision here"
        )
    is_tuned = batch_size == AUTO
    settings = EngineSettings(
        engine=engine,
        precision=precision,
        num_threads=num_threads,
        pixel_range=policy.pixel_range,
        input_range=policy.input_range if policy.dtype != "uint8" else None,
        batch_size=LARGEST_TUNED_BATCH if is_tuned else int(batch_size),
        tunes_batch_size=is_tuned,
        quantized=quantized,
    )
    if precision != AUTO:
        return settings
    report = make_handler(model, settings).load().report
    return dataclasses.replace(settings, precision=report.precision)


def make_shared_handler(
    models: Mapping[int, LaunchedModel], settings: EngineSettings
) -> SharedModelHandler:
    """Returns what runs one model once for several runs.

    Args:
        models: The model as each run has it, by the run's place; they may differ in the output.
        settings: Engine, precision and batch size to run it with.
    """
    first = next(iter(models.values()))
    specs = {run: model.spec for run, model in models.items()}
    return SharedModelHandler(make_handler(first, settings), specs)


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
