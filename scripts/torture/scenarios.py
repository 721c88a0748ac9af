"""What is killed, and when: kinds of runs in turn, and the moments of the kills."""

import dataclasses
import enum
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

LATE_DELAY_SECONDS = 0.015
AT_WORK_SHARE = 0.1
"""Of a process's time: how long after its first commit it surely works, about."""


class Trigger(enum.Enum):
    """What is waited for before a kill."""

    START = "start"
    COMMIT = "first commit"
    ASSEMBLY = "run/ there"
    PUBLICATION = "run published"
    SWEPT = "staging gone"


LATE = (
    Trigger.ASSEMBLY, Trigger.PUBLICATION, Trigger.ASSEMBLY, Trigger.PUBLICATION, Trigger.SWEPT,
)  # fmt: skip
"""What kills near the end wait for, in turn."""


class Moment(NamedTuple):
    """When to kill: so many seconds after the trigger."""

    trigger: Trigger
    delay: float


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A kind of run.

    Attributes:
        name: What it is called in the report.
        program: "embed", "classify" or "refresh".
        flags: Its flags, but for inputs, model and output.
        beam_flags: Beam's flags.
        overwrites: Whether the output holds an earlier run of other images.
    """

    name: str
    program: str = "embed"
    flags: tuple[str, ...] = ()
    beam_flags: tuple[str, ...] = ()
    overwrites: bool = False

    @property
    def is_refresh(self) -> bool:
        """Whether the output is a refresh root, which holds an earlier run."""
        return self.program == "refresh"


EMBED = Scenario("embed")
OVERWRITE = Scenario("overwrite", overwrites=True)
PROCESSES = Scenario(
    "2 processes",
    beam_flags=("--direct_running_mode", "multi_processing", "--direct_num_workers", "2"),
)
CLASSIFY = Scenario("classify", program="classify")
TFRECORD = Scenario("tfrecord", flags=("--output_format", "tfrecord"))
REFRESH = Scenario("refresh", program="refresh", flags=("--keep", "1"))

CYCLE = (
    OVERWRITE, EMBED, REFRESH, OVERWRITE, CLASSIFY, PROCESSES, OVERWRITE, EMBED, TFRECORD,
)  # fmt: skip
"""Scenarios in turn; one in three overwrites."""


def choose_moments(
    kills: int, chance: random.Random, seconds_of: Callable[[Scenario], float]
) -> Iterator[tuple[Scenario, Moment]]:
    """Chooses what to kill and when: each scenario by turns near its end and before."""
    turns: Counter[Scenario] = Counter()
    late = itertools.cycle(LATE)
    for scenario in itertools.islice(itertools.cycle(CYCLE), kills):
        seconds = seconds_of(scenario)
        match turns[scenario] % 4:
            case 1:
                moment = Moment(Trigger.START, chance.uniform(0, seconds))
            case 3:
                moment = Moment(Trigger.COMMIT, chance.uniform(0, AT_WORK_SHARE * seconds))
            case _:
                moment = Moment(next(late), chance.uniform(0, LATE_DELAY_SECONDS))
        yield scenario, moment
        turns[scenario] += 1
