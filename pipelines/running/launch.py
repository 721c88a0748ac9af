"""A launch: everything about a run that can be checked before it has a place to write."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from pipelines.cli.run_flags import RunConfig
from pipelines.cli.wording import warn
from pipelines.running.box_columns import with_boxes
from pipelines.running.carried_columns import carried_schema
from pipelines.running.dataflow import read_hints
from pipelines.running.launched_model import (
    footer_metadata,
    make_policy,
    software_versions,
)
from pipelines.running.quantization import settle_quantization
from pipelines.running.recorded_flags import recorded_flags
from transforms.batches import OutputRows, Predictions
from transforms.errors import InputError
from transforms.files.example_coder import IS_FAST
from transforms.files.flight import FLIGHT
from transforms.images.policy import INPUT_RANGES, Preprocessing, fits_dtype
from transforms.inputs.columns import FileColumns
from transforms.inputs.first_files import first_files
from transforms.inputs.first_ids import check_first_ids
from transforms.inputs.listing import classify_inputs
from transforms.inputs.source import Source
from transforms.lifecycle.canaries import canary_shard
from transforms.models.engine_settings import INT8, EngineSettings
from transforms.records import Shard, ShardKind
from transforms.runs.directory import STEMS
from transforms.runs.formats.registry import format_named
from transforms.runs.recipe import fingerprint_json
from transforms.steps.launched_model import LaunchedModel, launch_model, settle_engine


class Outputs(NamedTuple):
    """What becomes of the model's outputs.

    Attributes:
        tabulate: Step that makes rows of them, ToEmbeddings or ToTopK.
        recipe: Values that decide these rows, in JSON's types.
    """

    tabulate: beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]
    recipe: Mapping[str, Any]


Config = TypeVar("Config", bound=RunConfig)

MakeOutputs = Callable[[Config, LaunchedModel, pa.Schema, Mapping[str, str]], Outputs]
"""Says what becomes of outputs, given the flags, the model, the carried columns and the footer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """A run that is checked, and has no place to write yet.

    Attributes:
        config: Flags, with those filled in that were left to the model's notes.
        program: "embed" or "classify".
        sources: Inputs, classified.
        model: Model, without its weights.
        policy: Preprocessing of every image.
        columns: Columns to take from files, and those to carry.
        outputs: Further way of the model's outputs.
        canaries: Shard of known images, if there are any.
        engine: Engine, with nothing left to "auto" but the batch size.
        quantization: What _run.json says of the int8 model, if the run has one.
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
    quantization: Mapping[str, Any] | None
    hints: Mapping[str, str]

    @property
    def stem(self) -> str:
        """Word for the content of the data files: "embeddings" or "classifications"."""
        return STEMS[self.program]

    @property
    def batch_size(self) -> int:
        """Images a model call, or as many as the largest that is tried."""
        return self.engine.batch_size or 1

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
                **self._quantized_recipe,
                **({"is_bgr": True} if self._turns_channels else {}),
            },
            "preprocessing": self.policy.to_dict(),
            "outputs": {
                **self.outputs.recipe,
                "format": self.config.output_format,
                **({"image_statistics": True} if self.config.image_statistics else {}),
            },
        }

    @property
    def _quantized_recipe(self) -> dict[str, str]:
        """Rows of two quantized models never mix."""
        quantized = self.engine.quantized
        return {} if quantized is None else {"quantized": quantized.sha256}

    @property
    def _turns_channels(self) -> bool:
        """Whether blue is put first of pixels of a range that the user gave."""
        return self.model.spec.is_bgr and self.policy.input_range != INPUT_RANGES[0]

    @property
    def column_recipe(self) -> dict[str, Any]:
        """What decides the columns that are no model's, in JSON's types."""
        columns = self.columns
        carried = {field.name: str(field.type) for field in columns.carried}
        recipe = {
            "image_key": columns.image_key,
            "image_id_from": columns.image_id_from,
            "carry_columns": carried,
        }
        if columns.carried_from is not None:
            recipe["carried_from"] = dict(zip(carried, columns.carried_from, strict=True))
        if columns.boxes is not None:
            recipe["boxes"] = columns.boxes._asdict()
        return recipe

    @property
    def base_fingerprint(self) -> str:
        """Fingerprint of the recipe and the columns, a part of each shard's (sha256)."""
        return fingerprint_json({"recipe": self.recipe, "columns": self.column_recipe})

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
            "config": recorded_flags(config),
        }

    @property
    def description(self) -> dict[str, Any]:
        """What _run.json says that is known at launch."""
        model, policy = self.model, self.policy
        return {
            **self.plan_record,
            "model": {
                "handle": model.handle,
                "fingerprint": model.fingerprint,
                **dataclasses.asdict(model.spec),
            },
            "preprocessing": {**policy.to_dict(), "fingerprint": policy.fingerprint()},
            "input_range_is_assumed": model.assumes_default_range,
            **({"quantization": self.quantization} if self.quantization else {}),
        }


