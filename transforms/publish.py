"""Publish: staged shards -> a run directory that counts, and says so."""

import collections
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsList, PCollection

from transforms import canaries, run_directory, run_root, staging
from transforms.atomic_files import link_or_copy, sync, write_whole
from transforms.errors import RunError
from transforms.failures import failure_line
from transforms.inputs_file import read_inputs
from transforms.records import Change, ShardResult, Step
from transforms.run_directory import FAILURES_FILE, RUN_FILE, SUCCESS_FILE
from transforms.run_record import (
    RUN_FORMAT_VERSION,
    is_published,
    read_record,
    result_to_dict,
)
from transforms.swap import put_in_place


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunManifest:
    """What run.json says that is known before the run, and when a run may be published.

    Attributes:
        run_id: The run.
        output: The run directory.
        staging: Where the run works.
        stem: What the data files hold: "embeddings" or "classifications".
        output_format: "parquet" or "tfrecord".
        max_failed_fraction: Largest share of failed images that may be published.
        max_deleted_fraction: Largest share of the earlier run's images that may be gone.
        previous: The run that this one refreshes or completes, if there is one.
        canary_gate: What the canaries must reproduce, if there are any.
        root: The refresh root and how many runs to keep there, if the run is a refresh.
        description: Further top-level keys of run.json: program, config, recipe, model,
            preprocessing, software.
    """

    run_id: str
    output: str
    staging: str
    stem: str
    output_format: str
    max_failed_fraction: float
    max_deleted_fraction: float = 1.0
    previous: "PreviousCounts | None" = None
    canary_gate: canaries.CanaryGate | None = None
    root: run_root.RunRoot | None = None
    description: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class PreviousCounts:
    """What is to be said of the run that a run builds on.

    Attributes:
        directory: Where it is.
        images: Images it accounted for.
        files: Images by the uri of the TFRecord or Parquet file they are in.
        recomputed_because: Why none of its rows are used, or None if they are.
    """

    directory: str
    images: int
    files: Mapping[str, int]
    recomputed_because: str | None = None


def one_attempt_each(results: Iterable[ShardResult]) -> list[ShardResult]:
    """Picks one result a shard, in order of the shards.

    Raises:
        RuntimeError: If a shard has no result.
    """
    by_index: dict[int, ShardResult] = {}
    for result in sorted(results, key=lambda result: (result.shard.index, result.data.path)):
        by_index.setdefault(result.shard.index, result)
    count = next(iter(by_index.values())).shard.count if by_index else 0
    missing = sorted(set(range(count)) - by_index.keys())
    if missing:
        raise RuntimeError(f"{len(missing)} of {count} shards have no result, first {missing[0]}")
    return list(by_index.values())


def run_record(
    manifest: RunManifest,
    results: list[ShardResult],
    skipped: Iterable[str],
    damaged: Iterable[str] = (),
) -> dict[str, Any]:
    """Returns the content of run.json."""
    failures: collections.Counter[str] = collections.Counter()
    seconds: collections.Counter[Step] = collections.Counter()
    skipped_reasons = collections.Counter(skipped)
    for result in results:
        failures.update(result.failures)
        seconds.update(result.seconds)
    written = sum(result.rows for result in results)
    failed = failures.total()
    return {
        "run_format_version": RUN_FORMAT_VERSION,
        "run_id": manifest.run_id,
        "status": "published",
        "counts": {
            "matched": written + failed + skipped_reasons.total(),
            "written": written,
            "failed": failed,
            "skipped": skipped_reasons.total(),
        },
        **_changes(manifest, results),
        "failures_by_reason": dict(failures.most_common()),
        "skipped_by_reason": dict(skipped_reasons.most_common()),
        "warnings": sorted({*damaged, *_warnings(manifest.previous, results)}),
        "files": [_published_entry(manifest, result) for result in results],
        "seconds_by_step": {step.value: round(seconds[step], 3) for step in Step},
        **manifest.description,
    }


