"""What the user may say of directories and lists of images: flags of RunConfig."""

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


def manifest() -> Any:  # noqa: ANN401 - as flag
    """Describes --manifest."""
    return flag(
        "image URIs: .txt, or column uri or url of .csv, .json, .parquet",
        "input",
        (),
        metavar="URI",
        repeatable=True,
    )


def uri_column() -> Any:  # noqa: ANN401 - as flag
    """Describes --uri_column."""
    return flag("the manifests' column of URIs, if it is another", "input", metavar="NAME")


def _exclusion(text: str) -> str:
    try:
        check_exclusion(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
