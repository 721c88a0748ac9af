"""python -m pipelines.search: the images of a run that are nearest to an image."""

from collections.abc import Sequence

from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.search_flags import SearchConfig
from transforms.machine.garbage import exit_at_once

DESCRIPTION = """\
Finds the images of a published run whose vectors are nearest to that of an image: a file, which
the run's own model embeds, or an image of the run. Prints a table and writes a page. Compares with
every vector, or uses the index of pipelines.index where there is one. Changes nothing of the run.

  python -m pipelines.search vectors/ --image cat.jpg
  python -m pipelines.search vectors/ --image_id photos/cat.jpg --top_k 30 --output cats.html
  python -m pipelines.search vectors/ --export_projector projector/"""

_USAGE = "RUN --image FILE | --image_id ID | --export_projector DIR [flags]"
_EPILOG = "exit codes: 0 found; 2 bad flag, image, run or model"


PROGRAM = Program("search", SearchConfig, DESCRIPTION, usage=_USAGE, epilog=_EPILOG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag, image, run or model."""
    return run_program(argv, PROGRAM, _search)


def _search(config: SearchConfig) -> Outcome:
    from pipelines.explore.search_images import search  # Beam: --help and bad flags do without.

    return search(config)


if __name__ == "__main__":
    exit_at_once(main())
