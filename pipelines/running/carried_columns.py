"""The columns that travel from the inputs to the output, found out at launch."""

import itertools
from collections.abc import Iterator

import pyarrow as pa

from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError, InputError
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.listing import list_source
from transforms.inputs.manifests import manifest_schema
from transforms.inputs.source import Source
from transforms.records import InputFile, ShardKind
from transforms.schemas import RESERVED

FILES_PEEKED = 20
"""Of these one should be readable; empty and damaged files are common among shards."""


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
    for kind in FILE_KINDS:
        found |= _peek(config, itertools.islice(_files(config, sources, kind), FILES_PEEKED))
    if not found:
        if config.carry_columns:
            kinds = ", ".join(kind.word for kind in FILE_KINDS.values())
            raise FlagError(
                f"--carry_columns {' '.join(config.carry_columns)}: only {kinds} and manifests "
                "have columns to carry, and none is given"
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


def _files(config: RunConfig, sources: tuple[Source, ...], kind: ShardKind) -> Iterator[InputFile]:
    """Yields the files of one kind among the inputs.

    Directories and mixed globs are listed only if need be: that takes long on a large store.
    """
    for source in sources:
        may_hold = source.kind is ShardKind.IMAGES and config.carry_columns
        if kind in (source.kind, source.format) or may_hold:
            for listed in list_source(source):
                if isinstance(listed, InputFile) and listed.kind is kind:
                    yield listed


def _peek(config: RunConfig, files: Iterator[InputFile]) -> dict[str, pa.Schema]:
    """Returns the carried columns of the first file that can be read, by its uri."""
    unreadable = None
    for file in files:
        schema = FILE_KINDS[file.kind].peek(
            file.uri, config.image_key, config.image_id_from, config.carry_columns
        )
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
