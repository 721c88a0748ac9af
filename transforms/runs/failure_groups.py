"""The failures of a run by their reason, with some examples of each."""

import collections
from collections.abc import Mapping
from typing import NamedTuple

from transforms.verify.account_checks import iter_failures

_EXAMPLES = 4


class FailureGroup(NamedTuple):
    """Failures for one reason.

    Attributes:
        reason: "step/error_type", as in run.json.
        failures: How many there are.
        examples: The first few, as in failures.jsonl.
    """

    reason: str
    failures: int
    examples: tuple[Mapping[str, str], ...]


def group_failures(path: str) -> list[FailureGroup]:
    """Reads failures.jsonl, a line at a time; lines that are no failures are passed over.

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