def publish_run(
    results: Iterable[ShardResult],
    skipped: Iterable[str],
    manifest: RunManifest,
    damaged: Iterable[str] = (),
) -> None:
    """Makes a complete run visible in one step; see docs/run_lifecycle.md.

    Safe to repeat after a crash at any point: it starts again from the commit records' files.

    Raises:
        RunError: If too many images failed or are gone, or the canaries moved; nothing is
            published and an earlier run stays.
        RuntimeError: If a shard is missing.
    """
    if not _is_done(manifest):
        every = list(results)
        chosen = one_attempt_each(result for result in every if not result.shard.is_canaries)
        record = run_record(manifest, chosen, skipped, damaged)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        if not any(result.images for result in chosen):
            raise RunError("no images found: the input files hold none; nothing is published")
        _check_failed(manifest, chosen, record)
        _check_deleted(manifest, record)
        gate, answers = manifest.canary_gate, None
        if gate is not None:
            canary = next(result for result in every if result.shard.is_canaries)
            answers = gate.pass_or_raise(canary)
        try:
            _make_visible(manifest, chosen, text)
        except OSError as error:
            raise RunError(
                f"cannot publish to {manifest.output}: {error.strerror or error}; nothing is "
                "published; run again with --resume once that is mended"
            ) from error
        if gate is not None and answers is not None:
            gate.keep(answers)
    if manifest.root is not None:
        manifest.root.point_to(manifest.output)
        manifest.root.prune()
    staging.clear_staging(manifest.staging)


def _is_done(manifest: RunManifest) -> bool:
    """Tells whether this very run is published: an earlier attempt at it got that far."""
    return (
        is_published(manifest.output)
        and read_record(manifest.output).get("run_id") == manifest.run_id
    )


def _make_visible(manifest: RunManifest, results: list[ShardResult], text: str) -> None:
    output = manifest.output
    if staging.is_in_place(output, manifest.staging):
        _retire_earlier_run(output)
        _assemble(output, manifest, results, text)
        return
    assembled, replaced = (
        os.path.join(manifest.staging, name) for name in (staging.ASSEMBLED, staging.REPLACED)
    )
    run_directory.delete(path for path in (assembled, replaced) if os.path.exists(path))
    _assemble(assembled, manifest, results, text)
    for directory in (os.path.join(assembled, run_directory.INPUTS), assembled):
        sync(directory)
    foreign = [name for name in run_directory.names_in(output) if not run_directory.is_ours(name)]
    if foreign:
        raise RunError(
            f"{output} holds files that no run wrote ({run_directory.some(foreign)}), which came "
            "while this run was working; nothing is published; move them away and --resume"
        )
    put_in_place(assembled, output, replaced)
    sync(os.path.dirname(output))


def _assemble(directory: str, manifest: RunManifest, results: list[ShardResult], text: str) -> None:
    """Puts a run together: data files, inputs, failures, run.json, and _SUCCESS last."""
    for result in results:
        for file, name in (
            (result.data, _data_name(manifest, result)),
            (result.inputs, run_directory.inputs_file_name(result.shard)),
        ):
            link_or_copy(file.path, FileSystems.join(directory, name))
    write_whole(FileSystems.join(directory, FAILURES_FILE), _failure_lines(results))
    write_whole(FileSystems.join(directory, RUN_FILE), text.encode())
    write_whole(FileSystems.join(directory, SUCCESS_FILE), b"")


def _failure_lines(results: list[ShardResult]) -> bytes:
    """Gathers the shards' failures, in order of the shards."""
    return b"".join(
        failure_line(failure).encode()
        for result in results
        if result.failed
        for failure in read_inputs(result.inputs.path)[1]
    )


def _data_name(manifest: RunManifest, result: ShardResult) -> str:
    return run_directory.data_file_name(manifest.stem, result.shard, manifest.output_format)


def _published_entry(manifest: RunManifest, result: ShardResult) -> dict[str, Any]:
    entry = result_to_dict(result, manifest.staging)
    entry["path"] = _data_name(manifest, result)
    entry["inputs"]["path"] = run_directory.inputs_file_name(result.shard)
    return entry


