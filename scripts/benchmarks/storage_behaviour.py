"""How a storage server answers: late, unevenly, or wrongly."""

import dataclasses
from collections.abc import Mapping, Sequence

BUSY = ("408", "429", "500", "503")
FAULTS = ("reset", "short", "long", "checksum", "stall", *BUSY)
"""What can go wrong with a read: a connection reset in the middle of the body, fewer or more bytes
than announced, other bytes than the checksum says, half a body and then nothing, and refusals.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How reads of objects are answered.

    Attributes:
        delay_seconds: Time before each answer.
        tails: Share of the reads, and seconds that they take longer.
        faults: Share of the reads by what goes wrong, one of FAULTS.
        bytes_per_second: Rate at which a body is sent, or None for all at once.
        seconds_a_byte: Time between two bytes of a body, which then come one at a time.
        broken: Bytes of objects, from the first up to the second, by name: a read that starts there
            is refused with 503.
        most_at_once: Reads that are answered at a time; further ones are refused with 429.
        seed: Seed of what is drawn.
    """

    delay_seconds: float = 0.0
    tails: Sequence[tuple[float, float]] = ()
    faults: Mapping[str, float] = dataclasses.field(default_factory=dict)
    bytes_per_second: float | None = None
    seconds_a_byte: float | None = None
    broken: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    most_at_once: int | None = None
    seed: int = 0
