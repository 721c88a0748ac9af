"""What pipelines.report shows of the images that failed."""

from collections.abc import Mapping

import pyarrow as pa

from transforms.errors import ImageError, InputError
from transforms.explore.image_cards import ImageCard, Sheet, make_card
from transforms.explore.thumbnails import Thumbnail, read_thumbnails
from transforms.failure import CUT_SHORT
from transforms.runs.failures import FailureGroup, group_failures
from transforms.runs.record import PublishedRun
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI

_REASONS_SHOWN = 20
_MAX_MESSAGE_CHARS = 400
_THUMBNAIL_PIXELS = 96
_LOST = ": files that end early; how many images are missing is not known"


def show_failures(run: PublishedRun) -> list[Sheet]:
    """Returns some failures of each of the most frequent reasons.

    An image that can be drawn, for it was the model that failed or a limit of time, is.

    Raises:
        InputError: If _failures.jsonl cannot be read.
    """
    try:
        groups = group_failures(run.failures_path)
    except (ImageError, OSError) as error:
        raise InputError(f"{run.failures_path} cannot be read: {error}") from error
    return [_show(run, group) for group in groups[:_REASONS_SHOWN]]


def _show(run: PublishedRun, group: FailureGroup) -> Sheet:
    columns = {name: [example[name] for example in group.examples] for name in (IMAGE_ID, URI)}
    table = pa.table({**columns, CONTENT_SHA256: [""] * len(group.examples)})
    thumbnails = read_thumbnails(run.record, table, _THUMBNAIL_PIXELS)
    cards = [_card(*pair) for pair in zip(group.examples, thumbnails, strict=True)]
    texts = [
        _message(example) if card.thumbnail.jpeg else ""
        for example, card in zip(group.examples, cards, strict=True)
    ]
    note = _LOST if group.reason in CUT_SHORT else ""
    return Sheet(f"{group.failures:,} {group.reason}{note}", cards, texts)


def _card(example: Mapping[str, str], thumbnail: Thumbnail) -> ImageCard:
    # That it differs from the run's says nothing here: what failed has no content to compare with.
    shown = Thumbnail(thumbnail.jpeg, "" if thumbnail.jpeg else _message(example))
    return make_card(example[URI], shown)


def _message(example: Mapping[str, str]) -> str:
    message = example["message"]
    cut = message[: _MAX_MESSAGE_CHARS - 1]
    return message if len(message) <= _MAX_MESSAGE_CHARS else f"{cut}…"
