"""The columns that travel from the inputs to the output, found out at launch."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from pipelines.cli.run_flags import RunConfig
from transforms.boxes import box_names
from transforms.errors import FlagError, InputError
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.carried_types import unify_carried
from transforms.inputs.columns import rename
from transforms.inputs.entries import ImageFile
from transforms.inputs.first_files import FirstFiles
from transforms.inputs.json_values import is_open
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.listing import list_source
from transforms.inputs.manifests import check_typed, manifest_schema
from transforms.inputs.parquet_footers import FOOTERS_AT_ONCE, check_exact
from transforms.inputs.partition_columns import partition_values
from transforms.inputs.source import Source
from transforms.inputs.tar_fields import unify_fields
from transforms.records import InputFile, ShardKind
from transforms.schemas import RESERVED, STATISTICS

_FILES_PEEKED = 20
"""Of these one should be readable; empty and damaged files are common among shards."""


def carried_schema(config: RunConfig, sources: tuple[Source, ...], first: FirstFiles) -> pa.Schema:
    """Looks into the inputs: is the image there, and what types are carried?

    The first file of each kind tells where the image is. If there is something to carry, every
    footer of Parquet tells types, and the first records or samples of the first other files.
    Returns the columns by the names that they get.

    Args:
        config: The flags.
        sources: Inputs, classified.
        first: First files among the inputs.

    Raises:
        FlagError: If a column may not be carried, or no input has columns.
        InputError: If an input lacks a column, or no type holds what two have.
    """
    taken = RESERVED | STATISTICS if config.image_statistics else RESERVED
    refuse_taken(config.carried_as, taken, "the output")
    if sides := box_names(config.carried_as):
        raise FlagError(
            f"--carry_columns {' '.join(sides)}: these four names say the boxes of --boxes; "
            f"{sides[0]}=NAME carries one as NAME"
        )
    private = config.allow_private_hosts
    manifests = config.manifest if config.needs_inputs else ()
    tables = {
        uri: manifest_schema(
            uri,
            config.carried_from,
            uri_column=config.uri_column,
            boxes=BoxColumns.parse(config.boxes) if config.boxes else None,
            allow_private_hosts=private,
        )
        for uri in manifests
    }
    files = _files(config, sources, first, ShardKind.PARQUET)
    if config.carry_columns:
        tables |= _peek_all(config, files)
    else:
        tables |= _peek(config, files)
    found = {}
    if tables:
        unified = unify_carried(tables)
        check_typed(manifests, unified)
        _check_exact({uri: tables[uri] for uri in tables if uri not in manifests}, unified)
        found[next(iter(tables))] = unified
    for kind in (ShardKind.TFRECORD, ShardKind.TAR, ShardKind.ZIP):
        schemas = _peek(config, _files(config, sources, first, kind))
        if config.carry_columns:
            own = [file for file in first.files if file.kind is kind and file.uri not in schemas]
            schemas |= _peek_all(config, own, may_lack=True)
        if kind is ShardKind.TAR and schemas:
            schemas = {next(iter(schemas)): unify_fields(schemas)}
        found |= schemas
    if not found:
        return _partition_schema(config, sources)
    (uri, carried), *others = found.items()
    for other_uri, schema in others:
        if not schema.equals(carried):
            raise InputError(
                f"--carry_columns differ in type: {uri} has {_types(carried)}, {other_uri} has "
                f"{_types(schema)}; run them apart"
            )
    # A list in JSON without rows names no columns.
    return rename(carried, config.carried_as) if carried.names else carried


def refuse_taken(names: Sequence[str], taken: Set[str], output: str) -> None:
    """Refuses carried columns with names that the output has itself.

    Names that differ only in case are one to SQL, and Spark does not open such a file.

    Args:
        names: Names of the carried columns, as the output is to have them.
        taken: Names that the output has, in lower case.
        output: Words for the output in the message.

    Raises:
        FlagError: If one is taken.
    """
    if refused := sorted(name for name in names if name.lower() in taken):
        raise FlagError(
            f"--carry_columns {refused[0]}: {output} has a column {refused[0].lower()}; "
            f"{refused[0]}=NAME carries it as NAME"
        )


def _partition_schema(config: RunConfig, sources: tuple[Source, ...]) -> pa.Schema:
    """Returns the carried columns where images are all that there is, in directories' names."""
    absent = dict.fromkeys(config.carried_from)
    listed = (found for source in sources for found in list_source(source))
    while absent and (found := next(listed, None)) is not None:
        for name in partition_values(found.uri) if isinstance(found, ImageFile) else ():
            absent.pop(name, None)
    if absent:
        raise FlagError(
            f"--carry_columns {' '.join(absent)}: only TFRecord, Parquet, tar and manifests have "
            "columns to carry, and none is given; nor is an image in a directory such as "
            f"{min(absent)}=a/"
        )
    return pa.schema([(name, pa.string()) for name in config.carried_as])


