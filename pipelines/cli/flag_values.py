"""The values of flags that no parser has read: those of a configuration made in Python."""

import argparse
import dataclasses
import os
from typing import Any

from pipelines.cli.flag import image_size, location
from transforms.errors import FlagError


def as_parsed(field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401 - of any flag
    """Returns a flag's value as the parser makes it, which is nothing new for what it has made.

        image_size  224, "224x320", [224, 320]    (224, 224), (224, 320), (224, 320)
        input       [Path("a"), "b"]              ("a", "b")
        batch_size  np.int64(8)                   8

    Args:
        field: The flag's field.
        value: Value that the configuration was given.

    Raises:
        FlagError: If no command line could say it.
    """
    if value is None and field.default is None:
        return None
    if not field.metadata["repeatable"]:
        return _as_parsed(field, value)
    if not isinstance(value, (list, tuple)):
        raise FlagError(f"--{field.name} must be a tuple of strings, got {value!r}")
    return tuple(_as_parsed(field, one) for one in value)


def _as_parsed(field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401
    read, choices = field.metadata["read"], field.metadata["choices"]
    if getattr(value, "shape", None) == ():  # A number of NumPy.
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    is_text, is_number = isinstance(value, str), isinstance(value, (int, float))
    is_number = is_number and not isinstance(value, bool)
    if choices:
        _check(field, value, is_text and value in choices, f"one of {' | '.join(choices)}")
        return value
    if read is bool or isinstance(field.default, bool):
        _check(field, value, isinstance(value, bool), "True or False")
        return value
    if read in (str, location):
        _check(field, value, is_text, "a string")
        return read(value)
    if read is float:
        _check(field, value, is_number, "a number")
        return float(value)
    if read is int:
        _check(field, value, is_number and value == value // 1, "a whole number")
        return int(value)
    if read is not image_size:  # That one takes a pair, too.
        _check(field, value, is_number or is_text, "a number or a string")
        value = str(value)
    try:
        return read(value)
    except argparse.ArgumentTypeError as error:
        raise FlagError(f"--{field.name}: {error}") from error


def _check(field: dataclasses.Field[Any], value: object, is_right: bool, wanted: str) -> None:
    if not is_right:
        raise FlagError(f"--{field.name} must be {wanted}, got {value!r}")
