"""The workload of a run: what is there, and what of it the model would be given."""

import dataclasses
import time
from collections.abc import Iterable, Mapping

from transforms.forecast.comparison import Comparison
from transforms.forecast.input_survey import Survey, take_survey
from transforms.inputs.box_counts import count_rows
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
        rows: Rows, written or failed, that each makes: its images, or their boxes.
        listed_to_compute: Listed rows that the model would be given.
        files_to_compute: TFRecord, Parquet, tar and zip files whose images it would be given.
        changes: Rows by what became of them since the run before.
        listing_seconds: Time that the listing took, as it does in a run.
    """

    survey: Survey
    counts: Mapping[InputFile, FileCount]
    rows: Mapping[InputFile, FileCount]
    listed_to_compute: int
    files_to_compute: tuple[InputFile, ...]
    changes: Mapping[Change, int]
    listing_seconds: float

    @property
    def images(self) -> int:
        """Number of all images; an estimate where files do not tell theirs."""
        return self.survey.images + _total(self.counts.values())

    @property
    def all_rows(self) -> int:
        """Number of all rows, written or failed: of images, or boxes; likewise an estimate."""
        return self.survey.rows + _total(self.rows.values())

    @property
    def in_files_to_compute(self) -> int:
        """Number of rows of files_to_compute; likewise an estimate."""
        return _total(self.rows[file] for file in self.files_to_compute)

    @property
    def rows_to_compute(self) -> int:
        """Number of rows that the model would be given; likewise an estimate."""
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
    max_image_bytes: int,
    allow_private_hosts: bool = False,
    draw: int,
    comparison: Comparison,
) -> Workload:
    """Lists every input, as a run does, and compares it with the run before.

    Args:
        sources: The classified --input patterns.
        manifests: URIs of manifests.
        columns: Columns to take from files, and the carried ones.
        max_image_bytes: Largest encoded image that is read to count its boxes, in bytes.
        allow_private_hosts: Whether manifests on the web may be at addresses that are not public.
        draw: Listed rows to draw, of those to be computed.
        comparison: Comparison with the run before; it is told every listed row.

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
    # A file that did not change makes as many rows as before.
    before = {file: FileCount(comparison.images_before(file), is_exact=True) for file in carried}
    if columns.boxes is None:
        counts = rows = count_in_files(files, columns) | before
    else:
        counts = count_in_files(survey.files, columns)
        of_files = {file: counts[file] for file in files}
        rows = count_rows(of_files, columns, max_image_bytes) | before
    return Workload(
        survey=survey,
        counts=counts,
        rows=rows,
        listed_to_compute=comparison.images_to_compute,
        files_to_compute=files,
        changes=comparison.changes({file: count.images for file, count in rows.items()}),
        listing_seconds=listing_seconds,
    )


def _total(counts: Iterable[FileCount]) -> int:
    return round(sum(count.images for count in counts))