def _changes(manifest: RunManifest, results: list[ShardResult]) -> dict[str, Any]:
    """Returns what became of the images since the run before, and how much work was saved."""
    previous = manifest.previous
    changes: collections.Counter[str] = collections.Counter()
    for result in results:
        changes.update(result.changes)
    if previous is None and manifest.root is not None:
        changes[Change.NEW] = sum(result.images for result in results)
    if previous is not None:
        # The shards of listed images count what they lost; a file that is gone has no shard.
        here = {result.file.uri for result in results if result.file}
        changes[Change.DELETED] += sum(
            images for uri, images in previous.files.items() if uri not in here
        )
    elif not changes:
        return {}
    saved = changes[Change.REUSED] + changes[Change.DUPLICATE]
    counted = {change.value: changes[change] for change in Change}
    return {
        "previous": previous.directory if previous else None,
        "recomputed_because": previous.recomputed_because if previous else None,
        "changes": counted,
        "inferences_saved": saved,
    }


def _warnings(previous: PreviousCounts | None, results: list[ShardResult]) -> set[str]:
    warnings = {warning for result in results for warning in result.warnings}
    if previous is not None and previous.recomputed_because is not None:
        warnings.add(
            f"every image was computed again, because {previous.recomputed_because} since "
            f"{previous.directory}"
        )
    return warnings


def _check_failed(
    manifest: RunManifest, results: list[ShardResult], record: Mapping[str, Any]
) -> None:
    """Refuses a run of which too much failed; leaves the reasons in the staging directory."""
    failed, processed = record["counts"]["failed"], sum(result.images for result in results)
    if failed <= manifest.max_failed_fraction * processed:
        return
    path = FileSystems.join(manifest.staging, FAILURES_FILE)
    write_whole(path, _failure_lines(results))
    reasons = ", ".join(f"{reason} {n}" for reason, n in record["failures_by_reason"].items())
    raise RunError(
        f"{failed} of {processed} images failed ({failed / processed:.1%}: {reasons}), more than "
        f"--max_failed_fraction {manifest.max_failed_fraction:g} allows; nothing is published, "
        f"see {path}"
    )


def _check_deleted(manifest: RunManifest, record: Mapping[str, Any]) -> None:
    """Refuses a listing that has shrunk too much: a lost mount looks like many deleted images."""
    if manifest.previous is None or not manifest.previous.images:
        return
    deleted = record["changes"][Change.DELETED]
    share = deleted / manifest.previous.images
    if share > manifest.max_deleted_fraction:
        raise RunError(
            f"{deleted} of {manifest.previous.images} images of {manifest.previous.directory} are "
            f"gone from the inputs ({share:.1%}), more than --max_deleted_fraction "
            f"{manifest.max_deleted_fraction:g} allows; nothing is published; check that the "
            "inputs are all there, or allow more"
        )


def _retire_earlier_run(output: str) -> None:
    """Deletes an earlier run's files, its _SUCCESS first: from then on no reader trusts it."""
    earlier = run_directory.names_in(output)
    paths = {
        name: FileSystems.join(output, name) for name in earlier if run_directory.is_ours(name)
    }
    if SUCCESS_FILE in paths:
        run_directory.delete([paths.pop(SUCCESS_FILE)])
    run_directory.delete(paths.values())


def _publish(
    _: None,
    results: list[ShardResult],
    skipped: list[str],
    damaged: list[str],
    manifest: RunManifest,
) -> None:
    publish_run(results, skipped, manifest, damaged)


@dataclasses.dataclass(eq=False)
class Publish(beam.PTransform[PCollection[ShardResult], PCollection[None]]):
    """Publishes the run once every shard is staged and the counts reconcile.

    A step of the pipeline rather than of the launcher, which may be gone by then.

    Attributes:
        manifest: What run.json says that is known before the run.
        skipped: PCollection[str], why names in directories were passed over.
        damaged: PCollection[str], what of an earlier run could not be used.
    """

    manifest: RunManifest
    skipped: PCollection[str]
    damaged: PCollection[str]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, results: PCollection[ShardResult]) -> PCollection[None]:
        """Publishes; the output is empty."""
        return (
            results.pipeline
            | "Once" >> beam.Create([None])
            | "PublishRun"
            >> beam.Map(
                _publish,
                AsList(results),
                AsList(self.skipped),
                AsList(self.damaged),
                self.manifest,
            )
        )
