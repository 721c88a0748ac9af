"""A flag: a field of a frozen configuration, and its form on the command line, in one."""

import argparse
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from transforms.errors import FlagError
from transforms.files.file_uris import without_file_scheme
from transforms.images.policy import to_image_size
from transforms.models.engine_settings import AUTO

REQUIRED = dataclasses.MISSING
"""The default of a flag that has none: it must be given."""

LOCATIONS = ("URI", "DIR", "FILE", "HANDLE", "ROOT", "RUN", "RUN_A", "RUN_B")
"""Words that stand for a path or URI in --help: such a value is read by location."""

GLOB = "GLOB"
"""Word in --help for a pattern of names. One may begin with @, as no file of flags is meant."""

OPTIONS = "options"
"""The group of argparse's own that --help is in; a program of few flags has no other."""


def flag(
    help_text: str,
    group: str,
    default: object = None,
    *,
    read: Callable[[str], Any] | None = None,
    choices: Sequence[str] | None = None,
    metavar: str | None = None,
    repeatable: bool = False,
    positional: bool = False,
) -> Any:  # noqa: ANN401 - stands for a field of any type
    """Describes a flag.

    Args:
        help_text: Text that --help shows for it; the default is added.
        group: Heading that it is under.
        default: Value if the flag is not given; a bool makes it a switch.
        read: Maker of the value from the text; bool gives it a --no- form, too. None means
            location where the metavar is one of LOCATIONS, else the text as it is.
        choices: Texts that it may be.
        metavar: Word that stands for its value in --help.
        repeatable: Whether several make a tuple.
        positional: Whether its value stands alone, without the flag's name.
    """
    if read is None:
        read = location if metavar in LOCATIONS else str
    metadata = {
        "help": help_text,
        "group": group,
        "read": read,
        "choices": choices,
        "metavar": metavar,
        "repeatable": repeatable,
        "positional": positional,
    }
    return dataclasses.field(default=default, metadata=metadata)


def argument(help_text: str, metavar: str, *, repeatable: bool = False) -> Any:  # noqa: ANN401
    """Describes a value that stands alone on the command line, and must be there."""
    return flag(
        help_text, OPTIONS, REQUIRED, metavar=metavar, repeatable=repeatable, positional=True
    )


def location(text: str) -> str:
    """Reads a path or URI: ~/a goes home, as by a shell; a file:/// URI becomes its path.

    A shell leaves the ~ in --output=~/a to the program.
    """
    return without_file_scheme(os.path.expanduser(text))


def image_size(text: str) -> tuple[int, int]:
    """Reads "224" or "224x320" (height x width) as (height, width) in pixels."""
    try:
        return to_image_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def batch_size(text: str) -> int | str:
    """Reads a number of images, or "auto"."""
    if text == AUTO:
        return AUTO
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number or auto") from None


def check_directory(name: str, directory: str) -> None:
    """Checks a directory's name.

    Raises:
        FlagError: If it is empty, or a glob in an object store, where names cannot be quoted.
    """
    if not directory:
        raise FlagError(f"--{name} is required")
    if "://" in directory and set("*?[").intersection(directory):
        raise FlagError(f"--{name} {directory}: a directory's name may hold no *, ? or [ there")
