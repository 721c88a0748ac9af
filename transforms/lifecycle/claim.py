"""Claiming an output before any work: who may write there, and what to do with what is there."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError

from transforms.errors import OutputError
from transforms.files.file_systems import BeamIOError, FileSystems
from transforms.files.uris import is_local
from transforms.lifecycle import staging
from transforms.lifecycle.lock import Hold, living_owner, remove_staging, run_lock, this_process
from transforms.lifecycle.swap import put_back
from transforms.runs import directory as run_directory
from transforms.runs.directory import SUCCESS_FILE
from transforms.runs.recipe import describe_differences, differences
from transforms.runs.record import read_record

COMPARED = ("recipe", "columns", "layout", "software")
"""Parts of a plan that a run must share with the one it resumes: its rows would differ."""

_WAYS_ON = "add --resume to keep what it finished and do the rest, or --overwrite to start again"


class Claim(NamedTuple):
    """What a run may do.

    Attributes:
        output: Its run directory.
        run_id: The run, the same one when it is resumed.
        is_resumed: Whether commit records of an earlier start count.
        hold: The lock, for a run that is left to a job.
        is_published: Whether there is nothing to do: the run to resume has been published.
    """

    output: str
    run_id: str
    is_resumed: bool
    hold: Hold
    is_published: bool = False


@contextlib.contextmanager
def claim_output(
    choose_output: Callable[[], str],
    staging_directory: str,
    plan: Mapping[str, Any],
    *,
    flag: str,
    resume: bool,
    overwrite: bool,
) -> Iterator[Claim]:
    """Holds an output for one run.

    Args:
        choose_output: Returns the run directory, absolute; called when nobody else can write.
        staging_directory: Where the run works.
        plan: What it is going to do: program, config, and COMPARED.
        flag: How the user named the output, for messages.
        resume: Whether to go on where a dead run stopped.
        overwrite: Whether to replace what is there.

    Raises:
        OutputError: If another run is writing there, or what is there may not be replaced, or is
            not what is to be resumed.
    """
    owner = this_process(uuid.uuid4().hex, plan["program"])
    with contextlib.ExitStack() as stack:
        with _said_plainly(flag):
            hold = stack.enter_context(run_lock(staging_directory, owner))
            stack.callback(_remove_if_done, staging_directory)
            output = choose_output()
            if not staging.is_in_place(output, staging_directory):
                put_back(output, os.path.join(staging_directory, staging.REPLACED))
            names = _own_names(output, flag)
            unfinished = _unfinished_plan(staging_directory)
        is_resumed = unfinished is not None and resume
        if unfinished is not None and resume:
            found = _differences(unfinished, plan)
            if found and not overwrite:
                raise OutputError(
                    f"--resume: the unfinished run of {unfinished['started_at']} was another one: "
                    f"{found}; use what it used, or add --overwrite to start again"
                )
            is_resumed = not found
        elif unfinished is not None and not overwrite:
            done = staging.count_commits(staging_directory)
            raise OutputError(
                f"{flag}: an unfinished run of {unfinished['started_at']} waits in "
                f"{staging_directory} ({done} shards done), and its process is dead; {_WAYS_ON}"
            )
        may_replace = overwrite or (unfinished is not None and unfinished["overwrite"])
        is_half_in_place = is_resumed and SUCCESS_FILE not in names
        if names and not may_replace and not is_half_in_place:
            if resume and SUCCESS_FILE in names and _is_same_command(output, plan):
                yield Claim(output, "", is_resumed=False, hold=hold, is_published=True)
                return
            raise OutputError(
                f"{flag} holds {run_directory.describe(names)}; choose another directory, or add "
                "--overwrite to replace it once the new run is complete"
            )
        run_id = unfinished["run_id"] if unfinished is not None and is_resumed else owner.run_id
        own = {"run_id": run_id, "started_at": owner.since, "output": output}
        with _said_plainly(flag):
            if not is_resumed:
                staging.clear_staging(staging_directory)
            staging.write_plan(staging_directory, {**plan, **own, "overwrite": may_replace})
        is_over = False
        try:
            yield Claim(output, run_id, is_resumed=is_resumed, hold=hold)
            is_over = True
        finally:
            # What ended before its first shard was done leaves nothing that is worth resuming.
            if not (is_over or is_resumed or staging.count_commits(staging_directory)):
                staging.clear_staging(staging_directory)


def unclaimed(output: str) -> Claim:
    """Returns what stands for a claim where nothing will be written."""
    return Claim(output, "", is_resumed=False, hold=Hold())


def look_at_output(
    output: str | None, staging_directory: str, *, flag: str, resume: bool, overwrite: bool
) -> str:
    """Says whether claim_output would let a run write, and what is there; changes nothing.

    Args:
        output: The run directory; None if it would be a new one under a refresh root.
        staging_directory: Where the run would work.
        flag: How the user named the output.
        resume: Whether the run would go on where a dead one stopped.
        overwrite: Whether it would replace what is there.
    """
    refused = "a run would be refused"
    with _said_plainly(flag):
        if owner := living_owner(staging_directory):
            return f"{flag}: {owner} is writing there; {refused} until that is done"
        unfinished = staging.read_plan(staging_directory)
        is_left_over = unfinished is not None and _is_published_by(unfinished)
        if unfinished is not None and not is_left_over:
            done = staging.count_commits(staging_directory)
            waits = f"{flag}: an unfinished run of {unfinished['started_at']} waits ({done} shards)"
            if overwrite:
                return f"{waits}, and would be dropped"
            if resume:
                return (
                    f"{waits}, and would be gone on with: what it has done is not subtracted here"
                )
            return f"{waits}; {refused} without --resume or --overwrite"
        if output is None:
            return f"{flag} would get a new run, and LATEST name it"
        try:
            names = _own_names(output, flag)
        except OutputError as error:
            return f"{error}; {refused}"
    if not names:
        return f"{flag} is free"
    held = f"{flag} holds {run_directory.describe(names)}"
    if overwrite:
        return f"{held}, which the new one would replace once it is complete"
    return f"{held}; {refused} without --overwrite"


def _is_published_by(plan: Mapping[str, Any]) -> bool:
    published = FileSystems.join(plan["output"], SUCCESS_FILE)
    return FileSystems.exists(published) and read_record(plan["output"])["run_id"] == plan["run_id"]


@contextlib.contextmanager
def _said_plainly(flag: str) -> Iterator[None]:
    try:
        yield
    except (OSError, BeamIOError, GoogleAPIError, GoogleAuthError) as error:
        text = " ".join(str(error).split())
        raise OutputError(f"{flag} cannot be written: {text}") from error
    except ValueError as error:  # No such file system.
        raise OutputError(f"{flag}: {error}") from error


def _own_names(output: str, flag: str) -> list[str]:
    """Lists what a run directory holds, all of it written by runs."""
    if is_local(output) and os.path.isfile(output):
        raise OutputError(f"{flag} is a file; choose an empty or new directory")
    names = run_directory.names_in(output)
    if foreign := run_directory.foreign_names(names):
        raise OutputError(
            f"{flag} holds files that no run wrote ({run_directory.some(foreign)}); choose an "
            "empty or new directory"
        )
    return names


def _unfinished_plan(staging_directory: str) -> dict[str, Any] | None:
    """Returns the plan of a run that died; sweeps away what one left that was published."""
    plan = staging.read_plan(staging_directory)
    if plan is None:
        return None
    if _is_published_by(plan):
        staging.clear_staging(staging_directory)
        return None
    return plan


def _differences(unfinished: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Says what differs from the run to resume; empty if nothing does."""
    found = differences(
        {part: unfinished[part] for part in COMPARED}, {part: plan[part] for part in COMPARED}
    )
    return describe_differences(found)


def _is_same_command(output: str, plan: Mapping[str, Any]) -> bool:
    """Whether the run that is published was asked for by the same flags."""
    record = read_record(output)
    ignored = {"resume", "overwrite"}
    earlier, now = (
        {name: value for name, value in config.items() if name not in ignored}
        for config in (record.get("config", {}), plan["config"])
    )
    return not differences(earlier, now)


def _remove_if_done(staging_directory: str) -> None:
    """Removes the staging directory if no plan, and so no unfinished run, is in it."""
    plan = FileSystems.join(staging_directory, staging.PLAN_FILE)
    if not FileSystems.exists(plan):
        remove_staging(staging_directory)
