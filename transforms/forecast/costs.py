"""From what a sample took to what a run would take: plain arithmetic."""

import dataclasses
import statistics
from collections.abc import Sequence

MARKS = 3
"""A line through fewer says nothing."""


def steady_rate(marks: Sequence[tuple[float, int]], *, in_flight: int) -> float | None:
    """Returns how many images a second come out of a pipeline that is neither filling nor empty.

    When the first batch comes out, the next ones are read and decoded already; at the end there is
    no next one. So the last batches, made of work that was done before, are left out.

    Args:
        marks: (seconds, images) in order: that many were out at that time.
        in_flight: Images of the batches that are worked on at once.

    Returns:
        The slope of a straight line through the marks; None if there are too few of them.
    """
    steady = [mark for mark in marks if mark[1] <= marks[-1][1] - in_flight]
    if len(steady) < MARKS:
        steady = list(marks)
    if len(steady) < MARKS:
        return None
    times, images = zip(*steady, strict=True)
    return max(statistics.linear_regression(times, images).slope, 0) or None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run costs, whatever its size, and for each image and file.

    Attributes:
        start_seconds: Seconds before the first image and after the last: imports, listing, loading
            the model, publishing.
        images_per_second: Rate of one worker between the first image and the last.
        file_bytes: Size of an output file without rows, in bytes.
        row_bytes: Bytes that a row adds to it.
    """

    start_seconds: float
    images_per_second: float
    file_bytes: float
    row_bytes: float

    def seconds(self, images: int, shards: int, workers: int = 1) -> float:
        """Returns how long a run takes.

        A shard is the unit of work: the run ends when the worker with the most of them does.

        Args:
            images: Number of images to be computed.
            shards: Number of shards into which they are cut, equally.
            workers: Number of workers like the one that was measured.
        """
        if not images:
            return self.start_seconds
        share = -(-shards // workers) / shards
        return self.start_seconds + images * share / self.images_per_second

    def output_bytes(self, rows: int, files: int) -> int:
        """Returns the size of the data files."""
        return round(files * self.file_bytes + rows * self.row_bytes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleCosts:
    """What a sample took.

    Attributes:
        images: Number of images: rows and failures.
        rows: Rows written.
        seconds: Seconds from building the pipeline to its end.
        images_per_second: Rate between the first images and the last.
        file_bytes: Sizes of its data files, in bytes.
        empty_file_bytes: Size of the data file without rows, in bytes.
    """

    images: int
    rows: int
    seconds: float
    images_per_second: float
    file_bytes: tuple[int, ...]
    empty_file_bytes: int

    def of_a_run(self, launch_seconds: float) -> Costs:
        """Separates what is spent once from what is spent on every image.

        Args:
            launch_seconds: Seconds that a run spends before it builds its pipeline, and on listing.
        """
        once = max(self.seconds - self.images / self.images_per_second, 0)
        of_rows = sum(self.file_bytes) - len(self.file_bytes) * self.empty_file_bytes
        return Costs(
            start_seconds=launch_seconds + once,
            images_per_second=self.images_per_second,
            file_bytes=self.empty_file_bytes,
            row_bytes=max(of_rows, 0) / self.rows if self.rows else 0.0,
        )
