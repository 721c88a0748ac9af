"""What evaluate says on the terminal of two runs."""

from collections.abc import Iterator

from pipelines.cli.wording import align
from pipelines.explore.evaluation_summary import note_classes, note_vectors
from transforms.evaluation.comparison import ComparedMeasure, Comparison
from transforms.evaluation.evaluation import Evaluation

HEADINGS = ("", "run", "compare", "change", "better", "worse", "p")

_LEAST_P = 1e-4


def summarize_comparison(compared: Comparison) -> str:
    """Says both runs' numbers side by side."""
    return align(_rows(compared))


def note_comparison(compared: Comparison) -> Iterator[str]:
    """Says which images were left out, and what there is to say of each run's."""
    if compared.left_out:
        yield f"labelled images that are not in the second run, not counted: {compared.left_out:,}"
    if compared.changed:
        yield f"images of another content there, not counted: {compared.changed:,}"
    for name, found in (("run", compared.first), ("compare", compared.second)):
        yield from (f"{name}: {note}" for note in _notes(found))


def list_measures(compared: Comparison) -> Iterator[list[str]]:
    """Returns the rows of the table that HEADINGS head."""
    for it in compared.measures:
        yield [it.first.name, *_numbers(it)]


def describe_test(compared: Comparison) -> list[str]:
    """Says what better, worse and p are, a line each."""
    return [
        f"images asked about, of the same content in both: {len(compared.places):,}",
        "better, worse: images for which the second run is, by that number",
        "p: probability of such a difference if neither were better (exact sign test; of what is "
        "right or wrong that is McNemar's)",
    ]


def _rows(compared: Comparison) -> Iterator[tuple[str, str]]:
    for note in (*compared.first.truth.notes, *note_comparison(compared)):
        yield "", note
    for place, (name, *columns) in enumerate([list(HEADINGS), *list_measures(compared)]):
        numbers = "  ".join(f"{column:>8}" for column in columns)
        yield "" if place else "both", f"{name:<17} {numbers}"
    yield from (("", line) for line in describe_test(compared))


def _numbers(it: ComparedMeasure) -> list[str]:
    change = it.second.value - it.first.value
    numbers = [f"{it.first.value:.4f}", f"{it.second.value:.4f}", f"{change:+.4f}"]
    if it.test is None:
        return [*numbers, "", "", ""]
    p = f"<{_LEAST_P:g}" if it.test.p_value < _LEAST_P else f"{it.test.p_value:.4f}"
    return [*numbers, f"{it.test.better:,}", f"{it.test.worse:,}", p]


def _notes(found: Evaluation) -> Iterator[str]:
    if found.vectors is not None:
        yield from note_vectors(found.vectors)
    elif found.classes is not None:
        yield from note_classes(found.classes)
