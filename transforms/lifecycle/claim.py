"""Claiming an output before any work: holding it, and doing with what is there as is decided."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from transforms.errors import OutputError
from transforms.files.uris import is_local
from transforms.lifecycle import staging
from transforms.lifecycle.decision import (
    AlreadyPublished,
    AnotherRun,
    Foreign,
    GoOn,
    Held,
    Owned,
    Refusal,
    Start,
    Waiting,
    decide,
)
from transforms.lifecycle.lock import Hold, living_owner, remove_staging, run_lock
from transforms.lifecycle.look import is_left_over, look, output_errors
from transforms.lifecycle.owner import Owner, this_process
from transforms.lifecycle.swap import put_back, where_it_lies
from transforms.runs import directory as run_directory

_WAYS_ON = "add --resume to keep what it finished and do the rest, or --overwrite to start again"


class Claim(NamedTuple):
    """What a run may do.

    Attributes:
        output: Run directory to write.
        run_id: Id of the run; the dead one's when it is resumed.
        started_at: Time of this claim, by which a run that is resumed knows the start before.
        is_resumed: Whether commit records of an earlier start count.
        hold: Lock of the staging directory, which a run that is left to a job hands over.
        is_published: Whether there is nothing to do: the run to resume has been published.
    """

    output: str
    run_id: str
    started_at: str
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
        choose_output: Callback, returns the run directory, absolute; called when nobody else can
            write.
        staging_directory: Directory that the run works in.
        plan: Plan of the run: program, config, and COMPARED.
        flag: Flag and value by which the user named the output, for messages.
        resume: Whether to go on where a dead run stopped.
        overwrite: Whether to replace what is there.

    Raises:
        OutputError: If another run is writing there, or what is there may not be replaced, or is
            not what is to be resumed.
    """
    owner = this_process(uuid.uuid4().hex, plan["program"])
    with contextlib.ExitStack() as stack:
        with output_errors(flag):
            hold = stack.enter_context(run_lock(staging_directory, owner))
            stack.callback(_remove_if_done, staging_directory)
            output = choose_output()
            put_back(output, os.path.join(staging_directory, staging.REPLACED))
            _sweep(staging_directory)
            found = look(output, staging_directory, plan, flag=flag)
        decision = decide(found, resume=resume, overwrite=overwrite)
        if isinstance(decision, Refusal):
            raise OutputError(_refusal(decision, staging_directory, flag))
        with output_errors(flag):
            claim = _begin(decision, owner, plan, output, staging_directory, hold)
        try:
            yield claim
        except BaseException:
            # What ended before its first shard was done leaves nothing that is worth resuming.
            with contextlib.suppress(OSError):  # Of a store that is down, that is said already.
                if isinstance(decision, Start) and not staging.count_commits(staging_directory):
                    staging.clear_staging(staging_directory)
            raise


def check_claimable(
    output: str | None, staging_directory: str, *, flag: str, resume: bool, overwrite: bool
) -> None:
    """Refuses at once what claim_output would refuse whatever the plan is; changes nothing.

    Args:
        output: Run directory; None if it will be a new one.
        staging_directory: Directory that the run would work in.
        flag: Flag and value by which the user named the output.
        resume: Whether to go on where a dead run stopped; that depends on the plan.
        overwrite: Whether to replace what is there.

    Raises:
        OutputError: If what is there may not be replaced.
    """
    with output_errors(flag):
        if living_owner(staging_directory):  # Who it is says the lock.
            return
        parking = os.path.join(staging_directory, staging.REPLACED)
        if output is not None and where_it_lies(output, parking) == parking:
            return  # Claiming puts it back first.
        found = look(output, staging_directory, None, flag=flag)
    decision = decide(found, resume=resume, overwrite=overwrite)
    if isinstance(decision, Foreign) or (isinstance(decision, Refusal) and not resume):
        raise OutputError(_refusal(decision, staging_directory, flag))


def unclaimed(output: str) -> Claim:
    """Returns what stands for a claim where nothing will be written."""
    return Claim(output, "", "", is_resumed=False, hold=Hold())


def _begin(
    decision: Start | GoOn | AlreadyPublished,
    owner: Owner,
    plan: Mapping[str, Any],
    output: str,
    staging_directory: str,
    hold: Hold,
) -> Claim:
    """Makes the staging directory what the run needs, and writes the plan."""
    match decision:
        case AlreadyPublished():
            return Claim(output, "", owner.since, is_resumed=False, hold=hold, is_published=True)
        case GoOn():
            run_id = decision.unfinished.run_id
        case Start():
            run_id = owner.run_id
            staging.clear_staging(staging_directory)
    own = {"run_id": run_id, "started_at": owner.since, "output": output}
    allowed = {"overwrite": decision.may_replace}
    staging.write_plan(staging_directory, {**plan, **own, **allowed})
    is_resumed = isinstance(decision, GoOn)
    return Claim(output, run_id, owner.since, is_resumed=is_resumed, hold=hold)


def _sweep(staging_directory: str) -> None:
    """Clears what a run left that died just after it was published."""
    plan = staging.read_plan(staging_directory)
    if plan is not None and is_left_over(plan):
        staging.clear_staging(staging_directory)


def _remove_if_done(staging_directory: str) -> None:
    """Removes the staging directory if no plan, and so no unfinished run, is in it."""
    plan = os.path.join(staging_directory, staging.PLAN_FILE)
    if is_local(staging_directory) and not os.path.exists(plan):
        remove_staging(staging_directory)


def _refusal(refusal: Refusal, staging_directory: str, flag: str) -> str:
    """Says what is there and what the user can do about it."""
    match refusal:
        case Owned(owner):
            raise RuntimeError(f"the lock was taken, though {owner} lives there")
        case Foreign(obstacle):
            return obstacle
        case Waiting(dead):
            done = staging.count_commits(staging_directory)
            shards = "shard" if done == 1 else "shards"
            return (
                f"{flag}: an unfinished run of {dead.started_at} waits in {staging_directory} "
                f"({done} {shards} done), and its process is dead; {_WAYS_ON}"
            )
        case AnotherRun(dead):
            return (
                f"--resume: the unfinished run of {dead.started_at} was another one: "
                f"{dead.differences}; use what it used, or add --overwrite to start again"
            )
        case Held(names, unlike):
            held = f"{flag} holds {run_directory.describe(names)}"
            return (
                f"{f'--resume: {held}, which is another one: {unlike}' if unlike else held}; "
                "choose another directory, or add --overwrite to replace it once the new run is "
                "complete"
            )
