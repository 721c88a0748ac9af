"""The first look at what the flags name on this machine, before Beam and TensorFlow are imported.

They take 2 s and 5 s; a misspelt path is told of at once. The launch checks all of this again, and
with it what is in object stores and what only the model can say.
"""

import collections
import itertools
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipelines.cli.classify_flags import ClassifyFlags
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from pipelines.running.destination import destination_of, keep_apart
from pipelines.running.metrics_place import place_metrics
from transforms.errors import FlagError, InputError, OutputError
from transforms.files.new_directory import may_write
from transforms.files.schemes import check_scheme
from transforms.files.uris import is_local
from transforms.files.web.urls import is_web_uri
from transforms.inputs.carried_types import unify_carried
from transforms.inputs.entries import Skipped
from transforms.inputs.listing import classify_inputs, list_source
from transforms.inputs.manifests import (
    check_typed,
    manifest_format,
    manifest_schema,
    read_manifest,
)
from transforms.inputs.source import Source
from transforms.lifecycle.canaries import canary_shard
from transforms.lifecycle.claim import check_claimable
from transforms.models.class_names import check_labels_uri, read_labels
from transforms.models.declared_width import widest_output
from transforms.models.handle import find_model
from transforms.models.top_k import check_top_k
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun, is_published, read_published_run

_NAMED = (
    "input", "manifest", "model", "labels", "canaries", "retry_failed", "output", "output_root",
    "metrics_file",
)  # fmt: skip
"""Flags that name files."""

_ON_THE_WEB = ("input", "manifest", "model", "labels")
"""Flags that may name what is on the web; nothing is asked of its servers here."""

_MOST_LISTED = 1000
"""Names after which a directory may be as it likes: a run lists it, and tells."""


def look_first(config: RunConfig, beam_argv: Sequence[str]) -> None:
    """Checks what can be checked of a command line in less than a second.

    Args:
        config: The flags.
        beam_argv: Beam's flags.

    Raises:
        UserError: If something is named that is not there, or cannot be used.
    """
    # Dataflow's workers see nothing of this machine; plugins bring file systems of their own.
    if any(word in " ".join(beam_argv).lower() for word in ("dataflow", "beam_plugin")):
        return
    _check_schemes(config)
    _check_model(config)
    # The inputs of --retry_failed are that run's, and there may be none beside it.
    completes = isinstance(config, SingleRunConfig) and config.retry_failed is not None
    sources = () if completes else _look_at_inputs(config)
    _check_output(config, sources)
    place_metrics(config)
    if isinstance(config, ClassifyFlags) and config.labels:
        check_labels_uri(config.labels)
        if is_local(config.labels):
            read_labels(config.labels)
    if config.canaries is not None and is_local(config.canaries):
        canary_shard(config.canaries)
        if config.write_canaries and not may_write(absolute_output(config.canaries)):
            raise FlagError(
                f"--write_canaries: {config.canaries} may not be written, where the answers go; "
                "change that, or copy the images to a directory that may"
            )
    if isinstance(config, SingleRunConfig) and config.retry_failed is not None:
        if is_local(config.retry_failed):
            read_run_to_complete(config.retry_failed)
    else:
        _check_holds_images(config, sources)


def _look_at_inputs(config: RunConfig) -> tuple[Source, ...]:
    schemas = {}
    for uri in config.manifest:
        manifest_format(uri)
        if is_local(uri):
            schemas[uri] = manifest_schema(uri, config.carried_from, uri_column=config.uri_column)
    if schemas and not config.input and all(map(is_local, config.manifest)):
        check_typed(config.manifest, unify_carried(schemas))
    # Of the web, what is no image is told by its looks; no server is asked.
    looked_at = [uri for uri in config.input if is_local(uri) or is_web_uri(uri)]
    return tuple(
        source
        for uri in looked_at
        for source in classify_inputs(
            uri, config.told_kind, excluded=config.exclude, follows_links=config.follow_links
        )
    )


def read_run_to_complete(handle: str) -> PublishedRun:
    """Reads the run of --retry_failed.

    Raises:
        FlagError: If there is none.
    """
    try:
        return read_published_run(absolute_output(handle))
    except InputError as error:
        raise FlagError(f"--retry_failed {handle}: {error}") from error


def _check_schemes(config: RunConfig) -> None:
    for name, uri in _named_files(config):
        if name in _ON_THE_WEB and is_web_uri(uri):
            continue
        try:
            check_scheme(uri)
        except ValueError as error:
            raise FlagError(f"--{name} {uri}: {error}") from error


def _named_files(config: RunConfig) -> Iterator[tuple[str, str]]:
    for name in _NAMED:
        value = getattr(config, name, None) or ()
        for uri in (value,) if isinstance(value, str) else value:
            yield name, uri


def _check_model(config: RunConfig) -> None:
    directory = find_model(config.model) if config.model else None
    if directory is None or not isinstance(config, ClassifyFlags) or not config.uses("top_k"):
        return
    if config.output_key is None:
        check_top_k(config.top_k, widest_output(directory, config.signature))


def _check_output(config: RunConfig, sources: tuple[Source, ...]) -> None:
    destination = destination_of(config)
    if not is_local(destination.directory):
        return
    keep_apart(destination, sources)
    if destination.root is not None and is_published(destination.directory):
        raise OutputError(
            f"{destination.flag} is a run; wanted the directory that runs are in, or a new one"
        )
    if not getattr(config, "plan", False):
        check_claimable(
            destination.output,
            destination.staging,
            flag=destination.flag,
            resume=config.resume,
            overwrite=config.overwrite,
        )


def _check_holds_images(config: RunConfig, sources: tuple[Source, ...]) -> None:
    """Checks that there is an image, or what may hold one, among inputs that are all here.

    Raises:
        InputError: If there is none.
    """
    if not all(map(is_local, (*config.input, *config.manifest))):
        return
    for uri in config.manifest:
        refs = read_manifest(uri, pa.schema([]), config.image_id_from, uri_column=config.uri_column)
        if next(refs, None) is not None:
            return
    left_out: collections.Counter[str] = collections.Counter()
    for source in sources:
        if source.is_directory and _is_large(source.root or "/"):
            return
        for listed in list_source(source):
            if not isinstance(listed, Skipped) or left_out.total() == _MOST_LISTED:
                return
            left_out[listed.reason] += 1
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common(3))
    raise InputError(
        "no images found: none of the --input and --manifest holds any"
        + (f"; left out: {reasons}" if reasons else "")
    )


def _is_large(directory: str) -> bool:
    with os.scandir(directory) as entries:
        return next(itertools.islice(entries, _MOST_LISTED, None), None) is not None
