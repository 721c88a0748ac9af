"""What _run.json says of a run: what is known before it, and what its shards add up to."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from transforms.failure import Step
from transforms.inputs.passed_over import add_up
from transforms.lifecycle import canaries
from transforms.records import Change, PassedOver, WrittenFile
from transforms.results import ShardResult
from transforms.runs import directory as run_directory
from transforms.runs import root as run_root
from transforms.runs.record import format_version, result_to_dict

FATES = frozenset({Change.NEW, Change.CHANGED, Change.UNCHANGED, Change.RETRIED})
"""One of these befalls every image that is there."""

_KNOWN_BEFORE = FATES - {Change.NEW}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publication:
    """What _run.json says that is known before the run, and when a run may be published.

    Attributes:
        run_id: Name of this run and no other; a run that is resumed keeps it.
        started_at: Time at which this start of it claimed its output, as in plan.json.
        output: Directory of the run.
        staging: Directory where the run works until then.
        stem: "embeddings" or "classifications", which the data files hold.
        output_format: "parquet" or "tfrecord".
        max_failed_fraction: Largest share of failed images that may be published.
        allow_truncated_files: Whether a run may be published of which a file was not read to its
            end, so that nobody knows how many images are missing.
        previous: Counts of the run that this one refreshes or completes, if there is one.
        canary_gate: Answers that the canaries must reproduce, if there are any.
        root: Refresh root, and how many runs to keep there, if the run is a refresh.
        quantized: File of the int8 model, which is published with the run, if it has one.
        description: Further top-level keys of _run.json: program, config, recipe, model,
            preprocessing, software.
    """

    run_id: str
    started_at: str
    output: str
    staging: str
    stem: str
    output_format: str
    max_failed_fraction: float
    allow_truncated_files: bool = False
    previous: "PreviousCounts | None" = None
    canary_gate: canaries.CanaryGate | None = None
    root: run_root.RunRoot | None = None
    quantized: WrittenFile | None = None
    description: Mapping[str, Any]

    @property
    def builds_on_runs(self) -> bool:
        """Whether what became of the images since an earlier run is told, if there was one."""
        return self.previous is not None or self.root is not None

    def data_name(self, result: ShardResult) -> str:
        """Returns the published name of a shard's data file."""
        return run_directory.data_file_name(self.stem, result.shard, self.output_format)


@dataclasses.dataclass(frozen=True)
class PreviousCounts:
    """What is said of the run that a run builds on, and what of it may be lost.

    Attributes:
        directory: Run directory.
        images: Images it accounted for.
        files: Images by the uri of the TFRecord, Parquet, tar or zip file they are in.
        recomputed_because: Reason that none of its rows are used, or None if they are.
        max_deleted_fraction: Largest share of its images that may be gone.
    """

    directory: str
    images: int
    files: Mapping[str, int]
    recomputed_because: str | None
    max_deleted_fraction: float


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
    publication: Publication,
    results: list[ShardResult],
    skipped: Iterable[PassedOver],
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """Returns the content of _run.json."""
    failures: collections.Counter[str] = collections.Counter()
    seconds: collections.Counter[Step] = collections.Counter()
    retries: collections.Counter[str] = collections.Counter()
    passed_over = add_up([*skipped, *(one for result in results for one in result.skipped)])
    skipped_count = sum(one.total for one in passed_over)
    for result in results:
        failures.update(result.failures)
        seconds.update(result.seconds)
        retries.update(result.retries)
    written = sum(result.rows for result in results)
    failed = failures.total()
    return {
        "run_format_version": format_version(results),
        "run_id": publication.run_id,
        "status": "published",
        "counts": {
            "matched": written + failed + skipped_count,
            "written": written,
            "failed": failed,
            "skipped": skipped_count,
        },
        **_changes(publication, results),
        "failures_by_reason": dict(failures.most_common()),
        "skipped_by_reason": {one.reason: one.total for one in passed_over},
        "skipped_examples": {one.reason: one.example for one in passed_over},
        "warnings": sorted({*warnings, *_warnings(publication.previous, results)}),
        "files": [_published_entry(publication, result) for result in results],
        "engines": _engines(results),
        "seconds_by_step": {step.value: round(seconds[step], 3) for step in Step},
        "retries_by_reason": dict(retries.most_common()),
        **publication.description,
    }


def _published_entry(publication: Publication, result: ShardResult) -> dict[str, Any]:
    entry = result_to_dict(result, publication.staging)
    entry["path"] = publication.data_name(result)
    entry["inputs"]["path"] = run_directory.inputs_file_name(result.shard)
    return entry


def _engines(results: Iterable[ShardResult]) -> list[dict[str, Any]]:
    """Returns what ran the model: one entry, unless workers or nights differ."""
    found = {result.engine for result in results if result.engine is not None}
    return [dataclasses.asdict(engine) for engine in sorted(found, key=str)]


def _changes(publication: Publication, results: list[ShardResult]) -> dict[str, Any]:
    """Returns what became of the images since the run before, and how much work was saved."""
    previous = publication.previous
    changes: collections.Counter[str] = collections.Counter()
    met: collections.Counter[str] = collections.Counter()  # Of a divided file's images before.
    whole: set[str] = set()
    for result in results:
        changes.update(result.changes)
        # A file that is empty now has lost images, and has none.
        is_compared = not (FATES | {Change.DELETED}).isdisjoint(result.changes)
        if publication.builds_on_runs and not is_compared:
            changes[Change.NEW] += result.images
        for account in result.files:
            if account.file.span is None and is_compared:
                whole.add(account.file.uri)
            else:
                fates = (result.changes.get(fate, 0) for fate in _KNOWN_BEFORE)
                met[account.file.uri] += sum(fates) if is_compared else account.images
    if previous is not None:
        # Shards count what they lost, but an image of a divided file may be in another of its
        # shards now, and a file that is gone has none.
        changes[Change.DELETED] += sum(
            max(images - met[uri], 0) for uri, images in previous.files.items() if uri not in whole
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
    # Of the first shard that has one.
    warnings.update([result.range_doubt for result in results if result.range_doubt][:1])
    if previous is not None and previous.recomputed_because is not None:
        warnings.add(
            f"every image was computed again, because {previous.recomputed_because} since "
            f"{previous.directory}"
        )
    return warnings
