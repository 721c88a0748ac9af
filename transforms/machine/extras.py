"""Packages that only some programs need: imported when they are needed, the cure said if absent."""

import importlib
from typing import Any

from transforms.errors import FlagError

EXPLORE = "explore"
"""The extra of setup.py that the programs which look at runs need."""


def import_extra(module: str) -> Any:  # noqa: ANN401 - any module
    """Imports a module of the extra [explore].

    Raises:
        FlagError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise FlagError(
            f"{module} is not installed; looking at runs needs it: pip install '.[{EXPLORE}]'"
        ) from error
