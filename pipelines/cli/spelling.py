"""Flags that are nearly ours, or another program's: named before anything is missed for them."""

import dataclasses
import difflib
import itertools
from collections.abc import Sequence
from typing import Any

from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.refresh_flags import RefreshConfig
from transforms.errors import FlagError

_PROGRAMS = {"embed": EmbedConfig, "classify": ClassifyConfig, "refresh": RefreshConfig}
_OF_BEAM = ("--label", "--labels", "--num_workers", "--max_num_workers")
"""Beam's flags that are like one of ours."""

_OF_A_CLUSTER = ("--runner", "--job_endpoint")
LIKENESS = 0.8
"""How alike two flags are, from 0 to 1, before one is taken for the other."""


def check_spelling(config_class: type[Any], others: Sequence[str]) -> None:
    """Checks that no argument that is not ours is meant to be; takes no time, unlike Beam's flags.

    A path without its flag, as in "embed photos/ --model m", is taken for an --input.

    Args:
        config_class: The configuration whose flags are ours.
        others: Arguments that are not.

    Raises:
        FlagError: If one is; names the flag that was meant, or the program that has it.
    """
    own = _flags(config_class)
    # What stands behind a flag of Beam's may be its value.
    for word in itertools.takewhile(lambda word: not word.startswith("--"), others):
        name = word.partition("=")[0]
        if not word.startswith("-"):
            hint = f"did you mean --input {word}?" if "/" in word else "see --help"
            raise FlagError(f"unknown flag or argument {word}; {hint}")
        if f"-{name}" in own:
            raise FlagError(f"unknown flag or argument {name}; did you mean -{name}?")
    names = [word.partition("=")[0] for word in others if word.startswith("--")]
    # A runner may have any flags.
    if set(names) & set(_OF_A_CLUSTER):
        return
    for name in names:
        if name in _OF_BEAM:
            continue
        theirs = [program for program, other in _PROGRAMS.items() if name in _flags(other)]
        if theirs:
            raise FlagError(f"{name} is no flag of this program, but of {' and '.join(theirs)}")
        if close := difflib.get_close_matches(name, own, 1, LIKENESS):
            raise FlagError(f"unknown flag or argument {name}; did you mean {close[0]}?")


def check_likeness(words: Sequence[str], known: Sequence[str]) -> None:
    """Checks that no argument is nearly one of the flags of a program that has no others.

    Args:
        words: Arguments of the command line.
        known: Flags of the program, in snake_case.

    Raises:
        FlagError: If one is; names the flag that was meant.
    """
    flags = {_in_snake_case(flag): flag for flag in known}
    for word in itertools.takewhile(lambda word: word != "--", words):
        name = word.partition("=")[0]
        plain = _in_snake_case(name)
        if not name.startswith("--") or plain in flags:
            continue
        begun = [flag for flag in flags if len(plain) > 3 and flag.startswith(plain)]
        if close := difflib.get_close_matches(plain, flags, 1, LIKENESS) or begun:
            raise FlagError(f"unknown flag or argument {name}; did you mean {flags[close[0]]}?")


def _in_snake_case(flag: str) -> str:
    return flag.replace("-", "_")


def _flags(config_class: type[Any]) -> list[str]:
    return [f"--{field.name}" for field in dataclasses.fields(config_class)]
