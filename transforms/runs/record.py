"""_run.json and the commit records: finished shards as JSON, and back."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transforms.errors import InputError, UnreadableRunError
from transforms.failure import Step
from transforms.files.atomic_files import read_whole
from transforms.files.file_systems import FileSystems
from transforms.files.uris import is_local
from transforms.records import InputFile, PassedOver, ShardKey, ShardKind, WrittenFile
from transforms.results import EngineReport, FileAccount, ShardResult
from transforms.runs.directory import EARLIER_NAMES, FAILURES_FILE, RUN_FILE, SUCCESS_FILE
from transforms.span import Span

EARLIER_FORMAT_VERSION = 2
RUN_FORMAT_VERSION = 3
DIVIDED_FORMAT_VERSION = 4
GROUPED_FORMAT_VERSION = 5
READ_FORMAT_VERSIONS = (
    EARLIER_FORMAT_VERSION,
    RUN_FORMAT_VERSION,
    DIVIDED_FORMAT_VERSION,
    GROUPED_FORMAT_VERSION,
)
"""Format 2 differs in the names of _run.json and _failures.jsonl only. In format 4 some shards are
spans of files, each of which an earlier program would take for its whole file. In format 5 some
shards are of many files, so that their `input` is a list.
"""


def format_version(results: Iterable[ShardResult]) -> int:
    """Returns the earliest format that says what the shards of a run are."""
    version = RUN_FORMAT_VERSION
    for result in results:
        if len(result.files) > 1:
            return GROUPED_FORMAT_VERSION
        if any(account.file.span for account in result.files):
            version = DIVIDED_FORMAT_VERSION
    return version


def result_to_dict(result: ShardResult, directory: str) -> dict[str, Any]:
    """Describes a finished shard in JSON's types; paths are relative to the directory."""

    def relative(file: WrittenFile) -> dict[str, Any]:
        return {**dataclasses.asdict(file), "path": file.path.removeprefix(f"{directory}/")}

    return {
        **relative(result.data),
        "rows": result.rows,
        "failed": result.failed,
        "failures": dict(result.failures),
        "changes": dict(result.changes),
        "shard": [result.shard.index, result.shard.count],
        "kind": result.kind.value,
        "input": _described_input(result.files),
        "fingerprint": result.fingerprint,
        "inputs": relative(result.inputs),
        "seconds": {step.value: round(result.seconds.get(step, 0), 3) for step in Step},
        "warnings": list(result.warnings),
        # Of a hundred thousand shards, most have none.
        **({"range_doubt": result.range_doubt} if result.range_doubt else {}),
        "engine": result.engine and dataclasses.asdict(result.engine),
        "retries": dict(result.retries),
        **({"skipped": [one._asdict() for one in result.skipped]} if result.skipped else {}),
    }


