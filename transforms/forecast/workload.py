"""The workload of a run: what is there, and what of it the model would be given."""

import dataclasses
import time
from collections.abc import Iterable, Mapping

from transforms.forecast.comparison import Comparison
from transforms.forecast.input_survey import Survey, take_survey
from transforms.inputs.columns import FileColumns
from transforms.inputs.counts import FileCount, count_in_files
from transforms.inputs.division import SpanLimits, expected_shards
from transforms.inputs.source import Source
from transforms.records import Change, InputFile
from transforms.runs.grouping import group_files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """What a run would read, and how much of that it would compute.

    Attributes:
        survey: Survey of all inputs, counted.
        counts: Images in each TFRecord, Parquet, tar and zip file.
        listed_to_compute: Listed images that the model would be given.
        files_to_compute: TFRecord, Parquet, tar and zip files whose images it would be given.
        changes: Images by what became of them since the run before.
        listing_seconds: Time that the listing took, as it does in a run.
    """

    survey: Survey
    counts: Mapping[InputFile, FileCount]
    listed_to_compute: int
    files_to_compute: tuple[InputFile, ...]
    changes: Mapping[Change, int]
    listing_seconds: float

    @property
    def images(self) -> int:
        """Number of all images; an estimate where files do not tell theirs."""
        return self.survey.images + _images_in(self.counts.values())

    @property
    def in_files_to_compute(self) -> int:
        """Number of images in files_to_compute; an estimate where files do not tell theirs."""
        return _images_in(self.counts[file] for file in self.files_to_compute)

    @property
    def images_to_compute(self) -> int:
        """Number of images that the model would be given; likewise an estimate."""
        return self.listed_to_compute + self.in_files_to_compute

    def file_shards(self, rows_per_file: int) -> int:
        """Returns how many shards the files make; of those that are large about, by a look."""
        total_bytes = sum(file.size_bytes for file in self.survey.files)
        limits = SpanLimits.of_run(rows_per_file, total_bytes)
        return sum(
            1 if others else expected_shards(first, self.counts[first].images, limits)
            for first, *others in group_files(self.counts)
        )

    @property
    def is_empty(self) -> bool:
        """Whether the model would be given no image."""
        return not self.files_to_compute and not self.survey.drawn


def take_workload(
    sources: tuple[Source, ...],
    manifests: tuple[str, ...],
    columns: FileColumns,
    *,
    allow_private_hosts: bool = False,
    draw: int,
    comparison: Comparison,
) -> Workload:
    """Lists every input, as a run does, and compares it with the run before.

    Args:
        sources: The classified --input patterns.
        manifests: URIs of manifests.
        columns: Columns to take from files, and the carried ones.
        allow_private_hosts: Whether manifests on the web may be at addresses that are not public.
        draw: Listed images to draw, of those to be computed.
        comparison: Comparison with the run before; it is told every image.

    Raises:
        UserError: If the inputs cannot be read, as the run would.
    """
    started = time.monotonic()
    survey = take_survey(
        sources,
        manifests,
        columns,
        allow_private_hosts=allow_private_hosts,
        draw=draw,
        is_wanted=comparison.must_compute,
        previous=comparison.previous,
    )
    listing_seconds = time.monotonic() - started
    carried = {file for file in survey.files if comparison.is_carried_over(file)}
    files = tuple(file for file in survey.files if file not in carried)
    # A file that did not change holds as many images as before: only the others are looked into.
    counts = count_in_files(files, columns) | {
        file: FileCount(comparison.images_before(file), is_exact=True) for file in carried
    }
    return Workload(
        survey=survey,
        counts=counts,
        listed_to_compute=comparison.images_to_compute,
        files_to_compute=files,
        changes=comparison.changes({file: count.images for file, count in counts.items()}),
        listing_seconds=listing_seconds,
    )


def _images_in(counts: Iterable[FileCount]) -> int:
    return round(sum(count.images for count in counts))
