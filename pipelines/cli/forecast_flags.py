"""What the user may say of a plan: what a run would do, found out before it."""

import dataclasses

from pipelines.cli.flag import flag
from transforms.errors import FlagError

PLAN_GROUP = "plan"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanFlags:
    """The flags of a forecast; no run has them."""

    plan: bool = flag(
        "try a few hundred images here, foretell the run, write nothing",
        PLAN_GROUP,
        False,
    )
    plan_workers: int | None = flag(
        "with --plan: the time that so many workers would take",
        PLAN_GROUP,
        read=int,
        metavar="N",
    )
    price_per_worker_hour: float | None = flag(
        "with --plan: what it would cost",
        PLAN_GROUP,
        read=float,
        metavar="P",
    )

    def check_plan(self) -> None:
        """Checks that the flags go together.

        Raises:
            FlagError: If not.
        """
        for name in ("plan_workers", "price_per_worker_hour"):
            if getattr(self, name) is not None and not self.plan:
                raise FlagError(f"--{name} does nothing without --plan")
        if self.plan_workers is not None and self.plan_workers < 1:
            raise FlagError(f"--plan_workers must be at least 1, got {self.plan_workers}")
        price = self.price_per_worker_hour
        if price is not None and not 0 <= price < float("inf"):
            raise FlagError(f"--price_per_worker_hour must be a price from 0, got {price:g}")


PLAN_FLAGS = frozenset(field.name for field in dataclasses.fields(PlanFlags))
