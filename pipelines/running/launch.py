"""From flags to what is checked before any work: inputs, model, policy, outputs."""

import dataclasses
import importlib.util
import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.run_flags import RunConfig
from pipelines.running.carried_columns import carried_schema
from pipelines.running.dataflow import read_hints
from transforms.batches import OutputRows, Predictions
from transforms.errors import FlagError, OutputError
from transforms.files.uris import is_local
from transforms.images.policy import Preprocessing
from transforms.inputs.columns import FileColumns
from transforms.inputs.listing import classify_input
from transforms.inputs.source import Source
from transforms.lifecycle.canaries import canary_shard
from transforms.models.engine_settings import AUTO, LARGEST_TUNED_BATCH, EngineSettings
from transforms.models.handle import fingerprint_model
from transforms.models.spec import ModelSpec, inspect_saved_model
from transforms.records import Shard
from transforms.runs.directory import STEMS
from transforms.runs.formats.registry import format_named
from transforms.steps.saved_model_handler import SavedModelHandler

SOFTWARE = ("apache-beam", "tensorflow", "tfx-bsl", "pyarrow", "pillow", "numpy")
"""Distributions whose versions go into the output."""


class LaunchedModel(NamedTuple):
    """The model as the launch sees it.

    Attributes:
        handle: As the user names it.
        model_dir: Its local directory.
        fingerprint: sha256 over its files.
        spec: How it is called.
        image_size: Height and width of the pixels it will get.
    """

    handle: str
    model_dir: str
    fingerprint: str
    spec: ModelSpec
    image_size: tuple[int, int]


class Outputs(NamedTuple):
    """What becomes of the model's outputs.

    Attributes:
        tabulate: ToEmbeddings or ToTopK.
        recipe: What decides it, in JSON's types.
    """

    tabulate: beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]
    recipe: Mapping[str, Any]


MakeOutputs = Callable[[LaunchedModel, pa.Schema, Mapping[str, str]], Outputs]
"""Says what becomes of the outputs, given the model, the carried columns and the footer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """A run that is checked, and has no place to write yet.

    Attributes:
        config: The flags.
        program: "embed" or "classify".
        sources: The classified inputs.
        model: The model.
        policy: What is done to every image.
        columns: What to take from files, and the carried columns.
        outputs: What becomes of the model's outputs.
        canaries: The shard of known images, if there are any.
        engine: How the model is run.
        hints: Resource hints of the step that reads, decodes, infers and writes, by name.
    """

    config: RunConfig
    program: str
    sources: tuple[Source, ...]
    model: LaunchedModel
    policy: Preprocessing
    columns: FileColumns
    outputs: Outputs
    canaries: Shard | None
    engine: EngineSettings
    hints: Mapping[str, str]

    @property
    def stem(self) -> str:
        """What the data files hold: "embeddings" or "classifications"."""
        return STEMS[self.program]

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides a row of an image, in JSON's types."""
        spec = self.model.spec
        return {
            "program": self.program,
            "model": {
                "fingerprint": self.model.fingerprint,
                "kind": spec.kind.value,
                "endpoint": spec.endpoint,
                "output_key": spec.output_key,
                "engine": self.engine.engine,
                "precision": self.engine.precision,
            },
            "preprocessing": self.policy.to_dict(),
            "outputs": {**self.outputs.recipe, "format": self.config.output_format},
        }

    @property
    def column_recipe(self) -> dict[str, Any]:
        """What decides the columns that are no model's, in JSON's types."""
        columns = self.columns
        carried = {field.name: str(field.type) for field in columns.carried}
        return {
            "image_key": columns.image_key,
            "image_id_from": columns.image_id_from,
            "carry_columns": carried,
        }

    @property
    def plan_record(self) -> dict[str, Any]:
        """What a run that is resumed must share with its start, and what was asked for."""
        config = self.config
        return {
            "program": self.program,
            "recipe": self.recipe,
            "columns": self.column_recipe,
            "layout": {"rows_per_file": config.rows_per_file, "deduplicate": config.deduplicate},
            "software": software_versions(self.engine),
            "config": {
                name: value
                for name, value in dataclasses.asdict(config).items()
                if name not in PLAN_FLAGS
            },
        }


def prepare_launch(
    config: RunConfig, model_dir: str, *, program: str, make_outputs: MakeOutputs
) -> Launch:
    """Checks everything that can be checked before any work; writes nothing.

    Args:
        config: The flags.
        model_dir: The model's local directory.
        program: "embed" or "classify".
        make_outputs: Says what becomes of the model's outputs.

    Raises:
        UserError: If the inputs or the model cannot work as the flags say.
    """
    hints = read_hints(config.inference_hints)
    sources = tuple(classify_input(uri) for uri in config.input)
    carried = carried_schema(config, sources)
    format_named(config.output_format).check_carried(carried)
    model = launch_model(config, model_dir)
    policy = make_policy(config, model)
    engine = settle_engine(config, model, policy)
    return Launch(
        config=config,
        program=program,
        sources=sources,
        model=model,
        policy=policy,
        columns=FileColumns(config.image_key, config.image_id_from, carried),
        outputs=make_outputs(model, carried, footer_metadata(model, policy, engine)),
        canaries=canary_shard(config.canaries) if config.canaries is not None else None,
        engine=engine,
        hints=hints,
    )


def launch_model(config: RunConfig, model_dir: str) -> LaunchedModel:
    """Inspects the model; loads no weights.

    Raises:
        ModelError: If it cannot be called, or its image size is not known.
    """
    spec = inspect_saved_model(model_dir, signature=config.signature, output_key=config.output_key)
    image_size = spec.choose_image_size(config.image_size)
    return LaunchedModel(config.model, model_dir, fingerprint_model(model_dir), spec, image_size)


def make_policy(config: RunConfig, model: LaunchedModel) -> Preprocessing:
    """Returns what is done to every image: the flags, and the model's size and dtype."""
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
        batch_size=LARGEST_TUNED_BATCH if is_tuned else int(config.batch_size),
        tunes_batch_size=is_tuned,
    )
    if config.precision != AUTO:
        return settings
    report = make_handler(model, settings).load_model().report
    return dataclasses.replace(settings, precision=report.precision)


def make_handler(model: LaunchedModel, settings: EngineSettings) -> SavedModelHandler:
    """Returns what loads and runs the model on a worker."""
    return SavedModelHandler(
        # A worker may have another working directory.
        handle=os.path.abspath(model.handle) if is_local(model.handle) else model.handle,
        fingerprint=model.fingerprint,
        spec=model.spec,
        image_size=model.image_size,
        settings=settings,
    )


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


def describe_run(launch: Launch) -> dict[str, Any]:
    """Returns the part of run.json that is known at launch."""
    model, policy = launch.model, launch.policy
    return {
        **launch.plan_record,
        "model": {
            "handle": model.handle,
            "fingerprint": model.fingerprint,
            **dataclasses.asdict(model.spec),
        },
        "preprocessing": {**policy.to_dict(), "fingerprint": policy.fingerprint()},
    }


def keep_apart(flag: str, output: str, sources: tuple[Source, ...]) -> None:
    """Checks that no input holds the output, whose files would be read as images.

    Raises:
        OutputError: If one does.
    """
    for source in sources:
        root, target = source.root, output
        if is_local(output):
            root, target = os.path.realpath(root), os.path.realpath(output)
        is_deep = source.is_directory or "**" in source.pattern
        if is_deep and f"{target}/".startswith(f"{root}/"):
            raise OutputError(
                f"{flag} is inside --input {source.root}, and would be read by the next run; choose"
                " a directory beside it"
            )
