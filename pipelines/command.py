"""image-inference PROGRAM: every program by one command, from any directory."""

import argparse
import importlib
import os
import pathlib
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

DISTRIBUTION = "image-batch-inference"

PROGRAMS = {
    "embed": "write one vector an image",
    "classify": "write the best classes of each image",
    "refresh": "write a new dated run, and compute only what is new or changed",
    "one_pass": "run several of these on the same images, and read and decode these once",
    "verify": "re-check a run: hashes, schema, counts, ids, numbers",
    "report": "write one HTML page of a run",
    "diff": "say what changed from one run to another",
    "evaluate": "say how good a run is, by labels",
    "index": "build an index for searches in large runs",
    "search": "find the images of a run that are nearest to an image",
    "train_classifier": "train a classifier on a run's vectors",
    "inspect_model": "say what a model is, and the command that runs it",
    "convert_model": "make a model reusable, so that it needs no flags",
}
"""Programs of pipelines/ by name, in the order in which people are told of them."""

_USAGE = "image-inference PROGRAM [flags]"
_EPILOG = """\
image-inference PROGRAM --help has the flags of a program. Shell completion:
  eval "$(register-python-argcomplete image-inference)"     (pip install argcomplete)"""

_EXIT_USAGE = 2
_COMPLETING = "_ARGCOMPLETE"


def make_parser() -> argparse.ArgumentParser:
    """Says what may stand before a program's flags."""
    names = "\n".join(f"  {name:<18}{what}" for name, what in PROGRAMS.items())
    parser = argparse.ArgumentParser(
        prog="image-inference",
        usage=_USAGE,
        description=f"Runs any TF2 image SavedModel on all of your images.\n\n{names}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="say the version and exit")
    program = parser.add_argument("program", nargs="?", choices=PROGRAMS, help=argparse.SUPPRESS)
    program.metavar = "PROGRAM"
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program that is named first; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if _COMPLETING in os.environ:
        words = _words_to_complete()
    if words and words[0] in PROGRAMS:
        module = importlib.import_module(f"pipelines.{words[0]}")
        # None: the words that Python was given, should it have to be started again.
        sys.argv = [f"{sys.argv[0]} {words[0]}", *words[1:]]
        code: int = module.main(None if argv is None else words[1:])
        return code
    return _without_program(words)


def _without_program(words: Sequence[str]) -> int:
    parser = make_parser()
    if _COMPLETING in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    if words and not words[0].startswith("-"):
        names = ", ".join(PROGRAMS)
        print(f"image-inference: no program {words[0]!a}; one of {names}", file=sys.stderr)
        return _EXIT_USAGE
    try:
        parsed = parser.parse_args(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    if parsed.version:
        print(f"image-inference {_version()}")
        return 0
    parser.print_help(sys.stderr)
    return _EXIT_USAGE


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "of a checkout, not installed"


def _words_to_complete() -> list[str]:
    """Returns the words of the line that the shell completes, once its program is known.

    Of "image-inference embed --in" argcomplete is to see the program and its flags only.
    """
    words = os.environ.get("COMP_LINE", "").split(" ")
    if len(words) < 3 or words[1] not in PROGRAMS:
        return []
    os.environ[_COMPLETING] = "2"
    return words[1:2]


def _find_clash() -> str:
    """Says which other distribution has put its files where this one's should be, if one has.

    The packages are named pipelines and transforms: names that others may have, too.
    """
    import transforms

    home = pathlib.Path(__file__).parents[1] / "transforms"
    is_own = "EmbedImages" in getattr(transforms, "__all__", ())
    if is_own and home == pathlib.Path(transforms.__path__[0]):
        return ""
    owners = metadata.packages_distributions().get("transforms", ())
    others = " and ".join(sorted({*owners} - {DISTRIBUTION})) or str(transforms.__path__[0])
    return (
        f"the package transforms is that of {others}, where {DISTRIBUTION} needs its own; install "
        "it in a virtual environment of its own"
    )


def start() -> NoReturn:
    """Runs the command that setup.py installs."""
    if clash := _find_clash():
        sys.exit(f"image-inference: {clash}")
    from transforms.machine.garbage import exit_at_once

    exit_at_once(main())


if __name__ == "__main__":
    start()
