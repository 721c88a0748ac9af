"""What pipelines.report says of a run by its record alone."""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipelines.cli.wording import (
    count_of,
    describe_changes,
    describe_duration,
    describe_engines,
    describe_size,
)
from pipelines.explore.note import Note
from transforms.files.file_systems import FileSystems, look_at
from transforms.runs.directory import SUCCESS_FILE
from transforms.runs.record import PublishedRun

Facts = list[tuple[str, str]]

_FINGERPRINT_CHARS = 16
_RESIZED = {
    "squash": "the aspect ratio is not kept",
    "crop": "after cutting out the centre",
    "pad": "the whole image fitted in, the rest black",
}
_RANGES = {
    "0,1": "from 0 to 1",
    "-1,1": "from -1 to 1",
    "0,255": "from 0 to 255",
    "imagenet": "less ImageNet's mean, over its deviation",
    "caffe": "blue first, from 0 to 255, less ImageNet's mean",
}


class Stage(NamedTuple):
    """A step's part of the work.

    Attributes:
        name: The step.
        duration: Words for the wall time of all threads together.
        share: Share of the seconds of all steps, from 0 to 1.
    """

    name: str
    duration: str
    share: float


def describe_run(run: PublishedRun) -> Facts:
    """Says how many images there were, how long it took, and what came out."""
    record = run.record
    counts = record["counts"]
    facts = [
        ("matched", f"{counts['matched']:,}"),
        ("written", f"{counts['written']:,}"),
        ("failed", _part(counts["failed"], _images(counts))),
        *([("skipped", f"{counts['skipped']:,}")] if counts["skipped"] else []),
        *_describe_work(record),
        ("files", _describe_files(record)),
    ]
    return facts + [(name, text) for name, text in describe_changes(record) if name]


def describe_model(record: Mapping[str, Any]) -> Facts:
    """Says which model it was, and how it was called."""
    model = record["model"]
    endpoint = " ".join(part for part in (model["endpoint"], model["output_key"]) if part)
    outputs = [
        f"{name} {value}"
        for name, value in record["recipe"]["outputs"].items()
        if name not in ("format", "labels", "image_statistics") and value is not None
    ]
    return [
        ("model", model["handle"]),
        ("fingerprint", model["fingerprint"][:_FINGERPRINT_CHARS]),
        ("called", f"{model['kind']} {endpoint}"),
        ("output", f"{model['output_dim'] or 'unknown'} numbers, {', '.join(outputs)}"),
        *[("engine", text) for text in describe_engines(record)],
    ]


def describe_preprocessing(record: Mapping[str, Any]) -> str:
    """Says in words what was done to every image."""
    policy = record["preprocessing"]
    height, width = policy["image_size"]
    filtered = "with" if policy["antialias"] else "without"
    crop = f" ({policy['crop_fraction']:g} of it)" if policy["resize_mode"] == "crop" else ""
    turned = "turned upright by EXIF" if policy["exif"] == "apply" else "not turned by EXIF"
    profile = ", colours turned into sRGB" if policy.get("color_profile") == "srgb" else ""
    fast = ", large JPEG photos at a part of their size" if policy["decode"] == "fast" else ""
    return (
        f"Decoded to RGB{fast}{profile}, {turned}, "
        f"resized to {height} x {width} pixels (height x width; "
        f"{_RESIZED[policy['resize_mode']]}{crop}) by {policy['interpolation']} interpolation "
        f"{filtered} antialiasing; pixels {_RANGES[policy['input_range']]}, {policy['dtype']}. "
        f"Images of more than {policy['max_image_pixels']:,} pixels or "
        f"{describe_size(policy['max_image_bytes'])} fail."
    )


def list_stages(record: Mapping[str, Any]) -> list[Stage]:
    """Returns how the work was shared by the steps; empty if nothing was computed."""
    seconds = record["seconds_by_step"]
    total = sum(seconds.values())
    if not total:
        return []
    return [Stage(name, describe_duration(part), part / total) for name, part in seconds.items()]


def note_run(run: PublishedRun) -> list[Note]:
    """Says what is unusual about the counts and the warnings."""
    counts = run.record["counts"]
    notes = []
    if counts["failed"]:
        text = f"{counts['failed']:,} of {_images(counts):,} images failed"
        notes.append(Note(text, "failures", is_bad=True))
    doubts = any(result.range_doubt for result in run.results)
    if doubts:
        text = "the first images speak for another range of pixels"
        notes.append(Note(text, "warnings", is_bad=True))
    if count := len(run.record["warnings"]) - doubts:
        text = f"{count_of(count, 'warning')} while it ran"
        notes.append(Note(text, "warnings", is_bad=True))
    return notes


def _images(counts: Mapping[str, int]) -> int:
    """Returns how many images there were; what was skipped is none."""
    return counts["written"] + counts["failed"]


def _part(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if count else "0"


def _describe_work(record: Mapping[str, Any]) -> Facts:
    """Says how long the steps took; wall time is no part of a record."""
    seconds = sum(record["seconds_by_step"].values())
    computed = _images(record["counts"]) - record.get("inferences_saved", 0)
    if not seconds or not computed:
        return [("work", "nothing was computed")]
    speed = f"{computed / seconds:,.1f} images/s a thread"
    return [("work of all threads", describe_duration(seconds)), ("speed", speed)]


def _describe_files(record: Mapping[str, Any]) -> str:
    size_bytes = sum(entry["size_bytes"] for entry in record["files"])
    rows = [entry["rows"] for entry in record["files"]] or [0]
    spread = f"{min(rows):,} to {max(rows):,} rows" if len(rows) > 1 else f"{rows[0]:,} rows"
    output_format = record["recipe"]["outputs"]["format"]
    return f"{len(record['files']):,} {output_format}, {describe_size(size_bytes)}, {spread}"


def published_at(run: PublishedRun) -> datetime.datetime | None:
    """Returns when the run was published; None if its storage does not know."""
    updated = look_at(FileSystems.join(run.directory, SUCCESS_FILE)).last_updated_in_seconds
    return datetime.datetime.fromtimestamp(updated, datetime.UTC) if updated else None
