"""Turns a frozen configuration's fields into command-line flags, and back."""

import argparse
import dataclasses
import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from transforms.errors import FlagError
from transforms.models.engine_settings import AUTO


def flag(
    help_text: str,
    group: str,
    default: object = None,
    *,
    read: Callable[[str], Any] = str,
    choices: Sequence[str] | None = None,
    metavar: str | None = None,
    repeatable: bool = False,
) -> Any:  # noqa: ANN401 - stands for a field of any type
    """Describes a flag: a dataclass field and its command-line form in one."""
    metadata = {
        "help": help_text,
        "group": group,
        "read": read,
        "choices": choices,
        "metavar": metavar,
        "repeatable": repeatable,
    }
    return dataclasses.field(default=default, metadata=metadata)


def image_size(text: str) -> tuple[int, int]:
    """Reads "224" or "224x320" (height x width) as (height, width) in pixels."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted 224 or HEIGHTxWIDTH")
    height, width = match.group(1), match.group(2) or match.group(1)
    return int(height), int(width)


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
        FlagError: If it is empty or a glob.
    """
    if not directory:
        raise FlagError(f"--{name} is required")
    if set("*?[").intersection(directory):
        raise FlagError(f"--{name} {directory}: a directory's name may hold no *, ? or [")


Config = TypeVar("Config")


class FlagParser(argparse.ArgumentParser):
    """Reads flags from the command line and from @files, several a line, # for comments."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(**options)
        # "--input_range -1,1" is a flag and its value; argparse has no public way to say so.
        self._negative_number_matcher = re.compile(r"-1,1$|-\d+$|-\d*\.\d+$")

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Splits a line of an @file as a shell would."""
        try:
            return shlex.split(arg_line, comments=True)
        except ValueError as error:
            self.error(f"cannot read {arg_line!r} of an @file: {error}")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses; arguments and @files that are not UTF-8 could not be written to run.json."""
        try:
            parsed, rest = super().parse_known_args(args, namespace)
            json.dumps([vars(parsed), rest], ensure_ascii=False).encode()
        except UnicodeError as error:
            self.error(f"an argument or @file is not UTF-8: {error}")
        return parsed, rest


def refuse_in_one_line(parser: argparse.ArgumentParser) -> None:
    """Makes a parser raise FlagError of a bad flag, where it would print all of its usage, too."""

    def refuse(message: str) -> NoReturn:
        raise FlagError(message)

    parser.error = refuse  # type: ignore[method-assign]


def parse_flags(
    config_class: type[Config], argv: Sequence[str] | None, *, program: str, description: str
) -> tuple[Config, list[str]]:
    """Reads the command line.

    Args:
        config_class: The configuration to fill.
        argv: Arguments without the program's name; None means sys.argv.
        program: Name shown in the usage line.
        description: What --help says first; its lines are kept.

    Returns:
        The configuration, and the arguments that are not ours: Beam's.

    Raises:
        FlagError: If a value or combination cannot work.
        SystemExit: After --help (0) or for arguments that do not parse (2).
    """
    parser = make_parser(config_class, program=program, description=description)
    values, beam_argv = parser.parse_known_args(argv)
    repeatable = {name: tuple(value) for name, value in vars(values).items() if _is_list(value)}
    return config_class(**{**vars(values), **repeatable}), beam_argv


def make_parser(
    config_class: type[Any],
    *,
    program: str,
    description: str,
    usage: str | None = None,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """Builds the parser of a configuration's flags, in groups by order of their first flag.

    Args:
        config_class: The configuration.
        program: Name shown in the usage line.
        description: What --help says first.
        usage: The flags that are needed; by default a pipeline's.
        epilog: What --help says last; by default a pipeline's.
    """
    needed = usage or f"--input URI --model HANDLE {_output_usage(config_class)}"
    parser = FlagParser(
        prog=program,
        usage=f"{program} {needed} [flags] [@file]",
        description=description,
        epilog=epilog or _EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=30, width=100
        ),
        fromfile_prefix_chars="@",
        allow_abbrev=False,
    )
    fields = dataclasses.fields(config_class)
    names = dict.fromkeys(field.metadata["group"] for field in fields)
    groups = {name: parser.add_argument_group(name) for name in names}
    for field in fields:
        _add_flag(groups[field.metadata["group"]], field)
    return parser


_EPILOG = """\
beam flags, on the same command line:
  --runner RUNNER             DirectRunner (here, default), FlinkRunner, SparkRunner, ...
  --direct_num_workers N      threads of the DirectRunner (default: one a core)
  --temp_location, --setup_file, --project, --region, ...   as Beam documents them

exit codes: 0 published; 1 the run failed, or too many images did; 2 bad flag, model or input"""


def _output_usage(config_class: type[Any]) -> str:
    """Returns the flag that says where the output goes, as the usage line shows it."""
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    field = fields.get("output_root") or fields["output"]
    return f"--{field.name} {field.metadata['metavar']}"


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _add_flag(group: argparse._ArgumentGroup, field: dataclasses.Field[Any]) -> None:
    metadata = field.metadata
    options: dict[str, Any] = {"default": field.default, "help": _help(field)}
    if isinstance(field.default, bool):
        options["action"] = "store_true"
    elif metadata["read"] is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options |= {key: metadata[key] for key in ("choices", "metavar")} | {
            "type": metadata["read"]
        }
    if metadata["repeatable"]:
        options |= {"action": "extend", "nargs": "+", "default": []}
    group.add_argument(f"--{field.name}", **options)


def _help(field: dataclasses.Field[Any]) -> str:
    text = str(field.metadata["help"]).replace("%", "%%")
    if field.default in (None, "", ()) or isinstance(field.default, bool):
        return text
    return (
        f"{text} (default {field.default:,})"
        if _is_large(field.default)
        else (f"{text} (default {field.default})")
    )


def _is_large(value: object) -> bool:
    return isinstance(value, int) and value >= 10_000
