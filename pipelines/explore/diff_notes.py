"""What the page of diff says first."""

from collections.abc import Iterator

from pipelines.cli.wording import count_of
from pipelines.explore.diff_summary import count_rows
from pipelines.explore.note import Note
from transforms.explore.run_diff import RunDiff


def note_diff(found: RunDiff, complaint: str | None) -> Iterator[Note]:
    """Says what is wrong, and what has changed.

    Args:
        found: The comparison.
        complaint: What is wrong with the verdict, if someone has set a limit on it.
    """
    if complaint is not None:
        yield Note(complaint, "answers" if len(found.join) else "making", is_bad=True)
    counts = count_rows(found)
    if counts["failing"]:
        yield Note(f"{count_of(counts['failing'], 'image')} fail now", "images", is_bad=True)
    if found.vectors is not None:
        yield from _note_vectors(found)
    if found.labels is not None:
        flips = int(found.labels.is_flip.sum())
        if flips:
            yield Note(f"{count_of(flips, 'image')} of another class", "flips")
        if found.labels.matched_by == "class_label":
            text = "the lists of labels differ: classes are the same if their texts are"
            yield Note(text, "making", is_bad=True)
    for name in ("changed", "moved", "added", "removed", "recovered"):
        if counts[name]:
            where = "images" if name != "changed" else "answers"
            yield Note(f"{counts[name]:,} {name}", where)
    if count := len(found.making["recipe"]):
        yield Note(f"the runs differ in {count_of(count, 'setting')}", "making")


def _note_vectors(found: RunDiff) -> Iterator[Note]:
    assert found.vectors is not None, "the caller has looked"
    if not found.vectors.has_cosines:
        before, after = found.vectors.dims
        text = (
            f"vectors of {before:,} numbers before and of {after:,} after have no cosine; their "
            "neighbours can be compared"
        )
        yield Note(text, "answers", is_bad=True)
    elif not found.has_same_model:
        text = (
            "the models differ: cosines between their vectors may mean nothing; their neighbours "
            "can be compared"
        )
        yield Note(text, "answers", is_bad=True)
