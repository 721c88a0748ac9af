"""Publish: staged shards -> a run directory that counts, and says so."""

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsList, PCollection

from transforms import run_directory
from transforms.errors import RunError
from transforms.records import ShardResult, Step
from transforms.run_directory import RUN_FILE

RUN_FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunManifest:
    """What run.json says that is known before the run.

    Attributes:
        output: The run directory.
        stem: What the data files hold: "embeddings" or "classifications".
        output_format: "parquet" or "tfrecord".
        max_failed_fraction: Largest share of failed images that may be published.
        description: Further top-level keys of run.json: program, config, model, preprocessing,
            software.
    """

    output: str
    stem: str
    output_format: str
    max_failed_fraction: float
    description: Mapping[str, Any]

    @property
    def staging(self) -> str:
        """Where the run's files wait."""
        return run_directory.staging_path(self.output)


def one_attempt_each(results: Iterable[ShardResult]) -> list[ShardResult]:
    """Picks one result a shard, in order of the shards.

    Raises:
        RuntimeError: If a shard has no result.
    """
    by_index: dict[int, ShardResult] = {}
    for result in sorted(results, key=lambda result: (result.shard.index, result.path)):
        by_index.setdefault(result.shard.index, result)
    count = next(iter(by_index.values())).shard.count if by_index else 0
    missing = sorted(set(range(count)) - by_index.keys())
    if missing:
        raise RuntimeError(f"{len(missing)} of {count} shards have no result, first {missing[0]}")
    return list(by_index.values())


def run_record(
    manifest: RunManifest, results: list[ShardResult], skipped: Iterable[str]
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
        "status": "published",
        "counts": {
            "matched": written + failed + skipped_reasons.total(),
            "written": written,
            "failed": failed,
            "skipped": skipped_reasons.total(),
        },
        "failures_by_reason": dict(failures.most_common()),
        "skipped_by_reason": dict(skipped_reasons.most_common()),
        "warnings": sorted({warning for result in results for warning in result.warnings}),
        "files": [
            {
                "path": run_directory.data_file_name(
                    manifest.stem, result.shard, manifest.output_format
                ),
                "rows": result.rows,
                "failed": sum(result.failures.values()),
                "size_bytes": result.size_bytes,
                "sha256": result.sha256,
            }
            for result in results
        ],
        "seconds_by_step": {step.value: round(seconds[step], 3) for step in Step},
        **manifest.description,
    }


def publish_run(
    results: Iterable[ShardResult], skipped: Iterable[str], manifest: RunManifest
) -> None:
    """Makes a complete run visible: data files, failures, run.json, and _SUCCESS last.

    Safe to repeat after a crash at any point: a file that has been moved is not moved again.

    Raises:
        RunError: If too many images failed; nothing is published and an earlier run stays.
        RuntimeError: If a shard is missing.
    """
    chosen = one_attempt_each(results)
    record = run_record(manifest, chosen, skipped)
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if _is_published(manifest.output, text):
        run_directory.delete_staging(manifest.output)
        return
    images = sum(result.images for result in chosen)
    if not images:
        raise RunError("no images found: the input files hold none; nothing is published")
    if record["counts"]["failed"] > manifest.max_failed_fraction * images:
        _refuse(manifest, chosen, record)
    moves = {
        result.path: FileSystems.join(manifest.output, entry["path"])
        for entry, result in zip(record["files"], chosen, strict=True)
    }
    _retire_earlier_run(manifest.output, keep=set(moves.values()))
    _move_staged(manifest.staging, moves)
    _write_failures(chosen, manifest.output)
    run_directory.write_text(FileSystems.join(manifest.output, RUN_FILE), text)
    run_directory.write_text(FileSystems.join(manifest.output, run_directory.SUCCESS_FILE), "")
    run_directory.delete_staging(manifest.output)


def _is_published(output: str, text: str) -> bool:
    """Tells whether this very run is published already: an earlier attempt at it got that far."""
    paths = [FileSystems.join(output, name) for name in (run_directory.SUCCESS_FILE, RUN_FILE)]
    if not all(FileSystems.exists(path) for path in paths):
        return False
    with FileSystems.open(paths[1]) as stream:
        return stream.read() == text.encode()


def _refuse(manifest: RunManifest, results: list[ShardResult], record: dict[str, Any]) -> None:
    """Leaves the reasons in the staging directory and raises."""
    _write_failures(results, manifest.staging)
    refused = json.dumps({**record, "status": "refused"}, indent=2, ensure_ascii=False) + "\n"
    run_directory.write_text(FileSystems.join(manifest.staging, RUN_FILE), refused)
    failed, processed = record["counts"]["failed"], sum(result.images for result in results)
    reasons = ", ".join(f"{reason} {n}" for reason, n in record["failures_by_reason"].items())
    raise RunError(
        f"{failed} of {processed} images failed ({failed / processed:.1%}: {reasons}), more than "
        f"--max_failed_fraction {manifest.max_failed_fraction:g} allows; nothing is published, "
        f"see {FileSystems.join(manifest.staging, run_directory.FAILURES_FILE)}"
    )


def _retire_earlier_run(output: str, keep: set[str]) -> None:
    """Deletes an earlier run's files, its _SUCCESS first: from then on no reader trusts it."""
    staging = run_directory.staging_path(output)
    earlier = [
        found.path
        for found in run_directory.list_files(output)
        if found.path not in keep and not found.path.startswith(staging)
    ]
    success = FileSystems.join(output, run_directory.SUCCESS_FILE)
    if success in earlier:
        run_directory.delete([success])
        earlier.remove(success)
    run_directory.delete(path for path in earlier if run_directory.is_ours(output, path))


def _move_staged(staging: str, moves: Mapping[str, str]) -> None:
    """Moves data files to their published names; one that is gone has been moved before."""
    present = {found.path for found in run_directory.list_files(staging)}
    waiting = {source: final for source, final in moves.items() if source in present}
    FileSystems.rename(list(waiting), list(waiting.values()))
    for final in moves.values():
        if not FileSystems.exists(final):
            raise RuntimeError(f"{final} is not there, and neither is its staged file")


def _write_failures(results: list[ShardResult], directory: str) -> None:
    """Gathers the shards' failures into failures.jsonl, in order of the shards."""
    path = FileSystems.join(directory, run_directory.FAILURES_FILE)
    with FileSystems.create(path, "application/json") as gathered:
        for result in results:
            if result.failures_path is not None:
                with FileSystems.open(result.failures_path) as failures:
                    gathered.write(failures.read())


def _publish(
    _: None, results: list[ShardResult], skipped: list[str], manifest: RunManifest
) -> None:
    publish_run(results, skipped, manifest)


@dataclasses.dataclass(eq=False)
class Publish(beam.PTransform[PCollection[ShardResult], PCollection[None]]):
    """Publishes the run once every shard is staged and the counts reconcile.

    A step of the pipeline rather than of the launcher, which may be gone by then.

    Attributes:
        manifest: What run.json says that is known before the run.
        skipped: PCollection[str], why names in directories were passed over.
    """

    manifest: RunManifest
    skipped: PCollection[str]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, results: PCollection[ShardResult]) -> PCollection[None]:
        """Publishes; the output is empty."""
        return (
            results.pipeline
            | "Once" >> beam.Create([None])
            | "PublishRun"
            >> beam.Map(_publish, AsList(results), AsList(self.skipped), self.manifest)
        )
