"""From flags to a run that is checked before any work: inputs, output, model, policy."""

import dataclasses
import itertools
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from pipelines.graph import RunPlan
from pipelines.options import RunConfig
from transforms.errors import FlagError, InputError, OutputError
from transforms.file_columns import FileColumns
from transforms.inference import SavedModelHandler
from transforms.listing import Source, classify_input, list_source
from transforms.manifests import manifest_schema
from transforms.model_handle import fingerprint_model, resolve_model
from transforms.parquet_files import peek_parquet_schema
from transforms.preprocessing import Preprocessing
from transforms.publish import RunManifest
from transforms.records import InputFile, OutputRows, Predictions, ShardKind
from transforms.run_directory import absolute_output, prepare_output
from transforms.saved_model import ModelSpec, inspect_saved_model
from transforms.schemas import RESERVED
from transforms.storage import is_local
from transforms.tf_examples import feature_type
from transforms.tfrecord_files import peek_example_schema

SOFTWARE = ("apache-beam", "tensorflow", "tfx-bsl", "pyarrow", "pillow", "numpy")
"""Distributions whose versions go into the output."""


FILES_PEEKED = 20
"""Of these one should be readable; empty and damaged files are common among shards."""


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


Tabulate = beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]
MakeTabulate = Callable[[LaunchedModel, pa.Schema, Mapping[str, str]], Tabulate]
"""Makes ToEmbeddings or ToTopK from the model, the carried columns and the footer metadata."""


def plan_run(config: RunConfig, *, program: str, stem: str, make_tabulate: MakeTabulate) -> RunPlan:
    """Checks everything that can be checked before any work.

    Args:
        config: The flags.
        program: Name of the program, for run.json.
        stem: What the data files hold: "embeddings" or "classifications".
        make_tabulate: Makes the step that turns predictions into rows.

    Raises:
        UserError: If the inputs, the output or the model cannot work as the flags say.
    """
    sources = tuple(classify_input(uri) for uri in config.input)
    carried = carried_schema(config, sources)
    if config.output_format == "tfrecord":
        for field in carried:
            feature_type(field)
    model = launch_model(config)
    policy = make_policy(config, model)
    footer = footer_metadata(model, policy)
    tabulate = make_tabulate(model, carried, footer)
    output = absolute_output(config.output)
    _keep_apart(output, sources)
    prepare_output(output, overwrite=config.overwrite)
    return RunPlan(
        sources=sources,
        manifests=config.manifest,
        columns=FileColumns(config.image_key, config.image_id_from, carried),
        rows_per_file=config.rows_per_file,
        batch_size=config.batch_size,
        policy=policy,
        handler=SavedModelHandler(
            # A worker may have another working directory.
            handle=os.path.abspath(model.handle) if is_local(model.handle) else model.handle,
            fingerprint=model.fingerprint,
            spec=model.spec,
            image_size=model.image_size,
            num_model_threads=config.num_model_threads,
        ),
        tabulate=tabulate,
        manifest=RunManifest(
            output=output,
            stem=stem,
            output_format=config.output_format,
            max_failed_fraction=config.max_failed_fraction,
            description=describe_run(config, program, model, policy),
        ),
        num_model_threads=config.num_model_threads,
    )


def launch_model(config: RunConfig) -> LaunchedModel:
    """Resolves and inspects the model; loads no weights.

    Raises:
        ModelError: If it cannot be found or called, or its image size is not known.
    """
    model_dir = resolve_model(config.model)
    spec = inspect_saved_model(model_dir, signature=config.signature, output_key=config.output_key)
    image_size = spec.choose_image_size(config.image_size)
    return LaunchedModel(config.model, model_dir, fingerprint_model(model_dir), spec, image_size)


def make_policy(config: RunConfig, model: LaunchedModel) -> Preprocessing:
    """Returns what is done to every image: the flags, and the model's size and dtype."""
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    flags = {name: value for name, value in vars(config).items() if name in fields}
    own = {"image_size": model.image_size, "dtype": model.spec.dtype}
    return Preprocessing(**{**flags, **own})


