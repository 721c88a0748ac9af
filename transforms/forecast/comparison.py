"""A listing against the run before: what a refresh would compute, told without opening an image."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from transforms.failure import PASSING_REASONS, Failure
from transforms.inputs.box_columns import BoxColumns
from transforms.lifecycle.previous_rows import PreviousRows
from transforms.lifecycle.previous_run import files_of, is_made_alike
from transforms.records import Change, ImageRef, InputFile, ShardKind
from transforms.results import ShardResult
from transforms.runs.file_accounts import file_of
from transforms.runs.inputs_file import read_inputs


class Comparison:
    """Tells, image by image, what the listing says became of it since the run before.

    Without one every image is new. Holds the earlier run's listing. An image whose size or time is
    another one counts as changed; a refresh, which reads it, may find the same content.
    """

    def __init__(
        self,
        previous: Sequence[ShardResult],
        base_fingerprint: str,
        *,
        has_same_recipe: bool,
        boxes: BoxColumns | None = None,
    ) -> None:
        """Reads what the earlier run was given.

        Args:
            previous: The earlier run's shards; none if there is no such run.
            base_fingerprint: Fingerprint of this run's recipe and columns, a part of every shard's.
            has_same_recipe: Whether the earlier rows are what this run would make.
            boxes: Columns of the boxes; None if a row is an image.

        Raises:
            OSError: If it cannot be read.
        """
        self.previous = previous
        self._base_fingerprint = base_fingerprint
        self._has_same_recipe = has_same_recipe
        self._files: collections.defaultdict[str, list[ShardResult]] = collections.defaultdict(list)
        for result in previous:
            for account in result.files:
                self._files[account.file.uri].append(result)
        refs: dict[str, ImageRef] = {}
        failures: dict[str, Failure] = {}
        for result in previous:
            if result.kind is ShardKind.IMAGES:
                given, failed = read_inputs(result.inputs.path)
                refs |= {ref.image_id: ref for ref in given}
                failures |= {failure.image_id: failure for failure in failed}
        self._kept_of_shard: dict[int, frozenset[InputFile]] = {}
        self._rows = PreviousRows.of_listing(
            refs, failures, box_sides=len(boxes.in_output) if boxes else 0
        )
        self._changes: collections.Counter[Change] = collections.Counter()
        self._met = 0
        self.images_to_compute = 0

    def must_compute(self, ref: ImageRef) -> bool:
        """Counts a listed image; tells whether its row must be computed. Call once an image."""
        rows = self._rows
        is_known = ref.image_id in rows.refs
        self._met += is_known and ref.unlisted is None
        stays = rows.is_listed_alike(ref)
        if ref.image_id in rows.failures:
            stays = stays and rows.lasting_failure(ref.image_id) is not None
            change = Change.UNCHANGED if stays else Change.RETRIED
        elif is_known:
            change = Change.UNCHANGED if stays else Change.CHANGED
        else:
            change = Change.NEW
        self._changes[change] += 1
        must = not (stays and self._has_same_recipe)
        self.images_to_compute += must
        return must

    def is_carried_over(self, file: InputFile) -> bool:
        """Whether a TFRecord, Parquet, tar or zip file needs no computing: its rows are taken."""
        before = self._files.get(file.uri)
        if before is None or file.version is None or not self._has_same_recipe:
            return False
        return all(file in self._kept(result) for result in before)

    def images_before(self, file: InputFile) -> int:
        """Returns how many rows such a file made in the earlier run; 0 if it was not there."""
        return sum(_images_of(file.uri, result) for result in self._files.get(file.uri, ()))

    def changes(self, files: Mapping[InputFile, float]) -> dict[Change, int]:
        """Returns what became of all images, also those of TFRecord, Parquet, tar and zip files.

        Args:
            files: Number of rows that each of them makes now, about.
        """
        changes = self._changes.copy()
        in_files: collections.defaultdict[Change, float] = collections.defaultdict(float)
        for file, images in files.items():
            in_files[self._change_of(file)] += images
        changes.update({change: round(images) for change, images in in_files.items()})
        changes[Change.DELETED] += len(self._rows.refs) - len(self._rows.unlisted) - self._met
        here = {file.uri for file in files}
        changes[Change.DELETED] += sum(
            _images_of(uri, result)
            for uri, results in self._files.items()
            for result in results
            if uri not in here
        )
        return dict(changes)

    def _kept(self, before: ShardResult) -> frozenset[InputFile]:
        """Returns the files of an earlier shard that need no computing, if they have not changed.

        Their rows are what this run would write, and nothing in them is tried again.
        """
        index = before.shard.index
        if index not in self._kept_of_shard:
            files = files_of(before)
            is_same = is_made_alike(before, self._base_fingerprint)
            again: set[str] = set()
            if is_same and before.may_pass:
                uris = {file.uri for file in files}
                failures = read_inputs(before.inputs.path)[1]
                passing = (fail for fail in failures if fail.reason in PASSING_REASONS)
                again = {file_of(failure.uri, uris) for failure in passing}
            self._kept_of_shard[index] = frozenset(
                dataclasses.replace(file, span=None)
                for file in files
                if is_same and file.uri not in again
            )
        return self._kept_of_shard[index]

    def _change_of(self, file: InputFile) -> Change:
        if self.is_carried_over(file):
            return Change.UNCHANGED
        return Change.CHANGED if file.uri in self._files else Change.NEW


def _images_of(uri: str, result: ShardResult) -> int:
    """Returns how many images of a file an earlier shard had, what stands for many counted as one.

    Of a shard of several files only those that are known.
    """
    if len(result.files) == 1:
        return result.images
    return sum(account.images for account in result.files if account.file.uri == uri)
