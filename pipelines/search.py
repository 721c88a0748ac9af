"""python -m pipelines.search: the images of a run that are nearest to an image."""

import argparse
from collections.abc import Sequence

from pipelines.cli.parser import FlagParser, refuse_in_one_line
from pipelines.cli.program import report_errors
from transforms.errors import FlagError
from transforms.machine.garbage import exit_at_once
from transforms.machine.noise import quiet_libraries

DESCRIPTION = """\
Finds the images of a published run whose vectors are nearest to that of an image: a file, which
the run's own model embeds, or an image of the run. Prints a table and writes a page. Compares with
every vector, or uses the index of pipelines.index where there is one. Changes nothing of the run.

  python -m pipelines.search vectors/ --image cat.jpg
  python -m pipelines.search vectors/ --image_id photos/cat.jpg --top_k 30 --output cats.html
  python -m pipelines.search vectors/ --export_projector projector/"""

_EPILOG = "exit codes: 0 found; 2 bad flag, image, run or model"
_PAGE = "search.html"
_TOP_K = 10
_MAX_TOP_K = 1000
"""The page holds a picture of each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag, image, run or model."""

    def work() -> int:
        arguments = _make_parser().parse_args(argv)
        _check(arguments)
        with quiet_libraries():
            from pipelines.explore.search_images import (
                search,  # Beam: --help and bad flags do without.
            )

            return search(arguments)

    return report_errors("search", work)


def _make_parser() -> argparse.ArgumentParser:
    parser = FlagParser(
        prog="python -m pipelines.search",
        usage="python -m pipelines.search RUN --image FILE | --image_id ID | "
        "--export_projector DIR [flags]",
        description=DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    refuse_in_one_line(parser)
    add = parser.add_argument
    add(
        "run",
        metavar="RUN",
        help="a run of pipelines.embed, or a refresh's --output_root: then the run that LATEST "
        "names",
    )
    add(
        "--image",
        metavar="FILE",
        action="append",
        default=[],
        help="image to look for, of any file system; repeatable",
    )
    add(
        "--image_id",
        metavar="ID",
        action="append",
        default=[],
        help="image of the run to look for, by its image_id; needs no model; repeatable",
    )
    add(
        "--top_k",
        metavar="N",
        type=int,
        default=_TOP_K,
        help=f"images to find for each (default {_TOP_K})",
    )
    add(
        "--model",
        metavar="HANDLE",
        help="the run's model, if it is no longer where the run found it",
    )
    add("--exact", action="store_true", help="compare with every vector, also if there is an index")
    add("--index", metavar="DIR", help="where pipelines.index put the index (default RUN.index)")
    add("--output", metavar="FILE", default=_PAGE, help=f"the page (default {_PAGE})")
    add(
        "--export_projector",
        metavar="DIR",
        help="write vectors, names and small pictures of at most 10,000 images into an empty or "
        "new directory, for TensorBoard's Embedding Projector",
    )
    return parser


def _check(arguments: argparse.Namespace) -> None:
    """Checks what flags say together.

    Raises:
        FlagError: If it cannot work.
    """
    if not (arguments.image or arguments.image_id or arguments.export_projector):
        raise FlagError("say what to look for: --image FILE or --image_id ID")
    if not 1 <= arguments.top_k <= _MAX_TOP_K:
        raise FlagError(f"--top_k must be from 1 to {_MAX_TOP_K:,}, got {arguments.top_k:,}")
    if arguments.exact and arguments.index:
        raise FlagError("--exact does not use --index; drop one")
    if arguments.model and not arguments.image:
        raise FlagError("--model does nothing without --image; drop it")


if __name__ == "__main__":
    exit_at_once(main())
