"""Where the file of --metrics_file is, and whether it may be there; imports no Beam."""

import os
from collections.abc import Sequence

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.refresh_flags import output_of
from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError
from transforms.files.new_directory import may_write
from transforms.files.uris import is_local
from transforms.runs.directory import absolute_output


def place_metrics(config: RunConfig) -> str | None:
    """Returns the path or URI of the file; None if there shall be none.

    Raises:
        FlagError: If it cannot be there, or would be among the files of a run.
    """
    if isinstance(config, PlanFlags) and config.plan:
        return None
    return place_among(config.metrics_file, [output_of(config)])


def place_among(metrics_file: str | None, outputs: Sequence[str]) -> str | None:
    """Returns the path or URI of a file that is of several runs; see place_metrics.

    Args:
        metrics_file: Name that the user gave it; None if there shall be none.
        outputs: Directories of the runs.
    """
    if metrics_file is None:
        return None
    path = absolute_output(metrics_file)
    for output in outputs:
        if path.startswith(f"{output}/"):
            raise FlagError(f"--metrics_file {metrics_file} is in {output}, where runs are")
    if is_local(path) and (os.path.isdir(path) or not may_write(os.path.dirname(path))):
        raise FlagError(
            f"--metrics_file {metrics_file}: wanted a file in a directory that can be written"
        )
    return path
