"""What the user may say to the launcher alone; no part of what a run computes."""

import argparse
import dataclasses

from pipelines.cli.flag import OPTIONS, flag
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


LAUNCHER_FLAGS = frozenset(field.name for field in dataclasses.fields(LauncherFlags))
