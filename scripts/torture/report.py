"""What came of the kills: a line each, and a table of all."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from scripts.torture.site import Phase
from scripts.torture.workshop import Outcome


def describe(outcome: Outcome) -> str:
    """Says in one line what came of a kill."""
    moment = f"{outcome.moment.trigger.value} + {outcome.moment.delay * 1000:.0f} ms"
    phase = outcome.phase.value
    if outcome.phase is Phase.WORKING:
        phase += f" ({outcome.committed} of {outcome.shards} shards committed)"
    verdict = "identical" if outcome.is_identical else "DIFFERS"
    watch = outcome.watch
    orphans = (
        "; orphans {}, after resume {}".format(*outcome.orphans) if any(outcome.orphans) else ""
    )
    return (
        f"{outcome.scenario.name:<11}  {moment:<23}  {phase:<39}  {verdict}; "
        f"{watch.faults} partial in {watch.looks:,} looks ({watch.whole:,} at a run, {watch.void} "
        f"void); {outcome.recomputed} recomputed{orphans}"
    )


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """Prints a table by phase, and the sum of it."""
    print("\n| killed | kills | identical | partial views | committed | recomputed | scenarios |")
    print("|---|---|---|---|---|---|---|")
    for phase in Phase:
        row = [outcome for outcome in outcomes if outcome.phase is phase]
        counts = Counter(outcome.scenario.name for outcome in row)
        scenarios = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"| {phase.value} | {_sums(row)} | {scenarios} |")
    print(f"| all | {_sums(outcomes)} | |")
    looks, whole, void, faults = (
        sum(getattr(outcome.watch, name) for outcome in outcomes)
        for name in ("looks", "whole", "void", "faults")
    )
    print(
        f"\n{sum(outcome.is_identical for outcome in outcomes)} of {len(outcomes)} identical, "
        f"{faults} partial views, "
        f"{sum(outcome.recomputed for outcome in outcomes)} committed shards recomputed\n"
        f"({looks:,} looks, {whole:,} of them at a whole run; during {void} the directory was "
        "replaced)"
    )


def _sums(outcomes: Sequence[Outcome]) -> str:
    cells: list[Any] = [
        len(outcomes),
        sum(outcome.is_identical for outcome in outcomes),
        sum(outcome.watch.faults for outcome in outcomes),
        sum(outcome.committed for outcome in outcomes),
        sum(outcome.recomputed for outcome in outcomes),
    ]
    return " | ".join(map(str, cells))
