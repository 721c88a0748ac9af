"""Publish: staged shards -> a run directory that counts, and says so."""

import dataclasses
import json
import os
from collections.abc import Iterable

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection

from transforms.errors import RunError
from transforms.files.atomic_files import link_or_copy, make_directory, sync, write_whole
from transforms.files.file_systems import FileSystems, delete
from transforms.lifecycle import staging
from transforms.lifecycle.admission import (
    check_admission,
    describe_truncated,
    failure_lines,
    map_at_once,
)
from transforms.lifecycle.lock import release_handed_over
from transforms.lifecycle.publication import Publication, one_attempt_each, run_record
from transforms.lifecycle.swap import put_in_place
from transforms.records import PassedOver
from transforms.results import ShardResult
from transforms.runs import directory as run_directory
from transforms.runs.directory import FAILURES_FILE, RUN_FILE, SUCCESS_FILE
from transforms.runs.record import holds_run


def publish_run(
    results: Iterable[ShardResult],
    skipped: Iterable[PassedOver],
    publication: Publication,
    warnings: Iterable[str] = (),
) -> None:
    """Makes a complete run visible in one step; see docs/run_lifecycle.md.

    Safe to repeat after a crash at any point: it starts again from the commit records' files.

    Raises:
        RunError: If too many images failed or are gone, a file was not read to its end, the
            canaries moved, or their answers cannot be kept; nothing is published and an earlier run
            stays.
        RuntimeError: If a shard is missing.
    """
    if not is_done(publication):
        _publish_anew(list(results), skipped, publication, warnings)
    try:
        if publication.root is not None:
            publication.root.point_to(publication.output)
            publication.root.prune()
        staging.clear_staging(publication.staging)
        release_handed_over(publication.staging)
    except OSError as error:
        raise RunError(
            f"{publication.output} is published, but what comes after that failed: "
            f"{error.filename or publication.staging}: {error.strerror or error}; run again with "
            "--resume once that is mended, which then has little to do"
        ) from error


def _publish_anew(
    every: list[ShardResult],
    skipped: Iterable[PassedOver],
    publication: Publication,
    warnings: Iterable[str],
) -> None:
    chosen = one_attempt_each(result for result in every if not result.shard.is_canaries)
    gate = publication.canary_gate
    try:
        truncated = list(describe_truncated(chosen))
        record = run_record(publication, chosen, skipped, [*warnings, *truncated])
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        check_admission(publication, chosen, record, truncated)
        if gate is not None:
            canary = next(result for result in every if result.shard.is_canaries)
            gate.pass_or_raise(canary)
        _make_visible(publication, chosen, text)
    except OSError as error:
        raise RunError(
            f"cannot publish to {publication.output}: {error.strerror or error}; nothing is "
            "published; run again with --resume once that is mended"
        ) from error


def is_done(publication: Publication) -> bool:
    """Tells whether this very run is published."""
    return holds_run(publication.output, publication.run_id)


def _make_visible(publication: Publication, results: list[ShardResult], text: str) -> None:
    output = publication.output
    if staging.is_in_place(output, publication.staging):
        _retire_earlier_run(output)
        _assemble(output, publication, results, text)
        return
    assembled, replaced = (
        os.path.join(publication.staging, name) for name in (staging.ASSEMBLED, staging.REPLACED)
    )
    delete(path for path in (assembled, replaced) if os.path.exists(path))
    _assemble(assembled, publication, results, text)
    for directory in (os.path.join(assembled, run_directory.INPUTS), assembled):
        sync(directory)
    if foreign := run_directory.foreign_names(run_directory.names_in(output)):
        raise RunError(
            f"{output} holds files that no run wrote ({run_directory.some(foreign)}), which came "
            "while this run was working; nothing is published; move them away and --resume"
        )
    put_in_place(assembled, output, replaced)
    sync(os.path.dirname(output))


def _assemble(
    directory: str, publication: Publication, results: list[ShardResult], text: str
) -> None:
    """Puts a run together: data files, inputs, failures, _run.json, and _SUCCESS last."""
    staged, names = [], []
    for result in results:
        staged += [result.data.path, result.inputs.path]
        names += [publication.data_name(result), run_directory.inputs_file_name(result.shard)]
    if publication.quantized is not None:
        staged.append(publication.quantized.path)
        names.append(run_directory.INT8_FILE)
    targets = [FileSystems.join(directory, name) for name in names]
    make_directory(FileSystems.join(directory, run_directory.INPUTS))
    for _ in map_at_once(link_or_copy, staged, targets):
        pass
    write_whole(FileSystems.join(directory, FAILURES_FILE), failure_lines(results))
    write_whole(FileSystems.join(directory, RUN_FILE), text.encode())
    write_whole(FileSystems.join(directory, SUCCESS_FILE), b"")


def _retire_earlier_run(output: str) -> None:
    """Deletes an earlier run's files, its _SUCCESS first: from then on no reader trusts it."""
    earlier = run_directory.names_in(output)
    paths = {
        name: FileSystems.join(output, name) for name in earlier if run_directory.is_ours(name)
    }
    if SUCCESS_FILE in paths:
        delete([paths.pop(SUCCESS_FILE)])
    delete(paths.values())


def _publish(
    _: bytes,
    results: list[ShardResult],
    skipped: list[PassedOver],
    warnings: list[str],
    publication: Publication,
    is_alone: bool,
) -> None:
    try:
        publish_run(results, skipped, publication, warnings)
    except RunError as error:
        if is_alone:
            raise
        staging.write_refusal(publication.staging, str(error))


@dataclasses.dataclass(eq=False)
class Publish(beam.PTransform[PCollection[ShardResult], PCollection[None]]):
    """Publishes the run once every shard is staged and the counts reconcile.

    A step of the pipeline rather than of the launcher, which may be gone by then.

    Attributes:
        publication: Content of _run.json that is known before the run.
        skipped: PCollection[PassedOver], what in directories was passed over.
        warnings: PCollections[str], what could not be listed, what of an earlier run not be used.
        is_alone: Whether a run that may not be published fails the pipeline. Beside other runs its
            refusal is noted in its staging directory, and they go on.
    """

    publication: Publication
    skipped: PCollection[PassedOver]
    warnings: tuple[PCollection[str], ...]
    is_alone: bool = True

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, results: PCollection[ShardResult]) -> PCollection[None]:
        """Publishes; one element comes out, then."""
        warnings = self.warnings | "Warnings" >> beam.Flatten()
        return (
            results.pipeline
            | "Once" >> beam.Impulse()
            | "PublishRun"
            >> beam.Map(
                _publish,
                AsList(results),
                AsList(self.skipped),
                AsList(warnings),
                self.publication,
                self.is_alone,
            )
        )
