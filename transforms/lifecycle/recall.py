"""What a listing could not see, out of the listing of the run before: taken as still there.

Tonight /photos/family may not be listed. Of the run before, whose shard was given

    /photos/a.jpg         100 bytes, version 1
    /photos/family/b.jpg  200 bytes, version 2

b.jpg is recalled, as ImageFile("/photos/family/b.jpg", "/photos", 200, "2"). To all that follows it
is an image that did not change: it keeps its row, and nobody opens it.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from transforms.files.file_uris import path_of_uri
from transforms.inputs.columns import image_id
from transforms.inputs.entries import Entry, ImageFile, Unlisted
from transforms.inputs.listing import listed_as
from transforms.inputs.source import Source
from transforms.records import ImageRef, InputFile
from transforms.results import ShardResult
from transforms.runs.inputs_file import read_inputs


@dataclasses.dataclass(frozen=True, slots=True)
class Unseen:
    """A directory that the listing of an input could not see into, or a file.

    Attributes:
        source: The input.
        directory: The directory, or the file.
    """

    source: Source
    directory: Unlisted

    def covers(self, uri: str) -> bool:
        """Tells whether a file of the input is below the directory, or is the file."""
        path = path_of_uri(uri)
        folder = path_of_uri(self.directory.uri).rstrip("/")
        is_below = f"{path}/".startswith(f"{folder}/") and self.source.matches(path)
        return is_below and self.source.excluded_part(path) is None


def to_unlisted_ref(found: Unlisted) -> ImageRef:
    """Gives what cannot be listed the place of an image, which fails when it is read.

    So it is a failure like any other: of one shard, counted, and tried again by the next run.
    """
    message = (
        f"{found.reason}; what it holds is not known until a run can read it: let whoever runs "
        "this in, or pass it over with --exclude"
    )
    return ImageRef(found.uri, found.uri, unlisted=message)


def describe_unseen(
    unseen: Sequence[Unseen], *, builds_on_run: bool, shown: int, keeps_rows: bool = True
) -> Iterator[str]:
    """Says what could not be listed, a line each, for the end of a run.

    Args:
        unseen: The directories and files.
        builds_on_run: Whether the run before was asked for what they hold.
        shown: Lines at most, but for one that counts the rest.
        keeps_rows: Whether the rows of the run before are what this one would make.
    """
    fate = "keeps the rows of the run before" if builds_on_run else "is not in this run"
    if builds_on_run and not keeps_rows:
        fate = "is what the run before had, and fails where it cannot be read again"
    places = {one.directory.uri: one.directory.reason for one in unseen}
    for uri in sorted(places)[:shown]:
        yield f"{uri} could not be listed: {places[uri]}; what it holds {fate}"
    if len(places) > shown:
        rest = len(places) - shown
        yield f"{rest} more could not be listed: read/Unlisted in _failures.jsonl"


def describe_empty(patterns: Sequence[str], *, builds_on_run: bool, shown: int) -> Iterator[str]:
    """Says which inputs hold nothing, a line each.

    Args:
        patterns: What was given as --input.
        builds_on_run: Whether there is a run before, which may have had images below them.
        shown: Lines at most, but for one that counts the rest.
    """
    lost = "; what the run before had below it counts as deleted" if builds_on_run else ""
    for pattern in sorted(patterns)[:shown]:
        yield f"--input {pattern} holds no images: a disk that is not mounted looks so{lost}"
    if len(patterns) > shown:
        yield f"{len(patterns) - shown} more --input hold no images"


def recall(
    result: ShardResult, unseen: Sequence[Unseen], image_id_from: str | None
) -> Iterator[ImageFile | InputFile]:
    """Finds what a shard of the run before was given from below directories that are not seen now.

    What a manifest named is none of it: the manifest names it again.

    Args:
        result: Shard of the run before.
        unseen: The directories and files.
        image_id_from: Origin of the image_id, or None for each kind's default.

    Raises:
        pa.ArrowInvalid, OSError: If its inputs file is damaged.
    """
    files = [account.file for account in result.files]
    if files:
        # The first span of a divided file stands for all of it.
        firsts = [file for file in files if not file.first_image]
        entries = {file.uri: Entry(file.uri, file.size_bytes, file.version) for file in firsts}
    else:
        taken = {one.directory.uri for one in unseen}  # Each has the place of an image itself.
        inputs = read_inputs(result.inputs.path)[0]
        refs = [ref for ref in inputs if ref.unlisted is None and ref.uri not in taken]
        entries = {ref.image_id: Entry(ref.uri, ref.size_bytes, ref.version) for ref in refs}
    for key, entry in entries.items():
        source = next((one.source for one in unseen if one.covers(entry.uri)), None)
        kind = result.kind if files else None
        found = source and listed_as(entry, source, kind)
        match found:
            case ImageFile() if key == image_id(found.uri, found.root, image_id_from or "uri"):
                yield found
            case InputFile() if files:
                yield found
