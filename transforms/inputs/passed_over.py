"""What listings leave out: how much for each reason, and an example of it.

Of notes.txt, a/list.txt and .cache, which are left out:

    PassedOver(".txt", 2, "/photos/a/list.txt"), PassedOver("hidden", 1, "/photos/.cache")

A tree may hold more of it than of images: only this travels.
"""

import collections
from collections.abc import Iterable

from transforms.inputs.entries import Skipped
from transforms.records import PassedOver


def note(passed: dict[str, PassedOver], found: Skipped) -> None:
    """Counts one more in what was passed over, by reason."""
    _, total, example = passed.get(found.reason, PassedOver(found.reason, 0, found.uri))
    passed[found.reason] = PassedOver(found.reason, total + 1, min(example, found.uri))


def add_up(parts: Iterable[PassedOver]) -> list[PassedOver]:
    """Puts together what is left out for the same reason, the most frequent first."""
    totals: collections.Counter[str] = collections.Counter()
    examples: dict[str, str] = {}
    for reason, total, example in parts:
        totals[reason] += total
        examples[reason] = min(examples.get(reason, example), example)
    return [PassedOver(reason, total, examples[reason]) for reason, total in totals.most_common()]
