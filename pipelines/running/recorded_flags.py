"""The flags as _run.json has them: what they name is found from any directory."""

import dataclasses
from typing import Any

from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.launcher_flags import LAUNCHER_FLAGS
from pipelines.cli.run_flags import RunConfig
from transforms.files.uris import absolute

INPUTS = ("input", "manifest")

_PLACES = (*INPUTS, "model", "labels", "calibration_images")
"""Flags that name files, and that --retry_failed takes over, wherever it is said."""


def recorded_flags(config: RunConfig) -> dict[str, Any]:
    """Returns the flags of a run by name, relative paths of files as absolute ones.

    Inputs of a run that is completed stay as its record has them: it may be of a version that left
    them relative, and then to what nobody knows.
    """
    known = INPUTS if config.names_inputs_otherwise else ()
    return {
        name: _absolute(value) if name in _PLACES and name not in known else value
        for name, value in dataclasses.asdict(config).items()
        if name not in PLAN_FLAGS | LAUNCHER_FLAGS
    }


def _absolute(value: Any) -> Any:  # noqa: ANN401 - of any flag
    if isinstance(value, tuple):
        return tuple(map(absolute, value))
    return absolute(value) if isinstance(value, str) else value
