"""Where the file of --metrics_file is, and whether it may be there; imports no Beam."""

import os

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.errors import FlagError
from transforms.files.uris import is_local
from transforms.lifecycle.staging import may_write
from transforms.runs.directory import absolute_output


def output_of(config: RunConfig) -> str:
    """Returns the directory of the run, or of the runs of a refresh."""
    if isinstance(config, RefreshConfig):
        return absolute_output(config.output_root)
    assert isinstance(config, SingleRunConfig), config
    return absolute_output(config.output)


def place_metrics(config: RunConfig) -> str | None:
    """Returns the path or URI of the file; None if there shall be none.

    Raises:
        FlagError: If it cannot be there, or would be among the files of a run.
    """
    if config.metrics_file is None or (isinstance(config, PlanFlags) and config.plan):
        return None
    path, output = absolute_output(config.metrics_file), output_of(config)
    if path.startswith(f"{output}/"):
        raise FlagError(f"--metrics_file {config.metrics_file} is in {output}, where runs are")
    if is_local(path) and (os.path.isdir(path) or not may_write(os.path.dirname(path))):
        raise FlagError(
            f"--metrics_file {config.metrics_file}: wanted a file in a directory that can be "
            "written"
        )
    return path
