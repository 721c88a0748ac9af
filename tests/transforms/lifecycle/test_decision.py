"""What a run may do with what it finds: every combination of finding and flags."""

import itertools

import pytest

from transforms.lifecycle.decision import (
    AlreadyPublished,
    AnotherRun,
    Decision,
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
from transforms.lifecycle.owner import this_process

SAME, OTHER = (
    Unfinished(run_id="1", started_at="then", may_replace=False, differences=differences)
    for differences in ("", "layout.rows_per_file was 10000, is 7")
)
SAME_MAY, OTHER_MAY = (
    Unfinished(run_id="1", started_at="then", may_replace=True, differences=differences)
    for differences in ("", "layout.rows_per_file was 10000, is 7")
)
"""Dead runs that were allowed to replace what is in the output."""

WAITING = {
    "nothing": None, "same": SAME, "same+": SAME_MAY, "other": OTHER, "other+": OTHER_MAY,
}  # fmt: skip

OUTPUTS = {
    "empty": Found(),
    "part": Found(names=("_run.json",)),
    "run": Found(names=("_SUCCESS", "_run.json"), is_published=True),
    "this run": Found(names=("_SUCCESS", "_run.json"), is_published=True, unlike=""),
}

FLAGS = [(False, False), (True, False), (False, True), (True, True)]

TABLE = """
waiting  output     none     --resume   --overwrite  both

nothing  empty      start    start      start+       start+
nothing  part       held     held       start+       start+
nothing  run        held     held       start+       start+
nothing  this run   held     published  start+       start+

same     empty      waiting  go on      start+       go on+
same     part       waiting  go on      start+       go on+
same     run        waiting  held       start+       go on+
same     this run   waiting  published  start+       go on+

same+    empty      waiting  go on+     start+       go on+
same+    part       waiting  go on+     start+       go on+
same+    run        waiting  go on+     start+       go on+
same+    this run   waiting  go on+     start+       go on+

other    empty      waiting  another    start+       start+
other    part       waiting  another    start+       start+
other    run        waiting  another    start+       start+
other    this run   waiting  another    start+       start+

other+   empty      waiting  another    start+       start+
other+   part       waiting  another    start+       start+
other+   run        waiting  another    start+       start+
other+   this run   waiting  another    start+       start+
"""
"""+: may replace what is in the output."""


def rows() -> list[list[str]]:
    _, *lines = [line for line in TABLE.splitlines() if line]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def with_waiting(waiting: str, output: str) -> Found:
    held = OUTPUTS[output]
    return Found(
        unfinished=WAITING[waiting],
        names=held.names,
        is_published=held.is_published,
        unlike=held.unlike,
    )


def in_a_word(decision: Decision) -> str:
    match decision:
        case Start(may_replace):
            return "start" + "+" * may_replace
        case GoOn(_, may_replace):
            return "go on" + "+" * may_replace
        case AlreadyPublished():
            return "published"
        case Waiting():
            return "waiting"
        case AnotherRun():
            return "another"
        case Held():
            return "held"
        case Owned():
            return "owned"
        case Foreign():
            return "foreign"


def test_the_table_is_complete() -> None:
    assert [tuple(row[:2]) for row in rows()] == list(itertools.product(WAITING, OUTPUTS))


@pytest.mark.parametrize(("waiting", "output", "words"), [(w, o, rest) for w, o, *rest in rows()])
def test_a_finding_and_flags_make_a_decision(waiting: str, output: str, words: list[str]) -> None:
    found = with_waiting(waiting, output)
    decisions = [decide(found, resume=resume, overwrite=overwrite) for resume, overwrite in FLAGS]
    assert list(map(in_a_word, decisions)) == words
    for decision in decisions:
        if isinstance(decision, GoOn | Waiting | AnotherRun):
            assert decision.unfinished is found.unfinished
        if isinstance(decision, Held):
            assert decision.names == found.names


@pytest.mark.parametrize(("resume", "overwrite"), FLAGS)
@pytest.mark.parametrize("waiting", WAITING)
def test_what_lives_there_or_is_of_others_is_never_touched(
    waiting: str, *, resume: bool, overwrite: bool
) -> None:
    owner = this_process("2", "embed")
    found = Found(owner=owner, obstacle="--output is a file", unfinished=WAITING[waiting])
    assert decide(found, resume=resume, overwrite=overwrite) == Owned(owner)
    found = Found(obstacle="--output is a file", unfinished=WAITING[waiting])
    decision = decide(found, resume=resume, overwrite=overwrite)
    assert decision == Foreign("--output is a file")
