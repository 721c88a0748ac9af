"""What became of every input, by the files that list inputs and failures."""

import collections
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.files.atomic_files import read_whole
from transforms.records import ShardKind
from transforms.results import ShardResult
from transforms.runs.directory import FAILURES_FILE
from transforms.runs.failures import iter_failures
from transforms.runs.finding import Finding
from transforms.runs.image_ids import digest_ids
from transforms.runs.inputs_file import inputs_schema
from transforms.schemas import IMAGE_ID
from transforms.verify.record_checks import format_counts

Digests = npt.NDArray[np.uint64]

_ID_ROWS = 1024
_FATE = ("step", "error_type")
_CARRIED = "carried"


def to_digests(image_ids: Iterable[str]) -> Digests:
    """Returns one digest an id, in order."""
    numbers = (int.from_bytes(digest_ids([i]), sys.byteorder) for i in image_ids)
    return np.fromiter(numbers, np.uint64)


def first_id(image_ids: Iterable[str], digests: Digests) -> str:
    """Finds the first of some ids whose digest is among those given."""
    wanted = {digest.tobytes() for digest in digests}
    return next(i for i in image_ids if digest_ids([i]) in wanted)


class Inputs:
    """What a shard was given: the ids of the inputs that failed, and of those that did not.

    Raises:
        pa.ArrowException, OSError: If the file is damaged.
    """

    def __init__(self, path: str) -> None:
        content = pa.BufferReader(read_whole(path))
        self.schema: pa.Schema = pa.ipc.open_file(content).schema
        columns = [self.schema.get_field_index(name) for name in (IMAGE_ID, *_FATE)]
        self._table = pa.table({})
        if min(columns) >= 0:
            options = pa.ipc.IpcReadOptions(included_fields=columns)
            self._table = pa.ipc.open_file(content, options=options).read_all()

    @property
    def count(self) -> int:
        """Number of rows in the file."""
        return self._table.num_rows

    def reasons(self) -> dict[str, int]:
        """Counts the failures by "step/error_type"."""
        fates = self._table.filter(self._table["step"].is_valid()).select(_FATE)
        groups = fates.group_by(list(_FATE)).aggregate([([], "count_all")]).to_pylist()
        return {f"{group['step']}/{group['error_type']}": group["count_all"] for group in groups}

    def ids(self, *, failed: bool) -> Iterator[str]:
        """Returns the ids of the inputs that failed, or of those that did not, in order."""
        step = self._table["step"]
        chosen = self._table.filter(step.is_valid() if failed else step.is_null())
        for batch in chosen.select([IMAGE_ID]).to_batches(_ID_ROWS):
            yield from batch.column(0).to_pylist()


def check_inputs(
    name: str, inputs: Inputs, shard: ShardResult, record: Mapping[str, Any]
) -> Iterator[Finding]:
    """Checks that an inputs file agrees with its entry in _run.json.

    Args:
        name: The file's name within the run.
        inputs: Content of the inputs file.
        shard: The entry.
        record: The content of _run.json.
    """
    plain = inputs_schema(pa.schema([])).names
    carries = bool(record["columns"]["carry_columns"])
    wanted = [*plain[:4], _CARRIED, *plain[4:]] if carries else plain
    if inputs.schema.names != wanted:
        yield Finding(name, "columns", ", ".join(inputs.schema.names), ", ".join(wanted))
        return
    is_listing = shard.kind is ShardKind.IMAGES
    rows = shard.images if is_listing else shard.failed
    if inputs.count != rows:
        what = "rows and failures" if is_listing else "failures"
        yield Finding(name, "rows", str(inputs.count), f"{rows}, the {what} by _run.json")
    reasons = inputs.reasons()
    if reasons != shard.failures:
        by_record = f"{format_counts(shard.failures)}, by _run.json"
        yield Finding(name, "failures", format_counts(reasons), by_record)


@dataclasses.dataclass
class FailureLines:
    """What _failures.jsonl holds.

    Attributes:
        count: Number of lines.
        malformed: Numbers of the lines that are no failures, counted from 1.
        reasons: Failures by "step/error_type".
        digests: Digests of the failures' image_ids as bytes, one uint64 a failure.
    """

    count: int = 0
    malformed: list[int] = dataclasses.field(default_factory=list)
    reasons: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    digests: bytearray = dataclasses.field(default_factory=bytearray)


def read_failure_lines(path: str) -> FailureLines:
    """Reads _failures.jsonl, a line at a time.

    Raises:
        ImageError, OSError: If it cannot be read.
    """
    lines = FailureLines()
    for failure in iter_failures(path):
        lines.count += 1
        if failure is None:
            lines.malformed.append(lines.count)
        else:
            lines.reasons[f"{failure['step']}/{failure['error_type']}"] += 1
            lines.digests += digest_ids([failure[IMAGE_ID]])
    return lines


def check_failure_lines(lines: FailureLines, record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that _failures.jsonl agrees with _run.json."""
    failed, reasons = record["counts"]["failed"], record["failures_by_reason"]
    if lines.count != failed:
        yield Finding(FAILURES_FILE, "lines", str(lines.count), f"{failed}, _run.json's failed")
    elif lines.malformed:
        got = f"{len(lines.malformed)} of them, first line {lines.malformed[0]}"
        yield Finding(FAILURES_FILE, "malformed lines", got, "failures as JSON objects")
    elif lines.reasons != reasons:
        wanted = f"{format_counts(reasons)}, by _run.json"
        yield Finding(FAILURES_FILE, "reasons", format_counts(lines.reasons), wanted)
