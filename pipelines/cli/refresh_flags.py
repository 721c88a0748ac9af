"""What the user may say to pipelines.refresh."""

import dataclasses

from pipelines.cli.classify_flags import ClassifyFlags
from pipelines.cli.embed_flags import EmbedFlags
from pipelines.cli.flag import check_directory, flag
from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.errors import FlagError

PROGRAMS = ("embed", "classify")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefreshConfig(PlanFlags, EmbedFlags, ClassifyFlags):
    """The flags of pipelines.refresh."""

    program: str = flag("what to refresh", "run", "embed", choices=PROGRAMS)
    output_root: str = flag(
        "directory of the runs: one a refresh, named by its date, and LATEST",
        "output",
        "",
        metavar="ROOT",
    )
    keep: int | None = flag(
        "runs to keep, the newest; older ones are deleted (default: all)",
        "output",
        read=int,
        metavar="N",
    )
    deduplicate: bool = flag(
        "give images of the same bytes that go into one output file to the model once", "run", False
    )
    overwrite: bool = flag("drop a refresh that died, rather than --resume it", "run", False)
    max_deleted_fraction: float = flag(
        "publish only if no larger share of the images is gone from the inputs",
        "run",
        0.5,
        read=float,
        metavar="F",
    )

    def __post_init__(self, given: frozenset[str]) -> None:
        super().__post_init__(given)
        self.check_plan()
        check_directory("output_root", self.output_root)
        if self.keep is not None and self.keep < 1:
            raise FlagError(f"--keep must be at least 1, got {self.keep}")
        if not 0 <= self.max_deleted_fraction <= 1:
            raise FlagError(
                f"--max_deleted_fraction must be from 0 to 1, got {self.max_deleted_fraction:g}"
            )
        for field in dataclasses.fields(self):
            if not self.uses(field.name) and getattr(self, field.name) != field.default:
                raise FlagError(f"--{field.name} does nothing with --program {self.program}")

    def uses(self, flag: str) -> bool:
        """Whether a flag has any effect: of the other program none has."""
        other = ClassifyFlags if self.program == "embed" else EmbedFlags
        shared, of_other = (
            {field.name for field in dataclasses.fields(flags)} for flags in (RunConfig, other)
        )
        return super().uses(flag) and (flag in shared or flag not in of_other)


def output_of(config: RunConfig) -> str:
    """Returns the directory of a run, or of the runs of a refresh, absolute."""
    from transforms.runs.directory import absolute_output  # Imports pyarrow.

    if isinstance(config, RefreshConfig):
        return absolute_output(config.output_root)
    assert isinstance(config, SingleRunConfig), config
    return absolute_output(config.output)
