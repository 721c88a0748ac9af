"""A listing against the run before: what a refresh would compute, told without opening an image."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from transforms.failure import Failure
from transforms.lifecycle.previous_rows import PreviousRows
from transforms.records import Change, ImageRef, InputFile, Shard, ShardKey, ShardKind
from transforms.results import ShardResult
from transforms.runs.inputs_file import read_inputs
from transforms.runs.recipe import fingerprint_shard


class Comparison:
    """Tells, image by image, what the listing says became of it since the run before.

    Without one every image is new. Holds the earlier run's listing. An image whose size or time is
    another one counts as changed; a refresh, which reads it, may find the same content.
    """

    def __init__(
        self, previous: Sequence[ShardResult], base_fingerprint: str, *, has_same_recipe: bool
    ) -> None:
        """Reads what the earlier run was given.

        Args:
            previous: The earlier run's shards; none if there is no such run.
            base_fingerprint: Fingerprint of this run's recipe and columns, a part of every shard's.
            has_same_recipe: Whether the earlier rows are what this run would make.

        Raises:
            OSError: If it cannot be read.
        """
        self.previous = previous
        self._base_fingerprint = base_fingerprint
        self._has_same_recipe = has_same_recipe
        self._files: collections.defaultdict[str, list[ShardResult]] = collections.defaultdict(list)
        for result in previous:
            if result.file is not None:
                self._files[result.file.uri].append(result)
        refs: dict[str, ImageRef] = {}
        failures: dict[str, Failure] = {}
        for result in previous:
            if result.kind is ShardKind.IMAGES:
                given, failed = read_inputs(result.inputs.path)
                refs |= {ref.image_id: ref for ref in given}
                failures |= {failure.image_id: failure for failure in failed}
        self._rows = PreviousRows.of_listing(refs, failures)
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
        """Whether a TFRecord, Parquet or tar file needs no computing: its rows are taken whole."""
        before = self._files.get(file.uri)
        if before is None or file.version is None or not self._has_same_recipe:
            return False
        return all(
            result.fingerprint == self._fingerprint(file, result) and not result.may_pass
            for result in before
        )

    def images_before(self, file: InputFile) -> int:
        """Returns how many images such a file had in the earlier run; 0 if it was not there."""
        return sum(result.images for result in self._files.get(file.uri, ()))

    def changes(self, files: Mapping[InputFile, float]) -> dict[Change, int]:
        """Returns what became of all images, those of TFRecord, Parquet and tar files included.

        Args:
            files: Number of images that each of them holds now, about.
        """
        changes = self._changes.copy()
        in_files: collections.defaultdict[Change, float] = collections.defaultdict(float)
        for file, images in files.items():
            in_files[self._change_of(file)] += images
        changes.update({change: round(images) for change, images in in_files.items()})
        changes[Change.DELETED] += len(self._rows.refs) - len(self._rows.unlisted) - self._met
        here = {file.uri for file in files}
        changes[Change.DELETED] += sum(
            result.images
            for uri, results in self._files.items()
            for result in results
            if uri not in here
        )
        return dict(changes)

    def _fingerprint(self, file: InputFile, before: ShardResult) -> str:
        """Returns the fingerprint of a file's shard, divided as it was before."""
        assert before.file is not None, "it was made of a file"
        span = dataclasses.replace(file, span=before.file.span)
        shard = Shard(ShardKey(0, 1), file.kind, file=span)
        return fingerprint_shard(self._base_fingerprint, shard)

    def _change_of(self, file: InputFile) -> Change:
        if self.is_carried_over(file):
            return Change.UNCHANGED
        return Change.CHANGED if file.uri in self._files else Change.NEW
