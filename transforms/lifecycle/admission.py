"""Admission: whether a run whose shards are all finished may be published, and why not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from transforms.boxes import WITHOUT_BOXES
from transforms.errors import RunError
from transforms.failure import CUT_SHORT, UNOPENED
from transforms.files.atomic_files import write_whole
from transforms.files.file_systems import FileSystems
from transforms.lifecycle import staging
from transforms.lifecycle.publication import Publication
from transforms.records import Change
from transforms.results import ShardResult
from transforms.runs.directory import FAILURES_FILE
from transforms.runs.failures import failure_line
from transforms.runs.file_accounts import file_of
from transforms.runs.inputs_file import read_inputs

T = TypeVar("T")

TRUNCATED_SHOWN = 8
"""Files not read to their end of which a run tells; _failures.jsonl has all."""

FILES_AT_ONCE = 32
"""An object store takes its time for each copy or read, however small, and takes many at once."""


def check_admission(
    publication: Publication,
    results: list[ShardResult],
    record: Mapping[str, Any],
    truncated: list[str],
) -> None:
    """Refuses a run that readers must not take for a good one.

    Args:
        publication: Content of _run.json that is known before the run.
        results: What became of the shards, one attempt each.
        record: Content of _run.json.
        truncated: What describe_truncated says.

    Raises:
        RunError: If it holds nothing, too much failed or is gone, a file was not read to its end,
            or another run took its place.
        OSError: If the reasons cannot be written.
    """
    if not any(result.images for result in results):
        raise RunError(f"{_nothing_found(record)}; nothing is published")
    _check_is_alone(publication)
    _check_failed(publication, results, record)
    _check_truncated(publication, results, truncated)
    _check_deleted(publication, record)


def _nothing_found(record: Mapping[str, Any]) -> str:
    count = record["skipped_by_reason"].get(WITHOUT_BOXES, 0)
    if count:
        return f"no boxes found: the {count:,} images that were read have none"
    return "no images found: the input files hold none"


def describe_truncated(results: list[ShardResult]) -> Iterator[str]:
    """Says of each file that was not read to its end where it ended, the first few."""
    truncated = [
        (result, account.file.uri)
        for result in results
        for account in result.files
        if account.is_cut_short
    ]
    for result, uri in truncated[:TRUNCATED_SHOWN]:
        files = {account.file.uri for account in result.files}
        end = next(
            failure
            for failure in read_inputs(result.inputs.path)[1]
            if failure.reason in CUT_SHORT | UNOPENED and file_of(failure.uri, files) == uri
        )
        yield f"{uri} was not read to its end: {end.message.removeprefix(f'{uri}: ')}"
    if len(truncated) > TRUNCATED_SHOWN:
        rest = len(truncated) - TRUNCATED_SHOWN
        yield f"{rest} more files were not read to their ends: see {FAILURES_FILE}"


def failure_lines(results: list[ShardResult]) -> bytes:
    """Gathers the shards' failures, in order of the shards."""
    return b"".join(map_at_once(_failures_of, (result for result in results if result.failed)))


def _failures_of(result: ShardResult) -> bytes:
    return b"".join(
        failure_line(failure).encode() for failure in read_inputs(result.inputs.path)[1]
    )


def map_at_once(function: Callable[..., T], *arguments: Iterable[Any]) -> Iterator[T]:
    """Calls a function that waits for files, many at once; the results are in order."""
    with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="publish") as threads:
        yield from threads.map(function, *arguments)


def _check_is_alone(publication: Publication) -> None:
    """Refuses a run whose place another one took, as one does whose holder was silent for long.

    The other may go on with this one: then its run_id is the same, and its start is another one.
    """
    plan = staging.read_plan(publication.staging)
    own = (publication.run_id, publication.started_at)
    if plan is not None and (plan["run_id"], plan["started_at"]) != own:
        raise RunError(
            f"another run, of {plan['started_at']}, took over in {publication.staging}, since this "
            "one gave no sign of life for long; nothing is published by this one"
        )


def _check_failed(
    publication: Publication, results: list[ShardResult], record: Mapping[str, Any]
) -> None:
    """Refuses a run of which too much failed; leaves the reasons in the staging directory."""
    failed, processed = record["counts"]["failed"], sum(result.images for result in results)
    if failed <= publication.max_failed_fraction * processed:
        return
    path = FileSystems.join(publication.staging, FAILURES_FILE)
    write_whole(path, failure_lines(results))
    reasons = ", ".join(f"{reason} {n}" for reason, n in record["failures_by_reason"].items())
    first = read_inputs(next(result for result in results if result.failed).inputs.path)[1][0]
    raise RunError(
        f"{failed} of {processed} images failed ({failed / processed:.1%}: {reasons}), more than "
        f"--max_failed_fraction {publication.max_failed_fraction:g} allows, such as {first.uri}: "
        f"{first.message}; nothing is published, see {path}; mend them, or allow more, and run "
        "again with --resume"
    )


def _check_truncated(
    publication: Publication, results: list[ShardResult], truncated: list[str]
) -> None:
    """Refuses a run of which nobody knows what share failed; leaves the failures in staging."""
    if not truncated or publication.allow_truncated_files or publication.max_failed_fraction == 1:
        return
    path = FileSystems.join(publication.staging, FAILURES_FILE)
    write_whole(path, failure_lines(results))
    raise RunError(
        f"{'; '.join(truncated)}. How many images are missing is not known, so that "
        f"--max_failed_fraction {publication.max_failed_fraction:g} cannot be held to; nothing is "
        f"published, see {path}; put the whole files there, or allow it with "
        "--allow_truncated_files, and run again with --resume: what is computed is kept"
    )


def _check_deleted(publication: Publication, record: Mapping[str, Any]) -> None:
    """Refuses a listing that has shrunk too much: a lost mount looks like many deleted images."""
    previous = publication.previous
    if previous is None or not previous.images:
        return
    deleted = record["changes"][Change.DELETED]
    share = deleted / previous.images
    if share > previous.max_deleted_fraction:
        raise RunError(
            f"{deleted} of {previous.images} images of {previous.directory} are "
            f"gone from the inputs ({share:.1%}), more than --max_deleted_fraction "
            f"{previous.max_deleted_fraction:g} allows; nothing is published; check that the "
            "inputs are all there, or allow more, and run again with --resume"
        )
