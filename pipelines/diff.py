"""python -m pipelines.diff: what became of the images, and of their answers, between two runs."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import EXIT_FAILED, Program, run_program
from pipelines.cli.wording import say
from transforms.errors import FlagError
from transforms.machine.garbage import exit_at_once

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


_RUN = "a run's directory, or a refresh's --output_root: then the run that LATEST names"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffConfig(JsonFlags):
    """The flags of pipelines.diff."""

    before: str = argument(f"the earlier run: {_RUN}", "RUN_A")
    after: str = argument("the later run, likewise", "RUN_B")
    output: str = flag("the page", OPTIONS, "diff.html", metavar="FILE")
    fail_below: float | None = flag(
        "exit with 1 if the verdict is below this, at most 1; 1 wants equality",
        OPTIONS,
        read=float,
        metavar="V",
    )
    k: int = flag("nearest neighbours of an image to compare", OPTIONS, 10, read=int, metavar="K")

    def __post_init__(self) -> None:
        wanted = self.fail_below
        if wanted is not None and not 0 < wanted <= 1:
            raise FlagError(f"--fail_below must be over 0 and at most 1, got {wanted:g}")
        if self.k < 1:
            raise FlagError(f"--k must be at least 1, got {self.k}")


PROGRAM = Program("diff", DiffConfig, DESCRIPTION, usage="RUN_A RUN_B [flags]", epilog=_EPILOG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, _diff)


def _diff(config: DiffConfig) -> Outcome:
    from pipelines.cli.page_file import place_page, write_page
    from pipelines.explore.diff_facts import diff_facts
    from pipelines.explore.diff_page import render_diff
    from pipelines.explore.diff_summary import summarize
    from transforms.machine.extras import import_extra
    from transforms.runs.rows import open_run

    for package in ("faiss", "jinja2"):
        import_extra(package)
    before, after = (open_run(run) for run in (config.before, config.after))
    page = place_page(config.output, before, after)
    found = _compare(before, after, config.k)
    print(summarize(found), flush=True)
    error = None if config.fail_below is None else _judge(found.verdict, config.fail_below)
    write_page(page, render_diff(found, error))
    say("page", config.output)
    facts = {**diff_facts(found), "page": page}
    return Outcome(facts=facts, error=error, exit_code=0 if error is None else EXIT_FAILED)


def _compare(before: "PublishedRun", after: "PublishedRun", k: int) -> "RunDiff":
    from pipelines.cli.bars import counting_bar
    from transforms.explore.run_diff import compare_runs

    # Those that are in both are not known yet: at most so many.
    total = min(sum(shard.rows for shard in run.results) for run in (before, after))
    with counting_bar("comparing", total, "images") as advance:
        return compare_runs(before, after, k, advance)


def _judge(verdict: "Verdict", wanted: float) -> str | None:
    """Says what is wrong with the verdict, if it is too low or there is none."""
    from pipelines.explore.diff_summary import round_down

    if verdict.value is None:
        return f"no verdict, --fail_below is {wanted:g}: {verdict.meaning}"
    if verdict.value < wanted:
        return f"the verdict {round_down(verdict.value)} is below --fail_below {wanted:g}"
    return None


if __name__ == "__main__":
    exit_at_once(main())
