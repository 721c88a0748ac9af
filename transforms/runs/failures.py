"""_failures.jsonl: a line a failure, written, read back, and grouped by reason."""

import collections
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from transforms.failure import Failure
from transforms.files.uris import open_buffered
from transforms.schemas import IMAGE_ID

_EXAMPLES = 4

_FAILURE_FIELDS = {field.name for field in dataclasses.fields(Failure)}


def failure_line(failure: Failure) -> str:
    """Returns one line of _failures.jsonl, with its newline."""
    return json.dumps(dataclasses.asdict(failure), ensure_ascii=False) + "\n"


def iter_failures(path: str) -> Iterator[dict[str, str] | None]:
    """Reads _failures.jsonl a line at a time; None for a line that is no failure.

    Raises:
        ImageError, OSError: If it cannot be read.
    """
    with open_buffered(path) as stream:
        for line in stream:
            try:
                failure = json.loads(line)
            except ValueError:
                failure = None
            is_failure = isinstance(failure, dict) and failure.keys() == _FAILURE_FIELDS
            are_strings = is_failure and all(isinstance(v, str) for v in failure.values())
            yield failure if are_strings else None


def read_failed_ids(path: str) -> Iterator[str]:
    """Returns the image_ids in _failures.jsonl, in order."""
    return (failure[IMAGE_ID] for failure in iter_failures(path) if failure is not None)


class FailureGroup(NamedTuple):
    """Failures for one reason.

    Attributes:
        reason: "step/error_type", as in _run.json.
        failures: Number of failures for the reason.
        examples: The first few, as in _failures.jsonl.
    """

    reason: str
    failures: int
    examples: tuple[Mapping[str, str], ...]


def group_failures(path: str) -> list[FailureGroup]:
    """Reads _failures.jsonl, a line at a time; lines that are no failures are passed over.

    Returns:
        The groups, the largest first.

    Raises:
        ImageError, OSError: If it cannot be read.
    """
    counts: collections.Counter[str] = collections.Counter()
    examples: collections.defaultdict[str, list[Mapping[str, str]]] = collections.defaultdict(list)
    for failure in iter_failures(path):
        if failure is None:
            continue
        reason = f"{failure['step']}/{failure['error_type']}"
        counts[reason] += 1
        if len(examples[reason]) < _EXAMPLES:
            examples[reason].append(failure)
    return [
        FailureGroup(reason, count, tuple(examples[reason]))
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
