"""What the user may say of directories and lists of images: flags of RunConfig."""

import argparse
from collections.abc import Sequence
from typing import Any

from pipelines.cli.flag import GLOB, flag
from transforms.errors import FlagError
from transforms.inputs.exclusion import check_exclusion
from transforms.inputs.id_sources import IDS_OF_ROWS


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


def image_id_from() -> Any:  # noqa: ANN401 - as flag
    """Describes --image_id_from."""
    return flag(
        "uri, relative_path, filename (uri#row: rows of one image in a list), or a feature, "
        "column or field (default: uri; in lists and Parquet image_id, in TFRecord image/filename, "
        "in tar the key, in zip the path)",
        "input",
        metavar="FROM",
    )


def check_lists(
    sources: Sequence[str],
    manifests: Sequence[str],
    uri_column: str | None,
    image_id_from: str | None,
) -> None:
    """Checks that what is said of manifests is said where there are some, and nothing else.

    Raises:
        FlagError: If not.
    """
    if uri_column is not None and not manifests:
        raise FlagError("--uri_column is of a --manifest, and none is given")
    if image_id_from in IDS_OF_ROWS and sources:
        raise FlagError(
            f"--image_id_from {image_id_from} tells the rows of a --manifest apart; images of "
            "--input are in none: list them in a manifest, too, or run them apart"
        )


def _exclusion(text: str) -> str:
    try:
        check_exclusion(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
