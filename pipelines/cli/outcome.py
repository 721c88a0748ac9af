"""What a program did: facts for --json, what is wrong if anything is, and the exit code."""

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.cli.flag import OPTIONS, flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonFlags:
    """The flag of every program that has a result to print."""

    json: bool = flag(
        "print the result as one JSON object on stdout, all else on stderr", OPTIONS, False
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a program did.

    Attributes:
        facts: What its summary says, by stable names, in JSON's types and NumPy's numbers.
        error: Sentence on what is wrong, or None.
        exit_code: The exit code.
    """

    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0


@contextlib.contextmanager
def summary_apart(is_wanted: bool) -> Iterator[None]:
    """Sends what is printed for people to stderr, if stdout is to hold a JSON object."""
    with contextlib.redirect_stdout(sys.stderr) if is_wanted else contextlib.nullcontext():
        yield


def format_json(program: str, outcome: Outcome) -> str:
    """Returns an outcome as one line of JSON: exit_code, program, error, and the facts.

    What is no number in JSON is null. Characters beyond ASCII are escaped, so that names of any
    bytes can be printed.
    """
    frame = {"program": program, "exit_code": outcome.exit_code, "error": outcome.error}
    return json.dumps(_plain({**frame, **outcome.facts}), allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays.
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