def _described_input(
    accounts: Sequence[FileAccount],
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Describes the file, or the files and what became of each, where the shard cannot tell."""
    if not accounts:
        return None
    if len(accounts) > 1:
        return [_described_account(account) for account in accounts]
    return _described_file(accounts[0].file)


def _described_account(account: FileAccount) -> dict[str, Any]:
    end = {"is_cut_short": True} if account.is_cut_short else {}  # Most are not.
    return {**_described_file(account.file), "images": account.images, **end}


def _described_file(file: InputFile) -> dict[str, Any]:
    described = dataclasses.asdict(file)
    if file.span is None:
        del described["span"]  # Programs before format 4 know of none.
    return described


def result_from_dict(entry: Mapping[str, Any], directory: str) -> ShardResult:
    """Reads back what result_to_dict wrote.

    Raises:
        KeyError, TypeError, ValueError: If it is of another form.
    """

    def absolute(file: Mapping[str, Any]) -> WrittenFile:
        path = FileSystems.join(directory, file["path"])
        return WrittenFile(path, file["size_bytes"], file["sha256"])

    index, count = entry["shard"]
    return ShardResult(
        shard=ShardKey(index, count),
        kind=ShardKind(entry["kind"]),
        files=_read_accounts(entry),
        fingerprint=entry["fingerprint"],
        data=absolute(entry),
        inputs=absolute(entry["inputs"]),
        rows=entry["rows"],
        failures=entry["failures"],
        changes=entry["changes"],
        seconds={Step(name): seconds for name, seconds in entry["seconds"].items()},
        warnings=tuple(entry["warnings"]),
        range_doubt=entry.get("range_doubt", ""),
        engine=EngineReport(**entry["engine"]) if entry["engine"] else None,
        retries=entry.get("retries", {}),
        skipped=tuple(PassedOver(**one) for one in entry.get("skipped", ())),
    )


def _read_accounts(entry: Mapping[str, Any]) -> tuple[FileAccount, ...]:
    given = entry["input"]
    if not given:
        return ()
    if isinstance(given, list):
        return tuple(map(_read_account, given))
    return (FileAccount.of(_read_file(given), entry["rows"], entry["failures"]),)


def _read_account(described: Mapping[str, Any]) -> FileAccount:
    own = {"images", "is_cut_short"}
    file = _read_file({name: value for name, value in described.items() if name not in own})
    return FileAccount(file, described["images"], described.get("is_cut_short", False))


def _read_file(file: Mapping[str, Any]) -> InputFile:
    span = file.get("span")
    kind = ShardKind(file["kind"])
    return InputFile(**{**file, "kind": kind, "span": Span(**span) if span else None})


@dataclasses.dataclass(frozen=True)
class PublishedRun:
    """A published run, as its _run.json says.

    Attributes:
        directory: Path or URI of the run directory.
        record: The content of _run.json.
        results: Shards of the run, in order.
    """

    directory: str
    record: Mapping[str, Any]
    results: tuple[ShardResult, ...]

    @property
    def name(self) -> str:
        """Name of the run: the last part of its directory."""
        return self.directory.rpartition("/")[2]

    @property
    def failures_path(self) -> str:
        """Path or URI of _failures.jsonl."""
        return FileSystems.join(self.directory, name_by(self.record, FAILURES_FILE))

    @property
    def image_shard_count(self) -> int:
        """Shards of listed images; those of files follow them."""
        return sum(result.kind is ShardKind.IMAGES for result in self.results)


def name_by(record: Mapping[str, Any], name: str) -> str:
    """Returns what RUN_FILE or FAILURES_FILE is called in a run of that record's format."""
    is_earlier = record["run_format_version"] == EARLIER_FORMAT_VERSION
    return EARLIER_NAMES[name] if is_earlier else name


def is_published(directory: str) -> bool:
    """Tells whether a directory holds a complete run."""
    return FileSystems.exists(FileSystems.join(directory, SUCCESS_FILE))


def read_record(directory: str) -> dict[str, Any]:
    """Reads _run.json.

    Raises:
        UnreadableRunError: If the file system does not give it now.
        InputError: If it is not there or damaged.
    """
    path = FileSystems.join(directory, RUN_FILE)
    earlier = FileSystems.join(directory, EARLIER_NAMES[RUN_FILE])
    try:
        if not FileSystems.exists(path) and FileSystems.exists(earlier):
            path = earlier
        record = json.loads(read_whole(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; is {directory} a run?") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableRunError(f"{path} cannot be read: {reason}; mend that") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds {type(record).__name__}, wanted an object")
    return record


def holds_run(directory: str, run_id: str) -> bool:
    """Tells whether a directory holds the complete run of that id, by its record.

    A record that is damaged or gone, as a machine leaves it that lost its power, is nobody's.

    Raises:
        UnreadableRunError: If it cannot be read now; trying again may help.
    """
    try:
        return is_published(directory) and read_record(directory).get("run_id") == run_id
    except UnreadableRunError:
        raise
    except InputError:
        return False


def read_published_run(directory: str) -> PublishedRun:
    """Reads a published run's record.

    Raises:
        InputError: If there is no complete run, or its record is damaged or of another version.
    """
    if not is_published(directory):
        is_there = not is_local(directory) or os.path.isdir(directory)
        reason = f"no {SUCCESS_FILE} in it" if is_there else "there is no such directory"
        raise InputError(f"{directory} holds no complete run: {reason}")
    record = read_record(directory)
    version = record.get("run_format_version")
    if version not in READ_FORMAT_VERSIONS:
        raise InputError(
            f"{directory}: _run.json is of format {version}, wanted "
            f"{' or '.join(map(str, READ_FORMAT_VERSIONS))}: it was written by another version of "
            "this program"
        )
    try:
        results = tuple(result_from_dict(entry, directory) for entry in record["files"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{directory}: _run.json is damaged: {error!r}") from error
    return PublishedRun(directory, record, results)
