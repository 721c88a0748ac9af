"""The programs as Dataflow Flex Templates: their parameters, and from parameters to flags.

python -m pipelines.flex_template embed prints the metadata of the template of pipelines.embed.
"""

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipelines import classify, embed, refresh
from pipelines.cli.flag import batch_size, image_size
from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.launcher_flags import LAUNCHER_FLAGS
from pipelines.cli.program import EXIT_USAGE, Program, report_errors
from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError
from transforms.machine.garbage import exit_at_once

MAINS: dict[str, Callable[[Sequence[str] | None], int]] = {
    "embed": embed.main,
    "classify": classify.main,
    "refresh": refresh.main,
}
PROGRAMS: dict[str, Program[Any]] = {
    program.name: program for program in (embed.PROGRAM, classify.PROGRAM, refresh.PROGRAM)
}
"""The programs that can be templates, by name."""

# Numbers are counts, from 1, or shares, from 0 to 1; a margin goes to MAX_MARGIN, 10.
_PATTERNS: dict[Any, str] = {
    int: r"[1-9][0-9]*",
    float: r"0|1|[01]\.0*|0?\.[0-9]+",
    batch_size: r"[1-9][0-9]*|auto",
    image_size: r"[1-9][0-9]*(x[1-9][0-9]*)?",
    "box_margin": r"10(\.0*)?|[0-9]|[0-9]?\.[0-9]+",
}
"""What a flag's value looks like, by the flag's name, or else by what reads it."""
_REMOTE = r"[a-zA-Z][a-zA-Z0-9+.-]*://.+"

_LIST = "; several are separated by spaces and quoted as in a shell"

_BEAM_PARAMETERS = {
    "sdk_container_image": ("image of the workers, and of this template", r"\S+"),
    "number_of_worker_harness_threads": ("shards that a worker has in work", _PATTERNS[int]),
}
"""Flags of Beam that a template's job needs and gcloud has no flag for."""


def template_metadata(program: str) -> dict[str, Any]:
    """Returns a template's metadata, in JSON's types: one parameter a flag, and its validation."""
    config_class, description = PROGRAMS[program].config_class, PROGRAMS[program].description
    others = PLAN_FLAGS | LAUNCHER_FLAGS  # A template's launcher has no terminal, and leaves.
    fields = (field for field in dataclasses.fields(config_class) if field.name not in others)
    return {
        "name": f"Image inference: {program}",
        "description": " ".join(description.partition("\n\n")[0].split()),
        "parameters": [
            *(_parameter(config_class, field) for field in fields),
            *(
                _text_parameter(name, text, "dataflow", pattern)
                for name, (text, pattern) in _BEAM_PARAMETERS.items()
            ),
        ],
    }


def _text_parameter(name: str, text: str, group: str, pattern: str | None) -> dict[str, Any]:
    words = name.replace("_", " ")
    parameter = {
        "name": name,
        "label": words[0].upper() + words[1:],
        "helpText": text,
        "groupName": group,
        "isOptional": True,
        "paramType": "TEXT",
    }
    return parameter | ({"regexes": [f"^({pattern})$"]} if pattern else {})


def _parameter(config_class: type[RunConfig], field: dataclasses.Field[Any]) -> dict[str, Any]:
    from pipelines.running.dataflow import (
        URI_FLAGS,  # Beam, which takes 2 s, and a launch also imports.
    )

    metadata, name = field.metadata, field.name
    text = metadata["help"] + (_LIST if metadata["repeatable"] else "")
    pattern = _PATTERNS.get(name, _PATTERNS.get(metadata["read"]))
    own: dict[str, Any] = {"isOptional": not _is_required(config_class, name)}
    if _is_switch(field):
        pattern = "true|false"
        own["paramType"] = "BOOLEAN"
    elif metadata["choices"]:
        pattern = "|".join(metadata["choices"])
        options = [{"value": choice, "label": choice} for choice in metadata["choices"]]
        own |= {"paramType": "ENUM", "enumOptions": options}
    elif metadata["metavar"] == "NAME=VALUE":
        pattern = r"\s*\w+=\S.*"
    elif name in URI_FLAGS:
        pattern = f".*{_REMOTE}" if metadata["repeatable"] else _REMOTE
    elif metadata["read"] in (int, float):
        own["paramType"] = "NUMBER"
    if isinstance(field.default, bool):
        own["defaultValue"] = str(field.default).lower()
    elif field.default not in (None, "", ()):
        own["defaultValue"] = str(field.default)
    return _text_parameter(name, text, metadata["group"], pattern) | own


def _is_switch(field: dataclasses.Field[Any]) -> bool:
    return isinstance(field.default, bool) or field.metadata["read"] is bool


def _is_required(config_class: type[RunConfig], name: str) -> bool:
    """Whether there is no configuration without a flag, whatever else stands in for it."""
    fields = dataclasses.fields(config_class)
    given: dict[str, Any] = {
        field.name: "x" for field in fields if field.default == "" or field.name == "retry_failed"
    }
    given |= {"input": ("x",), "manifest": ("x",)}
    given.pop(name, None)
    try:
        config_class(**given)
    except FlagError:
        return True
    return False


def to_flags(config_class: type[RunConfig], parameters: Sequence[str]) -> Iterator[str]:
    """Turns parameters, each "--name=value", into flags as they stand on a command line.

    A parameter has one value: switches are "true" or "false", several values are one text, and
    what a form leaves empty is not given. Parameters that are not ours are Beam's, and stay.

    Raises:
        FlagError: If a value is no switch's, or has an open quote.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    for parameter in parameters:
        name, equals, value = parameter.removeprefix("--").partition("=")
        field = fields.get(name)
        if field is None or not equals:
            yield parameter
        elif _is_switch(field):
            if value.lower() not in ("true", "false", ""):
                raise FlagError(f"{name}: got {value!r}, wanted true or false")
            if value.lower() == "true":
                yield f"--{name}"
            elif value and field.default is None:
                yield f"--no-{name}"
        elif field.metadata["repeatable"]:
            try:
                values = shlex.split(value)
            except ValueError as error:
                raise FlagError(f"{name}: got {value!r}: {error}") from error
            yield from (f"--{name}={one}" for one in values)
        elif value:
            yield parameter


def launch(program: str, parameters: Sequence[str]) -> int:
    """Runs a program as a template's launcher does; returns its exit code."""
    config_class, run = PROGRAMS[program].config_class, MAINS[program]

    def work() -> int:
        return run([*to_flags(config_class, parameters), "--no_save_main_session"])

    return report_errors(program, work)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a template's metadata; returns the exit code."""
    names = sys.argv[1:] if argv is None else argv
    if len(names) != 1 or names[0] not in PROGRAMS:
        print(f"usage: python -m pipelines.flex_template {'|'.join(PROGRAMS)}", file=sys.stderr)
        return EXIT_USAGE
    print(json.dumps(template_metadata(names[0]), indent=2))
    return 0


if __name__ == "__main__":
    exit_at_once(main())
