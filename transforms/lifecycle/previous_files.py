"""The files that a shard's images were in before: which need no reading, and which images are gone.

The run before had a.tar and b.tar in one shard, with two images each. Of b.tar the size is another
one now, so that it is read, and has b.tar#0 alone:

    unread()          a.tar keeps the rows a.tar#0 and a.tar#1, and is not opened
    gone({a.tar#0, a.tar#1, b.tar#0})
                      b.tar#1 is lost; had b.tar ended early, it would be unreached
"""

import functools
from collections.abc import Collection, Mapping
from typing import NamedTuple

from transforms.errors import ImageError, NotReachedError
from transforms.failure import CUT_SHORT, UNOPENED, Failure
from transforms.files.uris import open_uri
from transforms.lifecycle.previous_rows import PreviousRows, uris_of
from transforms.records import InputFile, Predecessor, Shard
from transforms.runs.file_accounts import file_of, place_of


class Gone(NamedTuple):
    """Images of the run before that were not met again, by image_id.

    Attributes:
        lost: Images that are no more in a file that was read whole.
        unreached: Images that may be behind the end of a file, and the failure that says so.
    """

    lost: tuple[str, ...]
    unreached: Mapping[str, Failure]


def can_be_opened(file: InputFile) -> bool:
    """Tells whether a file can be opened now."""
    try:
        open_uri(file.uri).close()
    except (ImageError, OSError):
        return False
    return True


class PreviousFiles:
    """Images of a predecessor by the file that they were in."""

    def __init__(self, shard: Shard, predecessor: Predecessor, previous: PreviousRows) -> None:
        """Reads nothing yet.

        Args:
            shard: The shard of now, of files.
            predecessor: What the run before had.
            previous: Rows and failures of the predecessor.
        """
        self._files = {file.uri: file for file in shard.files}
        self._predecessor = predecessor
        self._previous = previous
        self._ends: dict[str, Failure] = {}

    @functools.cached_property
    def _uris(self) -> Mapping[str, str]:
        """URIs of all images by image_id; reads the data files of the run before once more."""
        failed = {i: failure.uri for i, failure in self._previous.failures.items()}
        return failed | uris_of(self._predecessor, list(self._previous.row_of_id.values()))

    @functools.cached_property
    def _file_of(self) -> Mapping[str, str]:
        """URIs of their files by image_id. Only a failure may have the URI of its file itself."""
        failures = self._previous.failures
        return {
            image_id: file_of(uri, self._files if image_id in failures else ())
            for image_id, uri in self._uris.items()
        }

    def unread(self) -> frozenset[str]:
        """Returns the files that need no reading, by URI: all of them stays as it was.

        Those in which something failed that may not fail again are read, if they can be opened. If
        the earlier run is being completed, that is any failure.
        """
        if not self._previous.is_reusable or not self._predecessor.unchanged_files:
            return frozenset()
        again = {
            self._file_of[image_id]
            for image_id in self._previous.failures
            if self._predecessor.keeps_all or self._previous.lasting_failure(image_id) is None
        }
        return frozenset(
            file.uri
            for file in self._predecessor.unchanged_files
            if file.uri not in again or not (self._predecessor.keeps_all or can_be_opened(file))
        )

    def images_of(self, files: Collection[str]) -> list[str]:
        """Returns the image_ids of all rows and failures that are of some files."""
        return [image_id for image_id, file in self._file_of.items() if file in files]

    def meet(self, failure: Failure) -> None:
        """Notes a failure, which may stand for the rest of a file, or for all of it."""
        if failure.reason in CUT_SHORT | UNOPENED:
            self._ends[file_of(failure.uri, self._files)] = failure

    def not_reached(self, image_id: str, end: Failure) -> Failure:
        """Fails an image that is behind the end of its file, by its own name."""
        error = NotReachedError(f"the run before read it, this one cannot: {end.message}")
        return Failure(image_id, self._uris[image_id], end.step, error.error_type, str(error))

    def gone(self, seen: Collection[str]) -> Gone:
        """Tells what became of the images that were not met again.

        Nothing is said of those of other files, nor of those of divided files that were read to
        their end: another shard may have them.

        Args:
            seen: The image_ids that were met.
        """
        if all(i in seen for i in (*self._previous.row_of_id, *self._previous.failures)):
            return Gone((), {})
        lost: list[str] = []
        unreached: dict[str, Failure] = {}
        for image_id, uri in self._file_of.items():
            if image_id in seen or uri not in self._files or self._stands_for_many(image_id):
                continue
            span = self._files[uri].span
            place = place_of(self._uris[image_id])
            if uri not in self._ends:
                lost += [image_id] if span is None else []
            elif span is None or (place is not None and span.covers(place[0])):
                unreached[image_id] = self._ends[uri]
        return Gone(tuple(lost), unreached)

    def _stands_for_many(self, image_id: str) -> bool:
        failure = self._previous.failures.get(image_id)
        return failure is not None and failure.reason in CUT_SHORT | UNOPENED
