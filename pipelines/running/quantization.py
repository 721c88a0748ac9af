"""The int8 model of a run: the one that it began with, that the run before had, or a new one."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

from pipelines.cli.run_flags import RunConfig
from pipelines.cli.wording import describe_cost, say
from pipelines.running.calibration_images import CalibrationImages, draw_calibration_images
from transforms.errors import FlagError, ModelError, OutputError
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import FileSystems
from transforms.images.policy import Preprocessing
from transforms.inputs.columns import FileColumns
from transforms.inputs.source import Source
from transforms.machine.cpu import has_vnni
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.models.cache import fill_once
from transforms.models.engine_settings import EngineSettings, choose_engine
from transforms.models.handle import cache_directory
from transforms.models.quantization import METHOD, require_nncf
from transforms.models.quantized_file import QuantizedModel, pack, unpack
from transforms.records import WrittenFile
from transforms.runs.directory import INT8_FILE
from transforms.runs.recipe import fingerprint_json
from transforms.steps.launched_model import LaunchedModel

FLOORS = {"embed": 0.9, "classify": 0.98}
"""Least overlap of the ten nearest neighbours, and least agreement of the best class."""

_MEASURES = {
    "embed": ("neighbour_overlap", "overlap of the ten nearest neighbours"),
    "classify": ("top_1_agreement", "agreement of the best class"),
}
"""Fields of QuantizationCost that the floors are for, and what they are called."""


class Quantization(NamedTuple):
    """What a launch knows of its int8 model.

    Attributes:
        file: Where it lies on this machine, or where an earlier start or run put it.
        facts: What _run.json says of it.
    """

    file: WrittenFile
    facts: Mapping[str, Any]


def settle_quantization(
    config: RunConfig,
    program: str,
    model: LaunchedModel,
    model_dir: str,
    policy: Preprocessing,
    sources: tuple[Source, ...],
    columns: FileColumns,
    *,
    kept: Sequence[str],
) -> Quantization:
    """Finds the int8 model, or makes it; refuses one that costs too much.

    A run that is resumed, and one that builds on another, keep the model that these had as long as
    it is made of the same model, preprocessing and versions: new images alone make no new one.

    Args:
        config: The flags.
        program: "embed" or "classify".
        model: The model.
        model_dir: Its local directory.
        policy: What is done to every image.
        sources: Inputs of the run, classified.
        columns: Columns to take from files.
        kept: Files that may hold the int8 model of an earlier start, or of the run before.

    Raises:
        UserError: If it cannot be made, or is further from float32 than the flags allow.
    """
    engine = choose_engine(model.spec.kind, config.engine)
    if engine != "openvino":
        raise FlagError(f"--precision int8 needs --engine openvino, got {engine}")
    require_nncf()
    making = _making(config, model, policy)
    # Images of a directory are looked at every time: it says what shall calibrate.
    draw = functools.cache(lambda: _draw(config, sources, columns, policy))
    drawn = draw() if _is_directory(config) else None

    def name_layers(measure: str, floor: float) -> Sequence[str]:
        from transforms.models.quantized_engine import name_costly_layers

        if not (sources or config.manifest):
            return []
        images = draw()
        return name_costly_layers(
            model_dir,
            model.spec,
            images.calibration,
            images.control,
            measure=measure,
            floor=floor,
        )

    for path in kept:
        found = _read(path)
        if found is None or found[1].making != making:
            continue
        if drawn is None or found[1].images_sha256 == drawn.sha256:
            return _settled(*found, config, program, name_layers)
    if drawn is None:
        if not (sources or config.manifest):
            raise FlagError(
                "--retry_failed: the run has no int8 model of these versions of nncf and openvino, "
                "and rows of two models are not mixed; run all again"
            )
        drawn = draw()
    path = _in_cache(config, model, model_dir, policy, making, drawn)
    found = _read(path)
    if found is None:
        raise ModelError(f"{path} is damaged; delete {os.path.dirname(path)}")
    return _settled(*found, config, program, name_layers)


def share(engine: EngineSettings, staging: str) -> EngineSettings:
    """Puts a run's int8 model where every worker finds it; others are as they are.

    Args:
        engine: How the model is run.
        staging: Directory that the run works in.

    Returns:
        The same, with the file's new place.

    Raises:
        OutputError: If it cannot be written.
    """
    if engine.quantized is None:
        return engine
    path = FileSystems.join(staging, INT8_FILE)
    if path == engine.quantized.path:
        return engine
    try:
        written = write_whole(path, read_whole(engine.quantized.path))
    except OSError as error:
        raise OutputError(f"cannot write the int8 model to {path}: {error}") from error
    return dataclasses.replace(engine, quantized=written)


def _making(config: RunConfig, model: LaunchedModel, policy: Preprocessing) -> dict[str, Any]:
    """Returns what an int8 model is made of but the images, in JSON's types."""
    spec = model.spec
    return {
        "model": model.fingerprint,
        "call": [spec.kind.value, spec.endpoint, spec.output_key],
        "preprocessing": policy.fingerprint(),
        "calibration_images": config.calibration_images,
        "method": METHOD,
        "software": {name: metadata.version(name) for name in ("nncf", "openvino")},
    }


