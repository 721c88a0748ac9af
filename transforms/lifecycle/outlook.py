"""What would become of a run that wants an output, said before it: the first line of --plan."""

from collections.abc import Mapping
from typing import Any

from transforms.lifecycle import staging
from transforms.lifecycle.decision import (
    AlreadyPublished,
    AnotherRun,
    Foreign,
    Found,
    GoOn,
    Held,
    Owned,
    Start,
    Unfinished,
    Waiting,
    decide,
)
from transforms.lifecycle.lock import living_owner
from transforms.lifecycle.look import look, output_errors
from transforms.runs import directory as run_directory

_REFUSED = "a run would be refused"


def look_at_output(
    output: str | None,
    staging_directory: str,
    plan: Mapping[str, Any],
    *,
    flag: str,
    resume: bool,
    overwrite: bool,
) -> str:
    """Says whether claim_output would let a run write, and what is there; changes nothing.

    Args:
        output: Run directory; None if it would be a new one under a refresh root.
        staging_directory: Directory that the run would work in.
        plan: Plan of the run; see claim_output.
        flag: Flag and value by which the user named the output.
        resume: Whether the run would go on where a dead one stopped.
        overwrite: Whether it would replace what is there.
    """
    with output_errors(flag):
        if owner := living_owner(staging_directory):
            found = Found(owner=owner)
        else:
            found = look(output, staging_directory, plan, flag=flag)
        done = staging.count_commits(staging_directory) if found.unfinished else 0

    def waits(dead: Unfinished) -> str:
        return f"{flag}: an unfinished run of {dead.started_at} waits ({done} shards)"

    held = f"{flag} holds {run_directory.describe(found.names)}"
    match decide(found, resume=resume, overwrite=overwrite):
        case Owned(owner):
            return f"{flag}: {owner} is writing there; {_REFUSED} until that is done"
        case Foreign(obstacle):
            return f"{obstacle}; {_REFUSED}"
        case Waiting(dead):
            return f"{waits(dead)}; {_REFUSED} without --resume or --overwrite"
        case AnotherRun(dead):
            other = f"which was another one: {dead.differences}"
            return f"{waits(dead)}, {other}; {_REFUSED} without --overwrite"
        case Held(_, unlike):
            other = f", which is another one: {unlike}" if unlike else ""
            return f"{held}{other}; {_REFUSED} without --overwrite"
        case AlreadyPublished():
            return f"{held}, which this command has published; there is nothing to resume"
        case GoOn(dead):
            would = "would be gone on with: what it has done is not subtracted here"
            return f"{waits(dead)}, and {would}"
        case Start():
            if found.unfinished is not None:
                return f"{waits(found.unfinished)}, and would be dropped"
            if found.names:
                return f"{held}, which the new one would replace once it is complete"
            if output is None:
                return f"{flag} would get a new run, and LATEST name it"
            return f"{flag} is free"