def prepare_launch(
    config: Config,
    model_dir: str,
    *,
    program: str,
    make_outputs: MakeOutputs[Config],
    is_range_given: bool = True,
    earlier: Mapping[str, Any] | None = None,
    kept_int8: Sequence[str] = (),
) -> Launch:
    """Checks everything that can be checked before any work; writes nothing.

    Args:
        config: The flags.
        model_dir: The model's local directory.
        program: "embed" or "classify".
        make_outputs: Callback, which says what becomes of the model's outputs.
        is_range_given: Whether the user gave --input_range.
        earlier: The content of _run.json of the run that this one builds on, if there is one.
        kept_int8: Files that may hold the int8 model of an earlier start, or of that run.

    Raises:
        UserError: If the inputs or the model cannot work as the flags say.
    """
    FLIGHT.allow(config.read_limits)  # Manifests and first files are read here.
    hints = read_hints(config.inference_hints)
    sources = tuple(source for uri in config.input for source in _classify(uri, config))
    first = first_files(sources)
    carried = carried_schema(config, sources, first)
    format_named(config.output_format).check_carried(carried)
    is_renamed = bool(carried.names) and config.carried_from != config.carried_as
    columns = FileColumns(
        config.image_key,
        config.image_id_from,
        carried,
        config.uri_column,
        config.carried_from if is_renamed else None,
    )
    check_first_ids(first.files, columns)
    columns = with_boxes(config, columns, first)
    if not IS_FAST and ShardKind.TFRECORD in (
        config.output_format,
        *(file.kind for file in first.files),
    ):
        warn(
            "tfx-bsl is not installed: TFRecords are read and written by protobuf, which is slower"
        )
    input_range = config.input_range or INPUT_RANGES[0]
    model = launch_model(
        config.model,
        model_dir,
        signature=config.signature,
        output_key=config.output_key,
        image_size=config.image_size,
        input_range=input_range,
        is_range_given=is_range_given,
        earlier=earlier,
    )
    if not is_range_given and not fits_dtype(input_range, model.spec.dtype):
        print("the model takes uint8 images, which are 0..255: its --input_range does nothing")
        config = dataclasses.replace(config, input_range=INPUT_RANGES[0])
    policy = make_policy(config, model)
    quantization = None
    if config.precision == INT8:
        quantization = settle_quantization(
            config, program, model, model_dir, policy, sources, columns, kept=kept_int8
        )
    engine = settle_engine(
        model,
        policy,
        engine=config.engine,
        precision=config.precision,
        num_threads=config.num_model_threads,
        batch_size=config.batch_size,
        quantized=None if quantization is None else quantization.file,
    )
    return Launch(
        config=config,
        program=program,
        sources=sources,
        model=model,
        policy=policy,
        columns=columns,
        outputs=make_outputs(
            config, model, columns.carried, footer_metadata(model, policy, engine)
        ),
        canaries=canary_shard(config.canaries) if config.canaries is not None else None,
        engine=engine,
        quantization=None if quantization is None else quantization.facts,
        hints=hints,
    )


def _classify(uri: str, config: RunConfig) -> list[Source]:
    """Tells what an --input is; one that is gone is nothing where it need not be there."""
    try:
        return classify_inputs(
            uri,
            config.told_kind,
            excluded=config.exclude,
            follows_links=config.follow_links,
        )
    except InputError:
        if config.needs_inputs:
            raise
        return []
