"""What programs say of a run and its model, in words and aligned."""

import datetime
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich import filesize

from transforms.errors import printable
from transforms.models.engine_settings import AUTO

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.models.spec import ModelSpec

REASONS_SHOWN = 8

FATES = ("new", "changed", "unchanged", "deleted", "retried")


def format_summary(
    record: Mapping[str, Any], *, output: str, seconds: float, workers: str = ""
) -> str:
    """Says counts, failures by reason, speed, where the time went, and where the files are.

    Args:
        record: The content of _run.json.
        output: The run directory.
        seconds: Wall time of the run, model loading included.
        workers: Threads or processes that this machine used, or nothing if others did.
    """
    return align(summary_rows(record, output=output, seconds=seconds, workers=workers))


def say(name: str, value: str) -> None:
    """Prints a line of what has been done, or found."""
    print(align([(name, value)]), flush=True)


def warn(text: str) -> None:
    """Prints a warning on stderr."""
    print(f"warning: {printable(text)}", file=sys.stderr)


def align(rows: Iterable[tuple[str, str]], width: int = 9) -> str:
    """Puts (name, value) under one another, as a terminal may show them.

    Args:
        rows: Names and values, which may hold names of anybody's; an empty name goes on with the
            row before.
        width: Characters that the names take, at least.
    """
    return "\n".join(
        f"{printable(name):<{width}} {printable(value)}".rstrip() for name, value in rows
    )


def summary_rows(
    record: Mapping[str, Any], *, output: str, seconds: float, workers: str = ""
) -> list[tuple[str, str]]:
    """Returns the lines of the summary as (name, value)."""
    counts = record["counts"]
    images = counts["written"] + counts["failed"]
    rate = f"{images / seconds:,.1f} images/s" if seconds > 0 else ""
    size_bytes = sum(entry["size_bytes"] for entry in record["files"])
    rows = [
        ("matched", f"{counts['matched']:,}"),
        ("written", f"{counts['written']:,}"),
        ("failed", f"{counts['failed']:,}"),
        *list_reasons(record["failures_by_reason"]),
    ]
    if counts["skipped"]:
        examples = record.get("skipped_examples", {})  # Earlier versions did not write them.
        rows.append(("skipped", f"{counts['skipped']:,}"))
        rows += list_reasons(record["skipped_by_reason"], examples)
    rows += describe_changes(record)
    rows += [
        ("speed", f"{rate} in {seconds:,.1f} s, model loading included"),
        *[("engine", text) for text in describe_engines(record, workers)],
        *[("int8", text) for text in describe_quantization(record)],
        ("time in", describe_shares(record["seconds_by_step"])),
        ("files", f"{len(record['files'])} ({describe_size(size_bytes)}) in {output}"),
    ]
    if counts["failed"]:
        rows.append(("failures", f"{output.rstrip('/')}/_failures.jsonl"))
    return rows


def describe_shares(seconds_by_step: Mapping[str, float]) -> str:
    """Says how the work was shared by the steps, as "read 3 %, decode 21 %, ..."."""
    total = sum(seconds_by_step.values())
    if not total:
        return "no work"
    return ", ".join(f"{step} {part / total:.0%}" for step, part in seconds_by_step.items())


def describe_engines(record: Mapping[str, Any], workers: str = "") -> list[str]:
    """Says what ran the model; several lines only if not every worker did as the others."""
    lines = []
    for engine in record["engines"]:
        size = engine["batch_size"] or record["config"]["batch_size"]
        parts = [f"{engine['engine']} {engine['precision']} on {engine['device']}"]
        if engine["min_cosine"] is not None:
            parts.append(f"cosine to float32 {engine['min_cosine']:.5f}")
        if size != AUTO:
            parts.append(f"{size} images a call")
        lines.append(", ".join([*parts, workers] if workers else parts))
    return lines


def describe_quantization(record: Mapping[str, Any]) -> list[str]:
    """Says what int8 costs; nothing of other precisions."""
    found = record.get("quantization")
    return [] if found is None else [describe_cost(found)]


def describe_cost(found: Mapping[str, Any]) -> str:
    """Says on one line how far an int8 model is from float32, by what _run.json says of it."""
    return (
        f"calibrated on {found['calibration_images']:,} images; of {found['control_images']:,} "
        f"others: cosine {found['cosine_median']:.4f} (least {found['cosine_least']:.4f}), same "
        f"best output {found['top_1_agreement']:.3f}, same ten neighbours "
        f"{found['neighbour_overlap']:.3f}"
    )


def describe_changes(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Says what became of the images since the run before, and what that saved."""
    if "changes" not in record:
        return []
    counts = record["changes"]
    is_first = not any(counts[name] for name in FATES)
    rows = [] if is_first else [(name, f"{counts[name]:,}") for name in FATES]
    twins = f", {counts['duplicate']:,} of them duplicates" if counts["duplicate"] else ""
    rows.append(("saved", f"{record['inferences_saved']:,} inferences{twins}"))
    if record["previous"]:
        rows.append(("since", record["previous"]))
    return rows


def list_reasons(
    counts: Mapping[str, int], examples: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Returns lines of the summary: how many of each reason, the first few, and an example."""
    shown = list(counts.items())[:REASONS_SHOWN]
    such_as = {reason: f", such as {uri}" for reason, uri in (examples or {}).items()}
    rows = [("", f"{count:,} {reason}{such_as.get(reason, '')}") for reason, count in shown]
    rest = sum(counts.values()) - sum(count for _, count in shown)
    return [*rows, ("", f"{rest:,} for other reasons")] if rest else rows


def describe_size(size_bytes: int) -> str:
    """Says a number of bytes in a fitting unit: "182.0 MB"."""
    return filesize.decimal(size_bytes)


def describe_time(seconds: float) -> str:
    """Says a time as hours, minutes and seconds: "0:02:10"."""
    return str(datetime.timedelta(seconds=round(seconds)))


def describe_duration(seconds: float) -> str:
    """Says how long something took, as people say it: "3 minutes", "1 hour 12 minutes"."""
    if seconds < 10:
        return f"{seconds:.1f} seconds"
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} minutes"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _join(count_of(hours, "hour"), count_of(minutes, "minute"))
    days, hours = divmod(hours, 24)
    return _join(count_of(days, "day"), count_of(hours, "hour"))


def count_of(number: int, unit: str) -> str:
    """Says how many there are, such as "2 images"; nothing of none."""
    return f"{number:,} {unit}{'s' * (number != 1)}" if number else ""


def _join(*parts: str) -> str:
    return " ".join(filter(None, parts))


def called_as(spec: "ModelSpec") -> str:
    """Says what of a model is called."""
    called = {
        "callable": "the object itself",
        "signature": f"signature {spec.endpoint}",
        "graph": f"the graph of {spec.endpoint}",
    }
    return called.get(spec.kind, f"sub-callable {spec.endpoint}")


def describe_contract(
    spec: "ModelSpec", image_size: tuple[int, int], pixel_range: tuple[float, float]
) -> str:
    """Says on one line what is called, with what, and what comes out.

    Args:
        spec: The model.
        image_size: (height, width) in pixels of what it will get.
        pixel_range: Smallest and largest value of a pixel that it will get.
    """
    height, width = image_size
    low, high = pixel_range
    return (
        f"{called_as(spec)}, {spec.dtype} [{spec.batch_size or 'batch'}, {height}, {width}, 3] "
        f"from {low:g} to {high:g} in, float32 [batch, {spec.output_dim or 'not declared'}] out"
    )
