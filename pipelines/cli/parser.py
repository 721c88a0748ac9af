"""The one parser: turns a frozen configuration's flags into a command line's, and back."""

import argparse
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from pipelines.cli.config_file import format_config, read_config
from pipelines.cli.flag import GLOB, OPTIONS
from pipelines.cli.flag_lines import split_line
from pipelines.cli.launcher_flags import LauncherFlags
from pipelines.cli.spelling import check_likeness, check_spelling
from transforms.errors import printable

Config = TypeVar("Config")

_EXIT_USAGE = 2
_AT_FILES = "[@file]"
_NO_FLAGS_FILE = re.compile(r"\[Errno \d+\] (.+): '(.+)'")

_EPILOG = """\
beam flags, on the same command line:
  --runner RUNNER             DirectRunner (here, default), FlinkRunner, SparkRunner, ...
  --direct_num_workers N      threads of the DirectRunner (default: one a core, at most 16)
  --temp_location, --setup_file, --project, --region, ...   as Beam documents them

exit codes: 0 published; 1 the run failed, or too many images did; 2 bad flag, model or input;
130 Ctrl-C; 143 SIGTERM"""


class FlagParser(argparse.ArgumentParser):
    """Reads flags from the command line and from @files, several a line, # for comments."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(**options)
        # "--input_range -1,1" is a flag and its value; argparse has no public way to say so.
        self._negative_number_matcher = re.compile(r"-1,1$|-\d+$|-\d*\.\d+$")

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Splits a line of an @file as a shell would."""
        try:
            return [self._in_snake_case(word) for word in split_line(arg_line)]
        except ValueError as error:
            self.error(f"cannot read {arg_line!r} of an @file: {error}")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses; arguments and @files that are not UTF-8 could not be written to _run.json."""
        words = sys.argv[1:] if args is None else args
        try:
            parsed, rest = super().parse_known_args(
                [self._in_snake_case(word) for word in words], namespace
            )
            json.dumps([vars(parsed), rest], ensure_ascii=False).encode()
        except UnicodeError as error:
            self.error(f"an argument or @file is not UTF-8: {error}")
        return parsed, rest

    def _read_args_from_files(self, arg_strings: list[str]) -> list[str]:
        """Puts what @files hold in their places; right after --exclude, @eaDir is a name."""
        words = []
        for before, word in zip(["", *arg_strings], arg_strings, strict=False):
            takes_names = getattr(self._option_string_actions.get(before), "metavar", "") == GLOB
            words += [word] if takes_names else super()._read_args_from_files([word])
        return words

    def _in_snake_case(self, word: str) -> str:
        """Returns --image-size=224 as --image_size=224, if that is a flag; others as they are."""
        name, equals, value = word.partition("=")
        flag = f"--{name[2:].replace('-', '_')}"
        known = self._option_string_actions
        if name.startswith("--") and name not in known and flag in known:
            return f"{flag}{equals}{value}"
        return word

    def error(self, message: str) -> NoReturn:
        """Ends the program with one line; argparse would say how it is called, too."""
        if absent := _NO_FLAGS_FILE.fullmatch(message):
            message = (
                f"@{absent[2]} is no file of flags: {absent[1].lower()}; of a path that begins "
                f"with @ write ./@{absent[2]}"
            )
        self.exit(_EXIT_USAGE, f"{self.prog.rpartition('.')[2]}: {printable(message)}\n")


def parse_flags(
    config_class: type[Config],
    argv: Sequence[str] | None,
    *,
    program: str,
    description: str,
    usage: str | None = None,
    epilog: str | None = None,
) -> tuple[Config, list[str]]:
    """Reads the command line of a program that hands on flags to Beam.

    Args:
        config_class: The configuration to fill.
        argv: Arguments without the program's name; None means sys.argv.
        program: Name shown in the usage line.
        description: Text that --help begins with; its lines are kept.
        usage: Flags that are needed; by default a pipeline's.
        epilog: Text that --help ends with; by default a pipeline's.

    Returns:
        The configuration, and the arguments that are not ours: Beam's.

    Raises:
        FlagError: If a value or combination cannot work.
        SystemExit: After --help and --print_config (0), or for arguments that do not parse (2).
    """
    parser = make_parser(
        config_class, program=program, description=description, usage=usage, epilog=epilog
    )
    _complete(parser)
    values, others = parser.parse_known_args(argv)
    given = _given(values)
    path = given.get("config")
    if isinstance(path, str):  # Those of one_pass are several, of a run each.
        file = read_config(config_class, path)
        given, others = {**file.flags, **given}, [*file.beam_argv, *others]
    check_spelling(config_class, others)
    if given.get("print_config"):
        print(format_config(config_class, given, others), end="")
        raise SystemExit(0)
    if issubclass(config_class, LauncherFlags):
        return config_class(**given, given=frozenset(given)), others
    return config_class(**given), others


def parse_own_flags(
    config_class: type[Config],
    argv: Sequence[str] | None,
    *,
    program: str,
    description: str,
    usage: str | None = None,
    epilog: str | None = None,
) -> Config:
    """Reads the command line of a program whose flags are all its own; see parse_flags.

    A misspelt flag is named before anything that is missing because of it.
    """
    parser = make_parser(
        config_class, program=program, description=description, usage=usage, epilog=epilog
    )
    words = sys.argv[1:] if argv is None else argv
    check_likeness(words, [name for action in parser._actions for name in action.option_strings])
    _complete(parser)
    return config_class(**_given(parser.parse_args(argv)))


def _complete(parser: argparse.ArgumentParser) -> None:
    """Says what may follow, and ends the process, if it is the shell that asks."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


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
        description: Text that --help begins with.
        usage: Text after the name in the usage line; by default a pipeline's. Ends in "[@file]" if
            flags are read from files, too.
        epilog: Text that --help ends with; by default a pipeline's.
    """
    if usage is None:
        output = _output_usage(config_class)
        usage = f"--input URI --model HANDLE {output} [flags] {_AT_FILES}"
    parser = FlagParser(
        prog=program,
        usage=f"{program} {usage}",
        description=description,
        epilog=_EPILOG if epilog is None else epilog,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=30, width=100
        ),
        fromfile_prefix_chars="@" if usage.endswith(_AT_FILES) else None,
        allow_abbrev=False,
    )
    fields = dataclasses.fields(config_class)
    names = dict.fromkeys(field.metadata["group"] for field in fields)
    groups = {
        name: parser if name == OPTIONS else parser.add_argument_group(name) for name in names
    }
    has_positional = any(field.metadata["positional"] for field in fields)
    for field in fields:
        group = groups[field.metadata["group"]]
        if field.metadata["positional"]:
            _add_positional(group, field)
        else:
            _add_flag(group, field, one_at_a_time=has_positional)
    return parser


def _given(values: argparse.Namespace) -> dict[str, Any]:
    """Returns the flags that were given, and no defaults: these are the configuration's."""
    found = vars(values).items()
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found}