def _is_directory(config: RunConfig) -> bool:
    return isinstance(config.calibration_images, str)


def _draw(
    config: RunConfig, sources: tuple[Source, ...], columns: FileColumns, policy: Preprocessing
) -> CalibrationImages:
    start_tensorflow(config.num_model_threads)
    return draw_calibration_images(config, sources, columns, policy)


def _read(path: str) -> tuple[WrittenFile, QuantizedModel] | None:
    """Reads a file that may hold an int8 model; None if there is none."""
    try:
        content = read_whole(path)
        quantized = unpack(content)
    except (OSError, ValueError):
        return None
    return WrittenFile(path, len(content), hashlib.sha256(content).hexdigest()), quantized


def _in_cache(
    config: RunConfig,
    model: LaunchedModel,
    model_dir: str,
    policy: Preprocessing,
    making: Mapping[str, Any],
    drawn: CalibrationImages,
) -> str:
    """Returns the file in this machine's cache; makes it if it is not there."""
    # Which weights are made depends on the processor: see quantize.
    own = {**making, "images": drawn.sha256, "has_vnni": has_vnni()}
    settings = EngineSettings(
        engine="openvino", num_threads=config.num_model_threads, pixel_range=policy.pixel_range
    )

    def fill(directory: pathlib.Path) -> None:
        from transforms.models.quantized_engine import make_quantized

        say("int8", f"calibrating on {len(drawn.calibration):,} images")
        quantized = make_quantized(
            model_dir,
            model.spec,
            settings=settings,
            calibration=drawn.calibration,
            control=drawn.control,
            making=making,
            images_sha256=drawn.sha256,
        )
        write_whole(str(directory / INT8_FILE), pack(quantized))

    entry = fill_once(cache_directory(), f"int8-{fingerprint_json(own)}", fill)
    return os.path.join(entry, INT8_FILE)


def _settled(
    file: WrittenFile,
    quantized: QuantizedModel,
    config: RunConfig,
    program: str,
    name_layers: Callable[[str, float], Sequence[str]],
) -> Quantization:
    """Holds an int8 model against the floor.

    Raises:
        ModelError: If it is below; names the layers that are to blame.
    """
    cost = quantized.cost
    measure, name = _MEASURES[program]
    got: float = getattr(cost, measure)
    floor = FLOORS[program] if config.precision_floor is None else config.precision_floor
    facts = {
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        **quantized.facts,
        "precision_floor": floor,
    }
    say("int8", describe_cost(facts))
    if got >= floor:
        return Quantization(file, facts)
    say("int8", "looking for the layers that are to blame")
    layers = name_layers(measure, floor)
    blamed = f"; NNCF's accuracy-aware mode would keep in float32 {', '.join(layers)}"
    raise ModelError(
        f"--precision int8: of {cost.images} images that did not calibrate, the {name} with "
        f"float32 is {got:.3f}, --precision_floor is {floor:g}; nothing was computed"
        f"{blamed if layers else ''}; use another precision, other --calibration_images, or a "
        "lower floor"
    )
