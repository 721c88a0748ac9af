"""From flags to a run judged by labels: summary, page, and outcome."""

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

from pipelines.cli.bars import counting_bar
from pipelines.cli.evaluate_flags import EvaluateConfig
from pipelines.cli.outcome import Outcome
from pipelines.cli.page_file import place_page, write_page
from pipelines.cli.program import EXIT_FAILED
from pipelines.cli.train_flags import PARENT_DIR
from pipelines.cli.wording import align, say
from pipelines.explore.comparison_page import render_comparison
from pipelines.explore.comparison_summary import summarize_comparison
from pipelines.explore.evaluation_facts import comparison_facts, evaluation_facts
from pipelines.explore.evaluation_page import render_evaluation
from pipelines.explore.evaluation_summary import summarize
from transforms.evaluation.comparison import compare
from transforms.evaluation.evaluation import Evaluation, evaluate
from transforms.evaluation.truth import Truth, read_truth
from transforms.machine.extras import import_extra
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run

_Result = TypeVar("_Result")


def evaluate_run(config: EvaluateConfig) -> Outcome:
    """Judges; returns the outcome.

    Raises:
        UserError: If a run, a flag or the labels cannot work.
    """
    for package in ("faiss", "jinja2", "scipy"):
        import_extra(package)
    run = open_run(config.run)
    other = open_run(config.compare) if config.compare is not None else None
    page = place_page(config.output, run, *([other] if other else []))
    column = None if config.label_from == PARENT_DIR else config.label_from
    truth = read_truth(run, config.labels_csv, column)
    print(align(_introduce(run, other, truth)), flush=True)
    if other is None:
        found = _reading([run], lambda on_rows: evaluate(run, truth, on_rows))
        print(summarize(found), flush=True)
        facts, html = evaluation_facts(found), render_evaluation(found)
    else:
        compared = _reading([run, other], lambda on_rows: compare(run, other, truth, on_rows))
        found = compared.first
        print(summarize_comparison(compared), flush=True)
        facts, html = comparison_facts(compared), render_comparison(compared)
    write_page(page, html)
    say("page", config.output)
    wanted = config.assert_accuracy_at_least
    error = None if wanted is None else _judge(found, wanted)
    exit_code = 0 if error is None else EXIT_FAILED
    return Outcome(facts={**facts, "page": page}, error=error, exit_code=exit_code)


def _introduce(
    run: PublishedRun, other: PublishedRun | None, truth: Truth
) -> Iterator[tuple[str, str]]:
    for name, it in (("run", run), ("compare", other)):
        if it is not None:
            counts = it.record["counts"]
            failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
            yield name, f"{it.directory}, {counts['written']:,} images{failed}"
    yield "labels", f"{len(truth):,} images of {len(truth.names):,} classes, by {truth.origin}"


def _reading(
    runs: list[PublishedRun], work: Callable[[Callable[[int], object]], _Result]
) -> _Result:
    # Vectors are read twice; classes at once.
    total = 2 * sum(shard.rows for run in runs for shard in run.results)
    with counting_bar("reading", total, "rows") as advance:
        return work(advance)


def _judge(found: Evaluation, wanted: float) -> str | None:
    """Says that the accuracy is too low, if it is."""
    value = found.accuracy.value
    if value < wanted:
        # Rounded down: it does not look as if it were reached.
        shown = math.floor(value * 1e6) / 1e6
        return f"the accuracy {shown:.6f} is below --assert_accuracy_at_least {wanted:g}"
    return None
