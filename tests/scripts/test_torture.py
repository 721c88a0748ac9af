"""Runs that are killed and resumed; scripts/torture_lifecycle does it more often, and elsewhere."""

import pathlib
from collections.abc import Callable, Sequence

import pytest

from pipelines import embed
from scripts.torture.scenarios import EMBED, OVERWRITE, Moment, Trigger
from scripts.torture.site import Phase
from scripts.torture.workshop import Outcome, Workshop

IMAGES = 200


def run_here(argv: Sequence[str], log: pathlib.Path) -> int:
    """Runs python -m pipelines.embed without a start-up of 5 s."""
    return embed.main(argv[argv.index("--input") :])


@pytest.fixture(scope="module")
def workshop(
    tmp_path_factory: pytest.TempPathFactory, saved_model: Callable[[str], str]
) -> Workshop:
    models = {"embed": saved_model("mean_color"), "classify": saved_model("logits")}
    return Workshop(tmp_path_factory.mktemp("torture"), IMAGES, models, run_here)


def assert_nothing_shows(outcome: Outcome) -> None:
    assert outcome.faults == ()
    assert outcome.is_identical
    assert (outcome.recomputed, outcome.watch.faults) == (0, 0)
    assert outcome.watch.whole > 0


def test_a_run_killed_at_work_keeps_what_it_committed(workshop: Workshop) -> None:
    outcome = workshop.kill_and_resume(EMBED, Moment(Trigger.COMMIT, 0))
    assert_nothing_shows(outcome)
    assert outcome.phase is not Phase.BEFORE_WORK
    assert 0 < outcome.committed <= outcome.shards
    assert len(outcome.watch.seen) == 2  # First nothing, then the run.


def test_a_run_killed_at_its_end_is_seen_whole_or_not_at_all(workshop: Workshop) -> None:
    outcome = workshop.kill_and_resume(EMBED, Moment(Trigger.ASSEMBLY, 0.005))
    assert_nothing_shows(outcome)
    assert outcome.phase in (Phase.ASSEMBLING, Phase.PUBLISHED, Phase.FINISHED)
    assert outcome.committed == outcome.shards
    assert len(outcome.watch.seen) == 2


def test_an_earlier_run_is_there_until_a_killed_one_takes_its_place(workshop: Workshop) -> None:
    outcome = workshop.kill_and_resume(OVERWRITE, Moment(Trigger.COMMIT, 0.01))
    assert_nothing_shows(outcome)
    assert outcome.phase is not Phase.BEFORE_WORK
    earlier, now = outcome.watch.seen
    assert earlier is not None
    assert now is not None
