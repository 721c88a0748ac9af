"""What a run may do with what it finds where it wants to write: decided once, for a run and a plan.

A run carries the decision out (claim), --plan says what it would be (outlook).
"""

import dataclasses

from transforms.lifecycle.owner import Owner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A run that died before it was published.

    Attributes:
        run_id: Id of the run.
        started_at: Time at which it began.
        may_replace: Whether it was allowed to replace what is in the output.
        differences: Parts of its plan that the run that finds it does otherwise, as a sentence;
            empty if there are none.
    """

    run_id: str
    started_at: str
    may_replace: bool
    differences: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What lies where a run wants to write.

    Attributes:
        owner: Living run that writes there.
        obstacle: Sentence on what there was not written by a run, and is never replaced; empty if
            there is nothing.
        unfinished: Dead run that waits there.
        names: Names of the files of a run in the output.
        is_published: Whether these are a complete run.
        unlike: What of that complete run is not what the command asks for, as a sentence; empty if
            nothing, None if that is not known.
    """

    owner: Owner | None = None
    obstacle: str = ""
    unfinished: Unfinished | None = None
    names: tuple[str, ...] = ()
    is_published: bool = False
    unlike: str | None = None


@dataclasses.dataclass(frozen=True)
class Start:
    """Begin from nothing; what a dead run left there is dropped.

    Attributes:
        may_replace: Whether a run in the output goes once the new one is complete.
    """

    may_replace: bool


@dataclasses.dataclass(frozen=True)
class GoOn:
    """Keep what a dead run finished, and do the rest.

    Attributes:
        unfinished: Dead run.
        may_replace: Whether a run in the output goes once this one is complete.
    """

    unfinished: Unfinished
    may_replace: bool


@dataclasses.dataclass(frozen=True)
class AlreadyPublished:
    """Do nothing: the run that was to be resumed is complete."""


@dataclasses.dataclass(frozen=True)
class Owned:
    """Write nothing: another run lives there.

    Attributes:
        owner: Living run.
    """

    owner: Owner


@dataclasses.dataclass(frozen=True)
class Foreign:
    """Write nothing: something there was not written by a run.

    Attributes:
        obstacle: Sentence on it.
    """

    obstacle: str


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Write nothing: a dead run waits there, and nobody said what shall become of it.

    Attributes:
        unfinished: Dead run.
    """

    unfinished: Unfinished


@dataclasses.dataclass(frozen=True)
class AnotherRun:
    """Write nothing: the dead run that is to be resumed was doing something else.

    Attributes:
        unfinished: Dead run, with what differs.
    """

    unfinished: Unfinished


@dataclasses.dataclass(frozen=True)
class Held:
    """Write nothing: a run is there, and nobody said that it may be replaced.

    Attributes:
        names: Names of its files.
        unlike: What of it is not what was to be resumed, as a sentence; empty if that is not known.
    """

    names: tuple[str, ...]
    unlike: str = ""


Refusal = Owned | Foreign | Waiting | AnotherRun | Held

Decision = Start | GoOn | AlreadyPublished | Refusal


def decide(found: Found, *, resume: bool, overwrite: bool) -> Decision:
    """Decides what a run does.

    Where a dead run waits, and nothing else is wrong:

        flags                 the same run    another run
        none                  refuse          refuse
        --resume              go on           refuse
        --overwrite           start           start
        --resume --overwrite  go on           start

    Args:
        found: State of what lies there.
        resume: Whether the user said --resume.
        overwrite: Whether the user said --overwrite.
    """
    if found.owner is not None:
        return Owned(found.owner)
    if found.obstacle:
        return Foreign(found.obstacle)
    unfinished = found.unfinished
    goes_on = unfinished is not None and resume and not unfinished.differences
    if unfinished is not None and not goes_on and not overwrite:
        return AnotherRun(unfinished) if resume else Waiting(unfinished)
    # That it may replace an earlier run was said when the dead run began: it holds on --resume.
    may_replace = overwrite or (unfinished is not None and unfinished.may_replace)
    # A run that is put in place file by file and died at it has left some, without _SUCCESS.
    is_half_in_place = goes_on and not found.is_published
    if found.names and not may_replace and not is_half_in_place:
        if resume and found.is_published and found.unlike == "":
            return AlreadyPublished()
        return Held(found.names, (resume and found.unlike) or "")
    if unfinished is not None and goes_on:
        return GoOn(unfinished, may_replace)
    return Start(may_replace)
