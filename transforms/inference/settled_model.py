"""The model of a transform: found, inspected and settled where the pipeline is built."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.images.policy import Preprocessing
from transforms.models.class_names import labels_for, read_labels
from transforms.models.engine_settings import AUTO, EngineSettings
from transforms.models.handle import fingerprint_model, resolve_model
from transforms.models.model_files import check_files
from transforms.models.notes import read_notes
from transforms.models.spec import ModelSpec, inspect_saved_model
from transforms.steps.launched_model import LaunchedModel, make_handler
from transforms.steps.saved_model_handler import SavedModelHandler


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and how it is run; each field is a flag of the programs.

    Attributes:
        model: Handle of the SavedModel.
        signature: Signature or sub-callable to run, if the model has several.
        output_key: Output to take, if the model has several.
        image_size: Height and width in pixels; None for what the model says.
        engine: "tensorflow" or "openvino".
        precision: "float32", "bfloat16", "float16" or "auto".
        batch_size: Images a model call.
        num_model_threads: Number of the engine's threads; None for one a core.
        preprocessing: Fields of Preprocessing, by name, where they are not the model's own.
    """

    model: str
    signature: str | None = None
    output_key: str | None = None
    image_size: tuple[int, int] | None = None
    engine: str = "tensorflow"
    precision: str = "float32"
    batch_size: int = 32
    num_model_threads: int | None = None
    preprocessing: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class SettledModel(NamedTuple):
    """A model with nothing left open, for every worker alike.

    Attributes:
        spec: Contract of the model's call.
        policy: Preprocessing of every image.
        handler: What loads and runs it.
        notes: Flags that the model wants, by its own notes.
    """

    spec: ModelSpec
    policy: Preprocessing
    handler: SavedModelHandler
    notes: Mapping[str, Any]


def settle_model(options: ModelOptions) -> SettledModel:
    """Finds and inspects a model; loads no weights unless precision is "auto".

    Raises:
        ModelError: If it cannot be found, is not whole, cannot be called so, or its image size is
            not known.
        FlagError: If an option has a value that cannot be.
    """
    model_dir = resolve_model(options.model)
    spec = inspect_saved_model(
        model_dir, signature=options.signature, output_key=options.output_key
    )
    check_files(model_dir, spec.files)
    notes = read_notes(model_dir)
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    noted = {name: value for name, value in notes.items() if name in fields}
    size = spec.choose_image_size(options.image_size)
    chosen = {**noted, **options.preprocessing}
    policy = Preprocessing(**{**chosen, "image_size": size, "dtype": spec.dtype})
    is_assumed = "input_range" not in chosen and spec.dtype != "uint8"
    launched = LaunchedModel(
        options.model,
        fingerprint_model(model_dir),
        spec,
        size,
        policy.input_range if is_assumed else None,
    )
    settings = EngineSettings(
        engine=options.engine,
        precision=options.precision,
        num_threads=options.num_model_threads,
        pixel_range=policy.pixel_range,
        batch_size=options.batch_size,
    )
    handler = make_handler(launched, settings)
    if options.precision == AUTO:
        precision = handler.load_model().report.precision
        handler = make_handler(launched, dataclasses.replace(settings, precision=precision))
    return SettledModel(spec, policy, handler, notes)


def settle_labels(labels: str | None, spec: ModelSpec) -> tuple[str, ...] | None:
    """Reads the class names of a file, or those that came with the model, if any.

    Raises:
        ModelError: If they cannot be read, or do not fit the model's width where that is declared.
    """
    uri = labels or spec.labels
    if uri is None:
        return None
    names = read_labels(uri)
    if spec.output_dim is not None:
        labels_for(names, spec.output_dim)
    return names
