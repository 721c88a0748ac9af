"""_run.json by itself: whether it is well formed, and whether its numbers add up."""

import collections
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from transforms.errors import brief
from transforms.failure import CUT_SHORT, UNOPENED
from transforms.records import ShardKey
from transforms.results import ShardResult
from transforms.runs.directory import RUN_FILE, STEMS, data_file_name, inputs_file_name
from transforms.runs.finding import Finding
from transforms.runs.footers import value_at
from transforms.runs.formats import FORMATS
from transforms.runs.record import READ_FORMAT_VERSIONS, result_from_dict

SHA256 = re.compile(r"[0-9a-f]{64}")

_COUNTS = ("matched", "written", "failed", "skipped")
_TYPES = {int: "a whole number", str: "a string", dict: "an object", list: "a list"}
_NEEDED: Mapping[str, type] = {
    **{f"counts.{name}": int for name in _COUNTS},
    "failures_by_reason": dict,
    "skipped_by_reason": dict,
    "files": list,
    "recipe.program": str,
    "recipe.outputs.format": str,
    "columns.carry_columns": dict,
    "model.fingerprint": str,
    "preprocessing.fingerprint": str,
}
_CHOICES = {
    "recipe.program": tuple(STEMS),
    "recipe.outputs.format": FORMATS,
    "recipe.outputs.embedding_dtype": ("float32", "float16"),
}


def check_form(record: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks that _run.json is of a format that is read and has what the other checks need."""
    version = record.get("run_format_version")
    if version not in READ_FORMAT_VERSIONS:
        *others, last = map(str, READ_FORMAT_VERSIONS)
        wanted = f"{', '.join(others)} or {last}"
        yield Finding(RUN_FILE, "run_format_version", repr(version), wanted)
        return
    for name, kind in _NEEDED.items():
        value = value_at(record, name)
        if type(value) is not kind:
            yield Finding(RUN_FILE, name, repr(value), _TYPES[kind])
    for name in ("failures_by_reason", "skipped_by_reason"):
        counts = record.get(name)
        if isinstance(counts, dict) and not all(map(_is_count, counts.values())):
            yield Finding(RUN_FILE, name, repr(counts), "a count for each reason")
    for name, choices in _CHOICES.items():
        value = value_at(record, name)
        if name in _NEEDED:
            is_open = isinstance(value, str)  # Otherwise it is told already.
        else:
            is_open = value_at(record, "recipe.program") == "embed"
        if is_open and value not in choices:
            yield Finding(RUN_FILE, name, repr(value), " or ".join(choices))


def read_entries(
    record: Mapping[str, Any], directory: str
) -> Generator[Finding, None, list[ShardResult]]:
    """Reads the entries of files, which check_form has found to be a list.

    Args:
        record: The content of _run.json.
        directory: The run.

    Returns:
        The shards whose entry is well formed, in order.
    """
    shards = []
    for place, entry in enumerate(record["files"]):
        try:
            shards.append(_read_entry(record, place, directory))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else brief(error)
            yield Finding(RUN_FILE, f"files[{place}]", what, "an entry as a run writes it")
            continue
        if entry["failed"] != shards[-1].failed:
            failed = f"{shards[-1].failed}, the sum of its failures"
            yield Finding(RUN_FILE, f"files[{place}].failed", str(entry["failed"]), failed)
    return shards


def check_counts(record: Mapping[str, Any], shards: list[ShardResult]) -> Iterator[Finding]:
    """Checks that the counts of the run are the sums of what they count."""
    counts, failures = record["counts"], record["failures_by_reason"]
    by_reason: collections.Counter[str] = collections.Counter()
    for shard in shards:
        by_reason.update(shard.failures)
    together = sum(counts[name] for name in _COUNTS[1:])
    sums = (
        ("counts.matched", counts["matched"], together, "written + failed + skipped"),
        ("counts.written", counts["written"], sum(s.rows for s in shards), "the sum over files"),
        ("counts.failed", counts["failed"], by_reason.total(), "the sum over files"),
        (
            "counts.skipped",
            counts["skipped"],
            sum(record["skipped_by_reason"].values()),
            "the sum of skipped_by_reason",
        ),
    )
    for name, got, wanted, of_what in sums:
        if got != wanted:
            yield Finding(RUN_FILE, name, str(got), f"{wanted}, {of_what}")
    if failures != by_reason:
        wanted = f"{format_counts(by_reason)}, the sums over files"
        yield Finding(RUN_FILE, "failures_by_reason", format_counts(failures), wanted)


def check_files(shards: list[ShardResult]) -> Iterator[Finding]:
    """Checks that the files of a shard have its images between them, and that spans join."""
    next_images: dict[str, int | None] = {}
    for shard in shards:
        known = sum(account.images for account in shard.files)
        ends = sum(shard.failures.get(name, 0) for name in CUT_SHORT | UNOPENED)
        if shard.files and known != shard.images - ends:
            name = f"files[{shard.shard.index}].input, images"
            yield Finding(RUN_FILE, name, str(known), f"{shard.images - ends}, of all its files")
        if not shard.files or (span := shard.files[0].file.span) is None:
            continue
        uri = shard.files[0].file.uri
        name = f"files[{shard.shard.index}].input.span of {uri}"
        wanted = next_images.get(uri, 0)
        if span.first_image != wanted:
            yield Finding(RUN_FILE, f"{name}, first_image", str(span.first_image), str(wanted))
        if not ends and span.images not in (None, shard.images):
            yield Finding(RUN_FILE, f"{name}, images", str(shard.images), str(span.images))
        next_images[uri] = None if span.images is None else span.first_image + span.images
    for uri, next_image in next_images.items():
        if next_image is not None:
            yield Finding(RUN_FILE, f"spans of {uri}", f"end at {next_image}", "one to its end")


def format_counts(counts: Mapping[str, int]) -> str:
    """Writes counts as "decode/CorruptImage 2, read/NotFound 1"."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _read_entry(record: Mapping[str, Any], place: int, directory: str) -> ShardResult:
    entry, count = record["files"][place], len(record["files"])
    shard = ShardKey(place, count)
    if list(entry["shard"]) != [place, count]:
        raise ValueError(f"shard {entry['shard']} instead of {[place, count]}")
    stem, output_format = STEMS[record["recipe"]["program"]], record["recipe"]["outputs"]["format"]
    inputs = entry["inputs"]
    for path, wanted in (
        (entry["path"], data_file_name(stem, shard, output_format)),
        (inputs["path"], inputs_file_name(shard)),
    ):
        if path != wanted:
            raise ValueError(f"path {path!r} instead of {wanted!r}")
    numbers = [entry["rows"], entry["failed"], entry["size_bytes"], inputs["size_bytes"]]
    if not all(map(_is_count, [*numbers, *entry["failures"].values()])):
        raise ValueError("rows, failed, failures or size_bytes that are no counts")
    given = entry["input"] or []
    for file in given if isinstance(given, list) else [given]:
        span = file.get("span")
        if span and not all(_is_count(part) for part in span.values() if part is not None):
            raise ValueError("a span that is no counts")
        if not _is_count(file.get("images", 0)):
            raise ValueError("images of a file that are no count")
    if not all(SHA256.fullmatch(part["sha256"]) for part in (entry, inputs)):
        raise ValueError("a sha256 that is not 64 hexadecimal digits")
    return result_from_dict(entry, directory)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
