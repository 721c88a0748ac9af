"""Two runs judged on the images that both have, and whether one is better or it may be chance."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError
from transforms.evaluation.evaluation import Evaluation, Measure, evaluate
from transforms.evaluation.paired_test import PairedTest, sign_test
from transforms.evaluation.truth import Truth
from transforms.explore.run_join import join_runs
from transforms.runs.record import PublishedRun


class ComparedMeasure(NamedTuple):
    """A number of both runs.

    Attributes:
        first: The first run's.
        second: The second run's.
        test: Test of the difference, image for image; None of a number that is no mean of images.
    """

    first: Measure
    second: Measure
    test: PairedTest | None


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs on the same images.

    Attributes:
        first: The first run on them.
        second: The second run on them, in the same order.
        left_out: Labelled images of the first run that the second lacks.
        changed: Labelled images whose content is another in the second run; they are left out.
    """

    first: Evaluation
    second: Evaluation
    left_out: int
    changed: int

    @property
    def measures(self) -> list[ComparedMeasure]:
        """The numbers that both have, the accuracy first."""
        top = min(self.first.top, self.second.top)
        seconds = {it.name: it for it in self.second.measures(top)}
        return [
            ComparedMeasure(it, seconds[it.name], _test(it, seconds[it.name]))
            for it in self.first.measures(top)
            if it.name in seconds
        ]

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Places in the truth of the images that the accuracy is of, int64 [images]."""
        if self.first.vectors is not None:
            return self.first.vectors.queries
        return np.arange(len(self.first.truth))


def compare(
    first: PublishedRun,
    second: PublishedRun,
    truth: Truth,
    on_rows: Callable[[int], object],
) -> Comparison:
    """Judges two runs of one program on the images that both have, by the first one's labels.

    Args:
        first: A run.
        second: Another run.
        truth: What the images of the first are.
        on_rows: Callback, told how many rows more were read.

    Raises:
        InputError: If they are of different programs, share no labelled image, or a file is
            damaged.
    """
    programs = [run.record["recipe"]["program"] for run in (first, second)]
    if programs[0] != programs[1]:
        raise InputError(
            f"{first.directory} is a run of {programs[0]}, {second.directory} one of {programs[1]};"
            " wanted two of one program"
        )
    join = join_runs(first, second)
    after = np.full(sum(shard.rows for shard in first.results), -1)
    after[join.before] = join.after
    is_same = np.zeros(len(after), bool)
    is_same[join.before] = join.is_unchanged
    is_there, is_kept = after[truth.rows] >= 0, is_same[truth.rows]
    if not is_kept.any():
        raise InputError(
            f"no labelled image of {first.directory} is in {second.directory} with the same "
            "content; wanted runs of the same images"
        )
    kept = truth.select(np.flatnonzero(is_kept))
    return Comparison(
        first=evaluate(first, kept, on_rows),
        second=evaluate(second, dataclasses.replace(kept, rows=after[kept.rows]), on_rows),
        left_out=int((~is_there).sum()),
        changed=int((is_there & ~is_kept).sum()),
    )


def _test(first: Measure, second: Measure) -> PairedTest | None:
    if first.outcomes is None or second.outcomes is None:
        return None
    return sign_test(first.outcomes, second.outcomes)