def _files(
    config: RunConfig, sources: tuple[Source, ...], first: FirstFiles, kind: ShardKind
) -> Iterator[InputFile]:
    """Yields the files of one kind among the inputs.

    Directories and mixed globs are listed only if need be: that takes long on a large store.
    Otherwise the first files of a directory of nothing else stand for it.
    """
    for source in sources:
        may_hold = source.kind is ShardKind.IMAGES and config.carry_columns
        if kind in (source.kind, source.format) or may_hold:
            for listed in list_source(source):
                if isinstance(listed, InputFile) and listed.kind is kind:
                    yield listed
    if not config.carry_columns:
        yield from (file for file in first.alone if file.kind is kind)


def peek_first(
    config: RunConfig, files: Iterable[InputFile], names: Sequence[str]
) -> tuple[str, pa.Schema | None]:
    """Looks for columns in the first file that tells their types, or can be read, of a few.

    A tar without the columns holds images that have nothing there, such as no boxes, and is passed
    over while another one has them. So is a TFRecord file without what is carried.

    Args:
        config: The flags.
        files: The files.
        names: Names of the columns, as files have them.

    Returns:
        The uri of that file, or of the last that was looked at, empty if there is none; and the
        columns, or None if no file can be read.

    Raises:
        InputError: If the first of them that can be read lacks a column, or the image.
    """
    uri, found = "", None
    refused: InputError | None = None
    for file in itertools.islice(files, _FILES_PEEKED):
        peek = FILE_KINDS[file.kind].peek
        try:
            schema = peek(file.uri, config.image_key, config.image_id_from, names)
        except InputError as error:
            may_lack = (ShardKind.TAR,) if config.boxes else (ShardKind.TAR, ShardKind.TFRECORD)
            if found is None and (file.kind not in may_lack or not names):
                raise
            peek(file.uri, config.image_key, config.image_id_from, ())  # No image is no file of it.
            refused = refused or error
            continue
        if schema is not None or found is None:
            uri, found = file.uri, schema
        if found is not None and not any(map(is_open, found.types)):
            break
    if found is None and refused is not None:
        raise refused
    return uri, found


def _peek(config: RunConfig, files: Iterable[InputFile]) -> dict[str, pa.Schema]:
    """Returns the carried columns of the first file that can be read, by its uri."""
    uri, schema = peek_first(config, files, config.carried_from)
    if schema is None:
        _check_readable(config, uri)
        return {}
    return {uri: schema}


def _peek_all(
    config: RunConfig, files: Iterable[InputFile], *, may_lack: bool = False
) -> dict[str, pa.Schema]:
    """Returns the carried columns of every file that can be read, by its uri.

    Args:
        config: The flags.
        files: The files.
        may_lack: Whether a file that lacks a column is passed over: its rows hold nothing there.
    """

    def peek(file: InputFile) -> pa.Schema | None:
        try:
            return FILE_KINDS[file.kind].peek(
                file.uri, config.image_key, config.image_id_from, config.carried_from
            )
        except InputError:
            if may_lack:
                return None
            raise

    every = list(files)
    with ThreadPoolExecutor(FOOTERS_AT_ONCE, thread_name_prefix="footers") as threads:
        looks = zip(every, threads.map(peek, every), strict=True)
        found = {file.uri: schema for file, schema in looks if schema is not None}
    if not found and every and not may_lack:
        _check_readable(config, every[-1].uri)
    return found


def _check_exact(tables: Mapping[str, pa.Schema], unified: pa.Schema) -> None:
    """Checks that no integer of a Parquet file is rounded where its column becomes double."""
    doubles = {field.name for field in unified if pa.types.is_floating(field.type)}
    concerned = {
        uri: [f.name for f in schema if f.name in doubles and pa.types.is_integer(f.type)]
        for uri, schema in tables.items()
    }
    concerned = {uri: names for uri, names in concerned.items() if names}
    with ThreadPoolExecutor(FOOTERS_AT_ONCE, thread_name_prefix="footers") as threads:
        list(threads.map(check_exact, concerned.keys(), concerned.values()))


def _check_readable(config: RunConfig, unreadable: str) -> None:
    if unreadable and config.carry_columns:
        raise InputError(
            f"{unreadable}, and the files before it: no rows in them, or none readable, so the "
            "types of --carry_columns are not known"
        )


def _types(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
