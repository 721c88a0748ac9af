"""What the user may say of how directories are listed: flags of RunConfig."""

import argparse
from typing import Any

from pipelines.cli.flag import GLOB, flag
from transforms.inputs.exclusion import check_exclusion


def exclude() -> Any:  # noqa: ANN401 - as flag
    """Describes --exclude."""
    return flag(
        "names, or paths below --input, to pass over, as **/*_small.jpg",
        "input",
        (),
        read=_exclusion,
        metavar=GLOB,
        repeatable=True,
    )


def follow_links() -> Any:  # noqa: ANN401 - as flag
    """Describes --follow_links."""
    return flag("take what links to directories lead to, too", "input", False)


def _exclusion(text: str) -> str:
    try:
        check_exclusion(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