def software_versions() -> dict[str, str]:
    """Returns the versions of what makes the numbers."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in SOFTWARE
    }


def footer_metadata(model: LaunchedModel, policy: Preprocessing) -> dict[str, str]:
    """Returns what every data file says of its making; the same bytes for the same making."""
    return {
        "model_handle": model.handle,
        "model_fingerprint": model.fingerprint,
        "preprocessing": json.dumps(policy.to_dict(), sort_keys=True),
        "preprocessing_fingerprint": policy.fingerprint(),
        "software": json.dumps(software_versions(), sort_keys=True),
    }


def describe_run(
    config: RunConfig, program: str, model: LaunchedModel, policy: Preprocessing
) -> dict[str, Any]:
    """Returns the part of run.json that is known at launch."""
    return {
        "program": program,
        "config": dataclasses.asdict(config),
        "model": {
            "handle": model.handle,
            "fingerprint": model.fingerprint,
            **dataclasses.asdict(model.spec),
        },
        "preprocessing": {**policy.to_dict(), "fingerprint": policy.fingerprint()},
        "software": software_versions(),
    }


def carried_schema(config: RunConfig, sources: tuple[Source, ...]) -> pa.Schema:
    """Looks into the first file of each kind: is the image there, and what types are carried?

    Raises:
        FlagError: If a column may not be carried, or no input has columns.
        InputError: If an input lacks a column, or two give it different types.
    """
    reserved = RESERVED.intersection(config.carry_columns)
    if reserved:
        raise FlagError(f"--carry_columns {min(reserved)}: the output has a column of that name")
    found = {uri: manifest_schema(uri, config.carry_columns) for uri in config.manifest}
    for kind in (ShardKind.TFRECORD, ShardKind.PARQUET):
        found |= _peek(config, itertools.islice(_files(config, sources, kind), FILES_PEEKED))
    if not found:
        if config.carry_columns:
            raise FlagError(
                f"--carry_columns {' '.join(config.carry_columns)}: only TFRecord, Parquet and "
                "manifests have columns to carry, and none is given"
            )
        return pa.schema([])
    (first_uri, first), *others = found.items()
    for uri, schema in others:
        if not schema.equals(first):
            raise InputError(
                f"--carry_columns differ in type: {first_uri} has {_types(first)}, {uri} has "
                f"{_types(schema)}; run them apart"
            )
    return first


def _keep_apart(output: str, sources: tuple[Source, ...]) -> None:
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
                f"--output {output} is inside --input {source.root}, and would be read by the next "
                "run; choose a directory beside it"
            )


def _files(config: RunConfig, sources: tuple[Source, ...], kind: ShardKind) -> Iterator[InputFile]:
    """Yields the TFRecord or the Parquet files among the inputs.

    Directories and mixed globs are listed only if need be: that takes long on a large store.
    """
    for source in sources:
        if source.kind is kind or (source.kind is ShardKind.IMAGES and config.carry_columns):
            for listed in list_source(source):
                if isinstance(listed, InputFile) and listed.kind is kind:
                    yield listed


def _peek(config: RunConfig, files: Iterator[InputFile]) -> dict[str, pa.Schema]:
    """Returns the carried columns of the first file that can be read, by its uri."""
    unreadable = None
    for file in files:
        peek = peek_parquet_schema if file.kind is ShardKind.PARQUET else peek_example_schema
        schema = peek(file.uri, config.image_key, config.image_id_from, config.carry_columns)
        if schema is not None:
            return {file.uri: schema}
        unreadable = file
    if unreadable is not None and config.carry_columns:
        raise InputError(
            f"{unreadable.uri}, and the files before it: nothing readable in them, so the types of "
            "--carry_columns are not known"
        )
    return {}


def _types(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
