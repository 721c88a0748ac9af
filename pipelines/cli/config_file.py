"""The file of --config: flags by their names, in YAML; and --print_config, which writes it.

input: [photos/, more/]          # several values are a list
model: my_model/
batch_size: auto
resume: true
beam:                            # Beam's own flags, likewise
  direct_num_workers: 4

Paths are relative to the working directory, as on the command line.
"""

import argparse
import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from pipelines.cli.flag import location
from transforms.errors import FlagError, brief

BEAM = "beam"
"""Key of Beam's own flags."""

HAVE_A_NO_FORM = (
    "direct_runner_use_stacked_bundle", "pipeline_type_check", "save_main_session",
    "use_public_ips",
)  # fmt: skip
"""Flags of Beam that are not off when they are left out: false is --no_NAME (Beam 2.77)."""

NOT_IN_A_FILE = ("config", "print_config")

_Fields = Mapping[str, dataclasses.Field[Any]]


class ConfigFile(NamedTuple):
    """What a file says.

    Attributes:
        flags: Values of our flags, by name.
        beam_argv: Beam's flags, as they stand on a command line.
    """

    flags: dict[str, Any]
    beam_argv: list[str]


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML comes without types.
    """PyYAML's safe loader, but that a key may not come twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value in keys:
                problem = f"the key {getattr(key_node, 'value', '')!r} comes twice"
                if not isinstance(key_node, yaml.ScalarNode):
                    problem = "a key is no text"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            keys.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_config(config_class: type[Any], path: str) -> ConfigFile:
    """Reads a file of flags.

    Args:
        config_class: The configuration whose fields are the flags.
        path: Path of the file, on this machine.

    Raises:
        FlagError: If it cannot be read, or a key or value is none of a flag; names file and key.
    """
    return read_flags(config_class, path, load_flags(path))


def read_flags(config_class: type[Any], path: str, content: Mapping[Any, Any]) -> ConfigFile:
    """Reads the content of a file of flags; see read_config."""
    fields = _fields(config_class)
    for key in content:
        if key not in fields and key != BEAM:
            close = difflib.get_close_matches(str(key), [*fields, BEAM], n=1)
            hint = f"did you mean {close[0]}?" if close else "Beam's own flags go under beam"
            raise FlagError(f"--config {path}: unknown key {key!r}; {hint}")
    try:
        flags = {key: _read(fields[key], value) for key, value in content.items() if key != BEAM}
        return ConfigFile(flags, list(_to_argv(content.get(BEAM, {}))))
    except FlagError as error:
        raise FlagError(f"--config {path}: {error}") from error


def format_config(config_class: type[Any], flags: Mapping[str, Any], beam_argv: list[str]) -> str:
    """Writes what the flags say as a file that says the same; defaults are comments.

    Args:
        config_class: The configuration whose fields are the flags.
        flags: Values that were given, by name.
        beam_argv: Beam's flags.

    Raises:
        FlagError: If an argument is no flag.
    """
    fields = _fields(config_class)
    lines: list[str] = []
    for group in dict.fromkeys(field.metadata["group"] for field in fields.values()):
        lines.append(f"\n### {group}\n" if lines else f"### {group}\n")
        for name, field in fields.items():
            if field.metadata["group"] == group:
                value = flags.get(name, field.default)
                is_empty = value in (None, "", ()) and name not in flags
                text = f"{name}:\n" if is_empty else _dump({name: _plain(field, value)})
                lines.append(text if name in flags else f"# {text}")
    if beam_argv:
        lines.append(f"\n{_dump({BEAM: _from_argv(beam_argv)})}")
    return "".join(lines)


def _fields(config_class: type[Any]) -> _Fields:
    fields = dataclasses.fields(config_class)
    return {field.name: field for field in fields if field.name not in NOT_IN_A_FILE}


def load_flags(path: str) -> dict[Any, Any]:
    """Returns the content of a file of flags, unread.

    Raises:
        FlagError: If it is no YAML of names and values.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, _Loader)
    except OSError as error:
        raise FlagError(f"--config {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FlagError(f"--config {path} is no YAML: {_describe(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise FlagError(
            f"--config {path} holds {_describe_value(content)}, wanted flags as name: value"
        )
    return content


def _describe(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return brief(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _read(field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401 - of any flag
    """Reads a value as from the command line.

    Raises:
        FlagError: If it is of another type, or no value of the flag.
    """
    if field.metadata["repeatable"]:
        values = value if isinstance(value, list) else [value]
        return tuple(_read_one(field, one) for one in values)
    return _read_one(field, value)


def _read_one(field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401
    kinds, wanted = _wanted(field)
    choices = field.metadata["choices"]
    if choices:
        wanted = f"one of {' | '.join(choices)}"
    is_right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if not is_right or (choices and value not in choices):
        quotes = "; put it in quotes" if str in kinds and _is_scalar(value) else ""
        raise FlagError(f"{field.name}: got {_describe_value(value)}, wanted {wanted}{quotes}")
    if bool in kinds:
        return value
    try:
        return field.metadata["read"](_in_utf8(field.name, str(value)))
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise FlagError(f"{field.name}: {error}") from error


def _wanted(field: dataclasses.Field[Any]) -> tuple[tuple[type, ...], str]:
    """Returns the types that a flag's value may have, and words for them."""
    read = field.metadata["read"]
    if isinstance(field.default, bool) or read is bool:
        return (bool,), "true or false"
    if read is int:
        return (int,), "a whole number"
    if read is float:
        return (int, float), "a number"
    text = "a text, or a list of texts" if field.metadata["repeatable"] else "a text"
    # Readers of a flag's own take "224" as well as "224x320", and say what they want.
    return ((str,), text) if read in (str, location) else ((int, str), "a number or a text")


def _is_scalar(value: object) -> bool:
    return value is not None and not isinstance(value, (str, list, dict))


def _describe_value(value: object) -> str:
    """Says what was found, in YAML's words: yes is true there, and 2026-11-29 a date."""
    if value is None:
        return "nothing"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return f"{value!r}" if isinstance(value, str) else f"{type(value).__name__} {value}"


def _in_utf8(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FlagError(f"{name}: got {text!r}, which is not UTF-8") from error
    return text


def _to_argv(flags: object) -> Iterator[str]:
    """Turns Beam's flags into a command line's: {"a": 1, "b": true, "c": [x, y]}."""
    if not isinstance(flags, dict):
        raise FlagError(f"{BEAM}: got {_describe_value(flags)}, wanted flags as name: value")
    for name, value in flags.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None or isinstance(one, (list, dict)):
                got = _describe_value(one)
                raise FlagError(
                    f"{BEAM}: {name}: got {got}, wanted a text, a number, true or false"
                )
            if one is True:
                yield f"--{name}"
            elif one is False:
                yield from [f"--no_{name}"] if name in HAVE_A_NO_FORM else []
            else:
                yield _in_utf8(f"{BEAM}: {name}", f"--{name}={one}")


def _from_argv(argv: Sequence[str]) -> dict[str, Any]:
    """Turns a command line of Beam's flags into what _to_argv reads."""
    flags: dict[str, list[Any]] = {}
    words = list(argv)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if not name.startswith("--"):
            raise FlagError(f"unknown flag or argument {name}; see --help")
        is_alone = not equals and (not words or words[0].startswith("--"))
        found = True if is_alone else value if equals else words.pop(0)
        flags.setdefault(name.removeprefix("--"), []).append(found)
    return {name: found[0] if len(found) == 1 else found for name, found in flags.items()}


def _plain(field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401
    """Returns a flag's value as the file has it: (224, 320) is 224x320."""
    if isinstance(value, tuple):
        return list(value) if field.metadata["repeatable"] else "x".join(map(str, value))
    return value


def _dump(flags: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(flags), allow_unicode=True, sort_keys=False, width=1 << 20)
