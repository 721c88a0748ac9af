"""python -m pipelines.report: a published run as one page to look at."""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.cli.flag import OPTIONS, argument, flag
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.wording import describe_size, say
from transforms.machine.garbage import exit_at_once

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from pipelines.explore.note import Note
    from pipelines.explore.report_classes import ClassSection
    from pipelines.explore.report_vectors import VectorSection
    from transforms.explore.input_survey import InputSurvey
    from transforms.runs.record import PublishedRun

DESCRIPTION = """\
Writes one HTML page about a published run: counts, time, model and preprocessing, failures by
reason, and images. Of vectors: whether they are healthy, near-duplicates, nearest neighbours, a
map. Of classes: how frequent they are, the most and the least certain images. The page needs no
network and runs no script of others. It says so of an image that is gone since the run.

  python -m pipelines.report vectors/
  python -m pipelines.report gs://bucket/labels --output labels.html"""

_PICTURE_PIXELS = 256

_EPILOG = "exit codes: 0 written; 2 bad flag, or a RUN that cannot be read"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig(JsonFlags):
    """The flags of pipelines.report."""

    run: str = argument(
        "a run's directory, or a refresh's --output_root: then the run that LATEST names", "RUN"
    )
    output: str = flag(
        "the page; one that is there is replaced", OPTIONS, "report.html", metavar="FILE"
    )


PROGRAM = Program("report", ReportConfig, DESCRIPTION, usage="RUN [--output FILE]", epilog=_EPILOG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag or run."""
    return run_program(argv, PROGRAM, _report)


def _report(config: ReportConfig) -> Outcome:
    """Writes the page and prints a summary.

    Raises:
        UserError: If the run cannot be read, or the page cannot be there.
    """
    started = time.perf_counter()
    # Beam: --help and a bad flag do not wait for it.
    from pipelines.cli.page_file import place_page, write_page
    from pipelines.explore.report_facts import (
        describe_model,
        describe_preprocessing,
        describe_run,
        list_stages,
        note_run,
        published_at,
    )
    from pipelines.explore.report_failures import show_failures
    from pipelines.explore.report_images import show_images
    from pipelines.explore.report_inputs import show_inputs
    from transforms.explore.input_survey import InputSurvey
    from transforms.explore.page import render_page
    from transforms.machine.extras import import_extra
    from transforms.runs.recipe import has_statistics
    from transforms.runs.rows import open_run

    import_extra("jinja2")
    run = open_run(config.run)
    page = place_page(config.output, run)
    inputs = InputSurvey()
    failures = show_failures(run, _PICTURE_PIXELS)
    vectors, classes = _look_at_rows(run, inputs)
    section = vectors or classes
    notes = [*note_run(run), *(section.notes if section else [])]
    pictures = (card.thumbnail for card in section.cards.values()) if section else ()
    looks = (
        show_images(run, _PICTURE_PIXELS)
        if section and has_statistics(run.record["recipe"])
        else None
    )
    html = render_page(
        "report.html",
        vectors.data if vectors else None,
        title=f"{run.name}: {run.record['counts']['written']:,} images",
        directory=run.directory,
        published=published_at(run),
        notes=notes,
        facts=describe_run(run),
        stages=list_stages(run.record),
        model=describe_model(run.record),
        preprocessing=describe_preprocessing(run.record),
        warnings=run.record["warnings"],
        skipped=run.record["skipped_by_reason"],
        failures=failures,
        inputs=show_inputs(inputs, run.record, pictures) if section else None,
        looks=looks,
        vectors=vectors,
        classes=classes,
    )
    size_bytes = write_page(page, html)
    _print_summary(run, notes)
    seconds = time.perf_counter() - started
    say("page", f"{config.output} ({describe_size(size_bytes)}), in {seconds:.1f} s")
    facts = {
        "run": run.directory,
        "counts": run.record["counts"],
        "notes": [{"text": note.sentence, "is_bad": note.is_bad} for note in notes],
        "page": page,
        "page_bytes": size_bytes,
        "seconds": round(seconds, 3),
    }
    return Outcome(facts=facts)


def _look_at_rows(
    run: "PublishedRun", inputs: "InputSurvey"
) -> "tuple[VectorSection | None, ClassSection | None]":
    """Measures what the run's program wrote; shows how far it is where someone looks on."""
    from rich.console import Console

    from pipelines.explore.report_classes import show_classes
    from pipelines.explore.report_vectors import show_vectors

    total = sum(shard.rows for shard in run.results)
    if not total:
        return None, None
    done = 0
    with Console(stderr=True).status("reading") as status:

        def on_rows(count: int) -> None:
            nonlocal done
            done += count
            status.update(f"reading {done:,} of {total:,} rows")

        if run.record["recipe"]["program"] == "embed":
            return show_vectors(run, inputs, _PICTURE_PIXELS, on_rows, status.update), None
        return None, show_classes(run, inputs, _PICTURE_PIXELS, on_rows, status.update)


def _print_summary(run: "PublishedRun", notes: "Iterable[Note]") -> None:
    counts: dict[str, Any] = run.record["counts"]
    images = ", ".join(f"{counts[name]:,} {name}" for name in ("written", "failed", "skipped"))
    say("run", run.directory)
    say("images", images)
    for note in notes:
        say("look at" if note.is_bad else "note", note.sentence)


if __name__ == "__main__":
    exit_at_once(main())
