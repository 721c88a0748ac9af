"""Flags that the user leaves out and the model's notes say."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pipelines.cli.run_flags import NOTED, RunConfig
from pipelines.cli.wording import warn
from transforms.errors import ModelError, printable
from transforms.models.engine_settings import ACTIVATIONS
from transforms.models.notes import NOTES_FILE, beyond_flags, name_notes, read_notes

Config = TypeVar("Config", bound=RunConfig)


def with_model_notes(config: Config, model_dir: str) -> Config:
    """Fills in the flags that belong to a model: as given, as its notes say, or as by default.

    An activation that neither says is left open: it depends on the model's outputs.

    Says on one line what the notes decide, and on another where they are overruled.

    Args:
        config: The flags.
        model_dir: The model's local directory.

    Raises:
        ModelError: If its notes make no sense.
    """
    notes, source = read_noted(config.model, model_dir), name_notes(model_dir)
    fields = [field.name for field in dataclasses.fields(config)]
    names = [name for name in fields if name in NOTED and config.uses(name)]
    given = {name: value for name in names if (value := getattr(config, name)) is not None}
    taken = {name: notes[name] for name in names if name in notes and name not in given}
    if changes := listed({n: v for n, v in taken.items() if v != NOTED[n]}):
        print(f"{source} of the model says {printable(changes)}")
    overruled = {name: notes[name] for name in names if name in given and name in notes}
    if against := listed({n: v for n, v in overruled.items() if v != given[n]}):
        print(f"{source} of the model says {printable(against)}, which your flags overrule")
    if "resize_mode" not in given and (unsaid := beyond_flags(model_dir)):
        warn(
            f"{printable(unsaid)}, which no flag does; --resize_mode and --input_range say what is "
            "done instead"
        )
    defaults = {n: NOTED[n] for n in names if n != "activation"}
    return dataclasses.replace(config, **{**defaults, **taken, **given})


def read_noted(handle: str, model_dir: str) -> Mapping[str, Any]:
    """Reads the flags that a model's notes say, and checks that there are such.

    Args:
        handle: Name that the user gave the model, for messages.
        model_dir: The model's local directory.

    Raises:
        ModelError: If its notes make no sense.
    """
    notes = read_notes(model_dir)
    for name, value in notes.items():
        if name not in NOTED:
            raise ModelError(f"{NOTES_FILE} of {handle} has the unknown flag {name}")
        if type(value) is not type(NOTED[name]):
            raise ModelError(f"{NOTES_FILE} of {handle}: {name} cannot be {value!r}")
    if notes.get("activation", ACTIVATIONS[0]) not in ACTIVATIONS:
        raise ModelError(f"{NOTES_FILE} of {handle}: activation cannot be {notes['activation']!r}")
    return notes


def listed(flags: Mapping[str, Any]) -> str:
    """Returns flags as they are given: "--no-antialias --resize_mode crop"."""
    return " ".join(
        f"--{'' if value else 'no-'}{name}" if isinstance(value, bool) else f"--{name} {value}"
        for name, value in flags.items()
    )
