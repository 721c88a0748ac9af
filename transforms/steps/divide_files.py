"""DivideFiles: large files of images -> their spans, a shard each."""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from transforms.errors import ImageError
from transforms.inputs.columns import FileColumns
from transforms.inputs.division import SpanLimits, divide, is_large
from transforms.lifecycle.previous_run import Previous, PreviousShards
from transforms.records import InputFile

UNDIVIDED_SHOWN = 3

_Undivided = TaggedOutput[Literal["undivided"], str]


class Divided(NamedTuple):
    """Outputs of DivideFiles.

    Attributes:
        files: PCollection[InputFile], spans of large files, and small files whole.
        warnings: PCollection[str], large files that cannot be divided, in words.
    """

    files: PCollection[InputFile]
    warnings: PCollection[str]


def describe_undivided(uris: list[str]) -> Iterator[str]:
    """Says in one line which large files are one shard each."""
    if not uris:
        return
    shown = ", ".join(sorted(uris)[:UNDIVIDED_SHOWN])
    more = len(uris) - UNDIVIDED_SHOWN
    names = f"{shown} and {more:,} more" if more > 0 else shown
    yield (
        f"not divided, so that one thread works on each: {names}; TFRecord and tar files are "
        "divided if they are not compressed, Parquet files between row groups"
    )


class _DivideFile(beam.DoFn):
    def __init__(self, columns: FileColumns, previous: Previous | None) -> None:
        self._columns = columns
        self._previous = previous
        self._shards: PreviousShards | None = None

    def setup(self) -> None:
        if self._previous is not None:
            self._shards = PreviousShards(self._previous)

    def process(self, listed: tuple[InputFile, SpanLimits]) -> Iterator[InputFile | _Undivided]:
        file, limits = listed
        if self._shards is not None and (spans := self._shards.as_divided(file)):
            yield from spans
            return
        spans = [file]
        try:
            if is_large(file, self._columns, limits):
                spans = divide(file, limits)
                if len(spans) == 1:
                    yield _Undivided("undivided", file.uri)
        except ImageError:  # Reading it will say so, of this file alone.
            pass
        yield from spans


@dataclasses.dataclass(eq=False)
class DivideFiles(beam.PTransform[PCollection[InputFile], Divided]):
    """Divides large files, each on one worker, which reads the lengths in it and no image.

    A file that an earlier run divided, and that has not changed since, keeps its spans.

    Attributes:
        columns: Columns that say which field of a tar's samples is the image.
        rows_per_file: Rows that an output file shall have.
        previous: The run that this one builds on, if there is one.
    """

    columns: FileColumns
    rows_per_file: int
    previous: Previous | None

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, files: PCollection[InputFile]) -> Divided:
        """Returns the spans, and what is said of files that have none."""
        start = files.pipeline | "Once" >> beam.Impulse()
        divided = (
            start
            | "SetLimits" >> beam.FlatMap(_set_limits, AsList(files), self.rows_per_file)
            | "SpreadFiles" >> beam.Reshuffle()
            | "DivideFile"
            >> beam.ParDo(_DivideFile(self.columns, self.previous)).with_outputs(
                "undivided", main="files"
            )
        )
        warnings = start | "DescribeUndivided" >> beam.FlatMap(_describe, AsList(divided.undivided))
        return Divided(divided.files, warnings)


def _set_limits(
    _: bytes, files: list[InputFile], rows_per_file: int
) -> Iterator[tuple[InputFile, SpanLimits]]:
    limits = SpanLimits.of_run(rows_per_file, sum(file.size_bytes for file in files))
    for file in files:
        yield file, limits


def _describe(_: bytes, uris: list[str]) -> Iterator[str]:
    yield from describe_undivided(uris)