def _output_usage(config_class: type[Any]) -> str:
    """Returns the flag that says where the output goes, as the usage line shows it."""
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    field = fields.get("output_root") or fields["output"]
    return f"--{field.name} {field.metadata['metavar']}"


def _add_positional(group: argparse._ActionsContainer, field: dataclasses.Field[Any]) -> None:
    metadata = field.metadata
    group.add_argument(
        field.name,
        help=_help(field),
        metavar=metadata["metavar"],
        type=metadata["read"],
        nargs="+" if metadata["repeatable"] else None,
    )


def _add_flag(
    group: argparse._ActionsContainer, field: dataclasses.Field[Any], *, one_at_a_time: bool
) -> None:
    """Adds a flag; one that took several values would take a positional one that follows, too."""
    metadata = field.metadata
    options: dict[str, Any] = {"help": _help(field), "default": argparse.SUPPRESS}
    if field.default is dataclasses.MISSING:
        options["required"] = True
    if isinstance(field.default, bool):
        options["action"] = "store_true"
        # Takes back what a file says.
        group.add_argument(
            f"--no-{field.name}",
            f"--no_{field.name}",
            dest=field.name,
            action="store_false",
            help=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
        )
    elif metadata["read"] is bool:
        options["action"] = argparse.BooleanOptionalAction
    elif metadata["choices"]:
        options |= {"type": _one_of(metadata["choices"]), "metavar": _braced(metadata["choices"])}
    else:
        options |= {"type": metadata["read"], "metavar": metadata["metavar"]}
    if metadata["repeatable"]:
        options |= {"action": "append"} if one_at_a_time else {"action": "extend", "nargs": "+"}
    action = group.add_argument(f"--{field.name}", **options)
    if choices := metadata["choices"]:
        action.completer = lambda **_: choices  # type: ignore[attr-defined]  # For argcomplete.


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Returns what reads one of a few texts; argparse's own error depends on Python's version."""

    def read(text: str) -> str:
        if text not in choices:
            wanted = " | ".join(choices)
            raise argparse.ArgumentTypeError(f"got {text!r}, wanted one of {wanted}")
        return text

    return read


def _braced(choices: Sequence[str]) -> str:
    """Says the choices: {apply,ignore}, or {0,1 | -1,1} where a comma belongs to one of them."""
    has_comma = any("," in choice for choice in choices)
    return f"{{{(' | ' if has_comma else ',').join(choices)}}}"


def _help(field: dataclasses.Field[Any]) -> str:
    text = str(field.metadata["help"]).replace("%", "%%")
    default = field.default
    if default in (None, "", (), dataclasses.MISSING) or isinstance(default, bool):
        return text
    shown = f"{default:,}" if isinstance(default, int) and default >= 10_000 else default
    return f"{text} (default {shown})"
