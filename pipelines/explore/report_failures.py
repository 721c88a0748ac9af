"""What pipelines.report shows of the images that failed."""

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.errors import ImageError, InputError
from transforms.explore.image_cards import Sheet, make_card
from transforms.explore.thumbnails import Thumbnail, read_thumbnails
from transforms.failure import CUT_SHORT, STOPPED_DECODER
from transforms.runs.failures import FailureGroup, group_failures
from transforms.runs.record import PublishedRun
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI

_REASONS_SHOWN = 20
_MAX_MESSAGE_CHARS = 400
_LOST = ": files that end early; how many images are missing is not known"


class FailureSection(NamedTuple):
    """What the page shows of failures.

    Attributes:
        sheets: Some failures of each of the most frequent reasons; empty if there are none.
        path: The file that has all.
        retry: The command that tries them again; empty of a refresh, whose next one does.
    """

    sheets: list[Sheet]
    path: str
    retry: str


def show_failures(run: PublishedRun, side_pixels: int) -> FailureSection:
    """Returns some failures of each of the most frequent reasons.

    An image that can be drawn is, and what is left of a damaged one. None is that a decoder hung or
    died of: here it would be this process.

    Args:
        run: The run.
        side_pixels: Longest side of a picture.

    Raises:
        InputError: If _failures.jsonl cannot be read.
    """
    try:
        groups = group_failures(run.failures_path)
    except (ImageError, OSError) as error:
        raise InputError(f"{run.failures_path} cannot be read: {error}") from error
    sheets = [_show(run, group, side_pixels) for group in groups[:_REASONS_SHOWN]]
    return FailureSection(sheets, run.failures_path, _retry(run.record, run.directory))


def _retry(record: Mapping[str, Any], directory: str) -> str:
    if record["config"].get("output_root"):
        return ""
    program = record["recipe"]["program"]
    run, output = shlex.quote(directory), shlex.quote(f"{directory}_retried")
    return f"python -m pipelines.{program} --retry_failed {run} --output {output}"


def _show(run: PublishedRun, group: FailureGroup, side_pixels: int) -> Sheet:
    columns = {name: [example[name] for example in group.examples] for name in (IMAGE_ID, URI)}
    table = pa.table({**columns, CONTENT_SHA256: [""] * len(group.examples)})
    thumbnails = [Thumbnail(b"", "")] * len(table)
    if group.reason not in STOPPED_DECODER:
        thumbnails = read_thumbnails(run.record, table, side_pixels, damaged=True)
    # That one differs from the run's says nothing here: what failed has no content to compare with.
    cards = [
        make_card(example[URI], Thumbnail(thumbnail.jpeg, ""))
        for example, thumbnail in zip(group.examples, thumbnails, strict=True)
    ]
    note = _LOST if group.reason in CUT_SHORT else ""
    more = group.failures - len(cards)
    some = f", {len(cards)} of them here" if more else ""
    texts = [_message(example) for example in group.examples]
    return Sheet(f"{group.failures:,} {group.reason}{some}{note}", cards, texts)


def _message(example: Mapping[str, str]) -> str:
    message = example["message"]
    cut = message[: _MAX_MESSAGE_CHARS - 1]
    return message if len(message) <= _MAX_MESSAGE_CHARS else f"{cut}…"
