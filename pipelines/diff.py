"""python -m pipelines.diff: what became of the images, and of their answers, between two runs."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.cli.parser import refuse_in_one_line
from pipelines.cli.program import report_errors
from transforms.errors import FlagError, RunError
from transforms.machine.garbage import exit_at_once
from transforms.machine.noise import quiet_libraries

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.explore.run_diff import RunDiff, Verdict
    from transforms.runs.record import PublishedRun

DESCRIPTION = """\
Compares two published runs of pipelines.embed, or two of pipelines.classify: which images were
added, removed, changed or moved; how far their vectors, neighbours or classes differ; and what
differs in how the runs were made. Writes a page with the most changed images. Changes no run.

  python -m pipelines.diff nightly/2026-11-23T02-15-04Z nightly/
  python -m pipelines.diff vectors_float32/ vectors_bfloat16/ --fail_below 0.99

The verdict is one number, on the images whose content is the same in both runs. Of vectors by one
model it is the cosine that 99% of them reach. Of vectors by two models, or of two lengths, it is
the share of their nearest neighbours that are the same. Of classes it is the share of them whose
best class is the same."""

_EPILOG = """\
exit codes: 0 compared; 1 the verdict is below --fail_below, or there is none; 2 bad flag or run"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""

    def work() -> int:
        arguments = _make_parser().parse_args(argv)
        _check(arguments)
        with quiet_libraries():
            return _run(arguments)

    return report_errors("diff", work)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.diff",
        description=DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    refuse_in_one_line(parser)
    add = parser.add_argument
    run = "a run's directory, or a refresh's --output_root: then the run that LATEST names"
    add("before", metavar="RUN_A", help=f"the earlier run: {run}")
    add("after", metavar="RUN_B", help="the later run, likewise")
    add("--output", metavar="FILE", default="diff.html", help="the page (default diff.html)")
    add(
        "--fail_below",
        metavar="V",
        type=float,
        help="exit with 1 if the verdict is below this, at most 1; 1 wants equality",
    )
    add(
        "--k",
        metavar="K",
        type=int,
        default=10,
        help="nearest neighbours of an image to compare (default 10)",
    )
    return parser


def _check(arguments: argparse.Namespace) -> None:
    """Checks the flags.

    Raises:
        FlagError: If one cannot work.
    """
    wanted = arguments.fail_below
    if wanted is not None and not 0 < wanted <= 1:
        raise FlagError(f"--fail_below must be over 0 and at most 1, got {wanted:g}")
    if arguments.k < 1:
        raise FlagError(f"--k must be at least 1, got {arguments.k}")


def _run(arguments: argparse.Namespace) -> int:
    from pipelines.cli.page_file import place_page, write_page
    from pipelines.explore.diff_page import render_diff
    from pipelines.explore.diff_summary import summary_lines
    from transforms.machine.extras import import_extra
    from transforms.runs.rows import open_run

    for package in ("faiss", "jinja2"):
        import_extra(package)
    before, after = (open_run(run) for run in (arguments.before, arguments.after))
    page = place_page(arguments.output, before, after)
    found = _compare(before, after, arguments.k)
    for line in summary_lines(found):
        print(line, flush=True)
    write_page(page, render_diff(found))
    print(f"{'page':<9} {arguments.output}", flush=True)
    if arguments.fail_below is not None:
        _judge(found.verdict, arguments.fail_below)
    return 0


def _compare(before: "PublishedRun", after: "PublishedRun", k: int) -> "RunDiff":
    from pipelines.cli.counting_bar import counting_bar
    from transforms.explore.run_diff import compare_runs

    # Those that are in both are not known yet: at most so many.
    total = min(sum(shard.rows for shard in run.results) for run in (before, after))
    with counting_bar("comparing", total, "images") as advance:
        return compare_runs(before, after, k, advance)


def _judge(verdict: "Verdict", wanted: float) -> None:
    """Checks the verdict.

    Raises:
        RunError: If it is too low, or there is none.
    """
    from pipelines.explore.diff_summary import round_down

    if verdict.value is None:
        raise RunError(f"no verdict, --fail_below is {wanted:g}: {verdict.meaning}")
    if verdict.value < wanted:
        shown = round_down(verdict.value)
        raise RunError(f"the verdict {shown} is below --fail_below {wanted:g}")


if __name__ == "__main__":
    exit_at_once(main())
