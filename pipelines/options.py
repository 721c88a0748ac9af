"""What the user may say: every flag once, as a field of a frozen configuration."""

import argparse
import dataclasses
import difflib
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from transforms.errors import FlagError
from transforms.preprocessing import (
    EXIF_POLICIES,
    INPUT_RANGES,
    INTERPOLATIONS,
    RESIZE_MODES,
    Preprocessing,
)

OUTPUT_FORMATS = ("parquet", "tfrecord")
EMBEDDING_DTYPES = ("float32", "float16")
NORMALIZATIONS = ("none", "l2")
ACTIVATIONS = ("softmax", "sigmoid", "none")

GROUPS = ("input", "images", "model", "output", "run")

_POLICY = {field.name: field.default for field in dataclasses.fields(Preprocessing)}


def image_size(text: str) -> tuple[int, int]:
    """Reads "224" or "224x320" (height x width) as (height, width) in pixels."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted 224 or HEIGHTxWIDTH")
    height, width = match.group(1), match.group(2) or match.group(1)
    return int(height), int(width)


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The flags that embed and classify share; each field is the flag of its name."""

    input: tuple[str, ...] = flag(
        "image file, directory (recursive), glob, .tfrecord[.gz] or .parquet files; any URI scheme "
        "that Beam reads; repeatable",
        "input",
        (),
        metavar="URI",
        repeatable=True,
    )
    manifest: tuple[str, ...] = flag(
        "list of image URIs: .txt (one a line), or .csv, .jsonl, .parquet with a uri column",
        "input",
        (),
        metavar="URI",
        repeatable=True,
    )
    image_key: str | None = flag(
        "feature or column that holds the encoded image (default image/encoded in TFRecord, image "
        "in Parquet)",
        "input",
        metavar="NAME",
    )
    image_id_from: str | None = flag(
        "uri, relative_path, filename, or the feature or column that holds the image_id (default: "
        "uri for files, image/filename or file#index in TFRecord)",
        "input",
        metavar="FROM",
    )
    carry_columns: tuple[str, ...] = flag(
        "features or columns to copy from TFRecord, Parquet or manifest to the output",
        "input",
        (),
        metavar="NAME",
        repeatable=True,
    )

    model: str = flag(
        "SavedModel: directory, .tar.gz, gs://, https://tfhub.dev/... or kaggle.com URL. A "
        "SavedModel is code: run only models that you trust",
        "model",
        "",
        metavar="HANDLE",
    )
    signature: str | None = flag(
        "signature or sub-callable to run, if the model has several", "model", metavar="NAME"
    )
    output_key: str | None = flag(
        "which of the model's outputs to take, if it has several", "model", metavar="NAME"
    )
    batch_size: int = flag("images a model call", "model", 32, read=int, metavar="N")
    num_model_threads: int | None = flag(
        "TensorFlow's threads (default: one a core)", "model", read=int, metavar="N"
    )

    image_size: tuple[int, int] | None = flag(
        "pixels, SIDE or HEIGHTxWIDTH (default: what the model says)",
        "images",
        read=image_size,
        metavar="SIZE",
    )
    input_range: str = flag(
        "range of the pixels that the model wants",
        "images",
        _POLICY["input_range"],
        choices=INPUT_RANGES,
    )
    resize_mode: str = flag(
        "to the model's size: squash, centred crop, or pad with black",
        "images",
        _POLICY["resize_mode"],
        choices=RESIZE_MODES,
    )
    crop_fraction: float = flag(
        "share of the largest centred crop to keep, with crop",
        "images",
        _POLICY["crop_fraction"],
        read=float,
        metavar="F",
    )
    interpolation: str = flag(
        "how to resize", "images", _POLICY["interpolation"], choices=INTERPOLATIONS
    )
    antialias: bool = flag("filter when making smaller", "images", _POLICY["antialias"])
    exif: str = flag(
        "turn photos upright, or not", "images", _POLICY["exif"], choices=EXIF_POLICIES
    )
    max_image_pixels: int = flag(
        "larger images fail, by their header",
        "images",
        _POLICY["max_image_pixels"],
        read=int,
        metavar="N",
    )
    max_image_bytes: int = flag(
        "larger files fail, unread", "images", _POLICY["max_image_bytes"], read=int, metavar="N"
    )

    output: str = flag("directory for the run, empty or new", "output", "", metavar="DIR")
    overwrite: bool = flag(
        "replace the run in --output, once the new one is complete", "output", False
    )
    output_format: str = flag("file format", "output", "parquet", choices=OUTPUT_FORMATS)
    rows_per_file: int = flag(
        "rows an output file of listed images holds at most, about",
        "output",
        10_000,
        read=int,
        metavar="N",
    )
    max_failed_fraction: float = flag(
        "publish only if no larger share of images failed", "run", 0.1, read=float, metavar="F"
    )

    def __post_init__(self) -> None:
        if not self.input and not self.manifest:
            raise FlagError("nothing to read: give --input or --manifest")
        for name in ("model", "output"):
            if not getattr(self, name):
                raise FlagError(f"--{name} is required")
        for name in ("batch_size", "rows_per_file", "num_model_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FlagError(f"--{name} must be at least 1, got {value}")
        if not 0 <= self.max_failed_fraction <= 1:
            raise FlagError(
                f"--max_failed_fraction must be from 0 to 1, got {self.max_failed_fraction:g}"
            )
        if len(set(self.carry_columns)) < len(self.carry_columns):
            raise FlagError(f"--carry_columns names one twice: {' '.join(self.carry_columns)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedConfig(RunConfig):
    """The flags of pipelines.embed."""

    embedding_dtype: str = flag(
        "of the written vectors", "output", "float32", choices=EMBEDDING_DTYPES
    )
    normalize: str = flag(
        "scale every vector to length 1 (l2), or not", "output", "none", choices=NORMALIZATIONS
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(RunConfig):
    """The flags of pipelines.classify."""

    top_k: int = flag("classes an image", "output", 5, read=int, metavar="K")
    activation: str = flag(
        "turns the model's logits into scores; none if it already does",
        "model",
        "softmax",
        choices=ACTIVATIONS,
    )
    labels: str | None = flag(
        "class names: .txt, .csv or .json (default: the model's labels.txt)",
        "model",
        metavar="URI",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k < 1:
            raise FlagError(f"--top_k must be at least 1, got {self.top_k}")


Config = TypeVar("Config", bound=RunConfig)


class FlagParser(argparse.ArgumentParser):
    """Reads flags from the command line and from @files, several a line, # for comments."""

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """Splits a line of an @file as a shell would."""
        return shlex.split(arg_line, comments=True)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses as usual, but takes "--input_range -1,1" as a flag and its value."""
        words = list(sys.argv[1:] if args is None else args)
        for position, word in enumerate(words[1:], 1):
            if word == "-1,1" and words[position - 1] == "--input_range":
                words[position - 1 : position + 1] = [f"--input_range={word}"]
                break
        return super().parse_known_args(words, namespace)


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
    config_class: type[RunConfig], *, program: str, description: str
) -> argparse.ArgumentParser:
    """Builds the parser of a configuration's flags, in groups."""
    parser = FlagParser(
        prog=program,
        usage=f"{program} --input URI --model HANDLE --output DIR [flags] [@file]",
        description=description,
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=30, width=100
        ),
        fromfile_prefix_chars="@",
        allow_abbrev=False,
    )
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for field in dataclasses.fields(config_class):
        _add_flag(groups[field.metadata["group"]], field)
    return parser


def reject_unknown_flags(config_class: type[RunConfig], beam_argv: Sequence[str]) -> None:
    """Checks that everything that is not ours is Beam's; Beam itself only warns.

    Raises:
        FlagError: If an argument is nobody's; suggests what was meant.
    """
    from apache_beam.options.pipeline_options import PipelineOptions  # Takes 2 s; --help does not.

    known = [f"--{field.name}" for field in dataclasses.fields(config_class)]
    unknown: list[str] = []

    def collect(parser: argparse.ArgumentParser) -> None:
        unknown.extend(parser.parse_known_args(list(beam_argv))[1])
        known.extend(option for action in parser._actions for option in action.option_strings)

    PipelineOptions(list(beam_argv)).get_all_options(add_extra_args_fn=collect)
    if not unknown:
        return
    name = unknown[0].partition("=")[0]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "see --help"
    raise FlagError(f"unknown flag or argument {name}; {hint}")


_EPILOG = """\
beam flags, on the same command line:
  --runner RUNNER             DirectRunner (this machine, default), FlinkRunner, DataflowRunner, ...
  --direct_num_workers N      threads of the DirectRunner (default: one a core)
  --temp_location, --setup_file, --project, --region, ...   as Beam documents them

exit codes: 0 published; 1 the run failed, or too many images did; 2 bad flag, model or input"""


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _add_flag(group: argparse._ArgumentGroup, field: dataclasses.Field[Any]) -> None:
    metadata = field.metadata
    options: dict[str, Any] = {"default": field.default, "help": _help(field)}
    if isinstance(field.default, bool):
        options["action"] = "store_true"
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
