"""What the user may say to the launcher alone; no part of what a run computes."""

import argparse
import dataclasses

from pipelines.cli.flag import OPTIONS, flag
from pipelines.cli.flag_values import as_parsed
from pipelines.cli.outcome import JsonFlags


def whole_seconds(text: str) -> int:
    """Reads a whole number of seconds, from 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number of seconds, from 0")
    return int(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportFlags(JsonFlags):
    """The flags that say what a run tells of itself."""

    log_every: int = flag(
        "seconds between lines of progress in a log; 0: none",
        OPTIONS,
        30,
        read=whole_seconds,
        metavar="S",
    )
    metrics_file: str | None = flag(
        "OpenMetrics text, written at the end, also of a run that fails", OPTIONS, metavar="FILE"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LauncherFlags(ReportFlags):
    """The flags that say where flags come from, and what a run tells of itself."""

    config: str | None = flag(
        "flags by their names, in YAML; those of the command line win", OPTIONS, metavar="FILE"
    )
    print_config: bool = flag("print all flags as such a file, and stop", OPTIONS, False)

    given: dataclasses.InitVar[frozenset[str]] = frozenset()
    """Names of the flags that were given, be it with their defaults; known of a command line."""

    def __post_init__(self, given: frozenset[str]) -> None:
        object.__setattr__(self, "given", given)  # Where dataclasses.replace finds it.
        for field in dataclasses.fields(self):
            value = as_parsed(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def is_given(self, name: str) -> bool:
        """Whether a flag was given; where only Python knows, whether it is not at its default."""
        field = self.__dataclass_fields__[name]
        return name in vars(self)["given"] or getattr(self, name) != field.default


LAUNCHER_FLAGS = frozenset(field.name for field in dataclasses.fields(LauncherFlags))
