"""What lies where a run wants to write, read and left as it is."""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from transforms.errors import InputError, OutputError
from transforms.files.uris import is_local
from transforms.lifecycle import staging
from transforms.lifecycle.decision import Found, Unfinished
from transforms.lifecycle.swap import where_it_lies
from transforms.runs import directory as run_directory
from transforms.runs.directory import SUCCESS_FILE
from transforms.runs.recipe import describe_differences, differences
from transforms.runs.record import holds_run, read_record

COMPARED = ("recipe", "columns", "layout", "software")
"""Parts of a plan that a run must share with the one it resumes, save what costs no row."""

_OF_THE_ROWS = ("recipe", "columns")
"""Those of them that decide a row."""

_OF_THE_DAY = frozenset(
    {
        "recipe.preprocessing.decoder_version",
        "recipe.model.engine",
        "recipe.model.precision",
        "recipe.model.quantized",
    }
)
"""What of them installed versions and the machine decide, where no flag does."""


def look(
    output: str | None, staging_directory: str, plan: Mapping[str, Any] | None, *, flag: str
) -> Found:
    """Looks at what lies where a run wants to write, whoever lives there.

    Args:
        output: Run directory; None if it will be a new one.
        staging_directory: Directory that the run would work in.
        plan: Plan of the run; see claim_output. None where there is none yet: then nothing is told
            to differ from it, and of a published run nothing is known.
        flag: Flag and value by which the user named the output.
    """
    waiting = staging.read_plan(staging_directory)
    unfinished = None
    if waiting is not None and not is_left_over(waiting):
        unfinished = Unfinished(
            run_id=waiting["run_id"],
            started_at=waiting["started_at"],
            may_replace=waiting["overwrite"],
            differences="" if plan is None else _differences(waiting, plan),
        )
    if output is None:
        return Found(unfinished=unfinished)
    # A run that was put aside for another one is still that output's.
    there = where_it_lies(output, os.path.join(staging_directory, staging.REPLACED))
    names = run_directory.names_in(there)
    if obstacle := _obstacle(there, names, flag):
        return Found(unfinished=unfinished, obstacle=obstacle)
    is_complete = SUCCESS_FILE in names
    return Found(
        unfinished=unfinished,
        names=tuple(names),
        is_published=is_complete,
        unlike=_unlike(there, plan) if is_complete and plan is not None else None,
    )


def is_left_over(plan: Mapping[str, Any]) -> bool:
    """Whether the run of a plan is published: it died while it cleared its staging directory."""
    return holds_run(plan["output"], plan["run_id"])


@contextlib.contextmanager
def output_errors(flag: str) -> Iterator[None]:
    """Says of what a file system raises that the output cannot be written.

    Raises:
        OutputError: In place of a file system's errors.
    """
    try:
        yield
    except OSError as error:
        text = " ".join(str(error).split())
        raise OutputError(f"{flag} cannot be written: {text}") from error
    except ValueError as error:  # No such file system.
        raise OutputError(f"{flag}: {error}") from error


def _obstacle(directory: str, names: Sequence[str], flag: str) -> str:
    """Says what in a run directory no run wrote; empty if nothing."""
    if is_local(directory) and os.path.isfile(directory):
        return f"{flag} is a file; choose an empty or new directory"
    if foreign := run_directory.foreign_names(names):
        return (
            f"{flag} holds files that no run wrote ({run_directory.some(foreign)}); choose an "
            "empty or new directory"
        )
    return ""


def _differences(
    earlier: Mapping[str, Any],
    plan: Mapping[str, Any],
    parts: Sequence[str] = COMPARED,
    ignored: Collection[str] = (),
) -> str:
    """Says what differs from an earlier run; empty if nothing does."""
    found = differences(
        {part: earlier[part] for part in parts}, {part: plan[part] for part in parts}
    )
    before, now = earlier["columns"], plan["columns"]
    counted = {
        name: what
        for name, what in found.items()
        if name not in ignored and not _costs_no_row(name, before, now)
    }
    return describe_differences(counted)


def _costs_no_row(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether what a finished shard computed holds, though this differs.

    No vector depends on an id, nor on the type of a carried column. Such a shard has another
    fingerprint: its file is read again, and its rows are found by content.
    """
    if name == "columns.image_id_from":
        return now["image_id_from"] is not None  # Nor is a key dropped by a flag that is forgotten.
    carried = name.removeprefix("columns.carry_columns.")
    return all(carried in columns.get("carry_columns", {}) for columns in (before, now))


def _unlike(output: str, plan: Mapping[str, Any]) -> str | None:
    """Says what of a published run is not what a command asks for; None if nobody can tell.

    By the same flags another model is asked for, once another lies where they say. A run that an
    earlier version published, or another machine, is what was asked for.
    """
    try:
        record = read_record(output)
    except InputError:  # --overwrite may replace it all the same.
        return None
    ignored = {"resume", "overwrite"}
    earlier, now = (
        {name: value for name, value in config.items() if name not in ignored}
        for config in (record.get("config", {}), plan["config"])
    )
    flags = describe_differences(differences(earlier, now))
    whole = {"recipe": {}, "columns": {}, **record}
    return flags or _differences(whole, plan, _OF_THE_ROWS, _OF_THE_DAY)
