"""Rows of a data file, a batch at a time: what no good run writes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.runs.finding import Finding
from transforms.schemas import (
    CLASS_INDEX,
    CLASS_LABEL,
    CONTENT_SHA256,
    EMBEDDING,
    HEIGHT,
    IMAGE_ID,
    SCORE,
    URI,
    WIDTH,
)

Mask = npt.NDArray[np.bool_]

_SHA256_PATTERN = "^[0-9a-f]{64}$"


class Fault(NamedTuple):
    """One way for a row to be bad; rows that are bad alike are counted together.

    Attributes:
        what: Words for what is wrong.
        wanted: Words for what is wanted instead.
    """

    what: str
    wanted: str


class RowChecks:
    """The checks of one data file's rows; a kind of bad row becomes one finding.

    Args:
        model_columns: Columns that the model's outputs have become.
        is_sorted: Whether the rows must be in order of image_id.
        allow_zero_vectors: Whether a vector may be 0 throughout.
        embedding_dim: Length that every vector must have, or None for that of the first.
    """

    def __init__(
        self,
        model_columns: Sequence[str],
        *,
        is_sorted: bool,
        allow_zero_vectors: bool,
        embedding_dim: int | None,
    ) -> None:
        self.columns = (IMAGE_ID, URI, *model_columns, WIDTH, HEIGHT, CONTENT_SHA256)
        self.rows = 0
        self.embedding_dim = embedding_dim
        self._is_sorted = is_sorted
        self._allow_zero_vectors = allow_zero_vectors
        self._last_id = ""
        self._counts: dict[Fault, int] = {}
        self._first: dict[Fault, str] = {}

    def add(self, rows: pa.RecordBatch, image_ids: Sequence[str]) -> None:
        """Checks the next rows.

        Args:
            rows: The batch, with `columns`.
            image_ids: Values of the batch's image_id column.
        """
        self.rows += rows.num_rows
        faults = find_bad_images(rows)
        if EMBEDDING in self.columns:
            lengths = _lengths(rows, EMBEDDING)
            if self.embedding_dim is None and lengths.size:
                self.embedding_dim = int(lengths[0])
            dim = self.embedding_dim or 0
            faults = {**faults, **find_bad_vectors(rows, dim, self._allow_zero_vectors)}
        else:
            faults = {**faults, **find_bad_classes(rows)}
        if self._is_sorted and image_ids:
            before = [self._last_id, *image_ids[:-1]]
            pairs = zip(before, image_ids, strict=True)
            order = Fault("out of order", "rows in order of image_id")
            faults = {**faults, order: np.array([a > b for a, b in pairs])}
            self._last_id = image_ids[-1]
        for fault, mask in faults.items():
            if mask.any():
                self._counts[fault] = self._counts.get(fault, 0) + int(mask.sum())
                self._first.setdefault(fault, image_ids[int(mask.argmax())])

    def findings(self, name: str) -> Iterator[Finding]:
        """Returns what was found, one finding a kind of fault; name is the file's."""
        for fault, count in self._counts.items():
            got = f"{count} row{'s' * (count > 1)}, first {self._first[fault]!r}"
            yield Finding(name, fault.what, got, fault.wanted)


def find_bad_images(rows: pa.RecordBatch) -> Mapping[Fault, Mask]:
    """Finds rows whose width, height or content_sha256 no image has."""
    sizes = {
        Fault(f"{side} not positive", "at least 1 pixel"): _values(rows.column(side), 0) < 1
        for side in (WIDTH, HEIGHT)
    }
    is_hash = pc.match_substring_regex(rows.column(CONTENT_SHA256), _SHA256_PATTERN)
    fault = Fault("content_sha256 malformed", "64 hexadecimal digits")
    return {**sizes, fault: ~_values(is_hash, False).astype(bool)}


def find_bad_vectors(
    rows: pa.RecordBatch, embedding_dim: int, allow_zero_vectors: bool
) -> Mapping[Fault, Mask]:
    """Finds rows whose vector is of another length, not finite, or 0 throughout."""
    lengths = _lengths(rows, EMBEDDING)
    values = _values(rows.column(EMBEDDING).flatten(), np.nan)
    found = {
        Fault("embedding of another dimension", f"{embedding_dim} values"): lengths
        != embedding_dim,
        Fault("embedding not finite", "no NaN and no Inf"): _any(~np.isfinite(values), lengths),
    }
    if not allow_zero_vectors:
        fault = Fault("embedding all zero", "vectors that are not 0 (or --allow_zero_vectors)")
        found[fault] = ~_any(values != 0, lengths) & (lengths > 0)
    return found


def find_bad_classes(rows: pa.RecordBatch) -> Mapping[Fault, Mask]:
    """Finds rows whose lists of classes do not belong together, or are not best first."""
    lengths = {name: _lengths(rows, name) for name in (CLASS_INDEX, CLASS_LABEL, SCORE)}
    index = _values(rows.column(CLASS_INDEX).flatten(), -1)
    scores = _values(rows.column(SCORE).flatten(), np.nan)
    first, of_index, of_score = lengths[CLASS_INDEX], lengths[CLASS_INDEX], lengths[SCORE]
    is_uneven = (first != lengths[CLASS_LABEL]) | (first != of_score) | (first < 1)
    order = np.lexsort((index, _row_numbers(of_index)))
    repeats = _follows(index[order], _row_numbers(of_index), np.equal)
    rises = _follows(scores, _row_numbers(of_score), np.greater)
    return {
        Fault("class lists of other lengths", "as many indices, labels and scores"): is_uneven,
        Fault("class_index negative", "at least 0"): _any(index < 0, of_index),
        Fault("class_index repeated", "each class once a row"): _any(repeats, of_index),
        Fault("score not finite", "no NaN and no Inf"): _any(~np.isfinite(scores), of_score),
        Fault("scores out of order", "the best first"): _any(rises, of_score),
    }


def _lengths(rows: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
    return _values(pc.list_value_length(rows.column(name)), 0).astype(np.int64)


def _values(column: pa.Array, if_null: object) -> npt.NDArray[Any]:
    """Returns a column of numbers or booleans; null becomes a value that is sure to be bad."""
    if column.null_count:
        column = column.fill_null(pa.scalar(if_null, column.type))
    return column.to_numpy(zero_copy_only=False)


def _any(flags: Mask, lengths: npt.NDArray[np.int64]) -> Mask:
    """Tells for each list whether any of its values is flagged."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    ends = np.cumsum(lengths)
    return sums[ends] > sums[ends - lengths]


def _row_numbers(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(lengths.size), lengths)


def _follows(
    values: npt.NDArray[Any], row_numbers: npt.NDArray[np.int64], relation: np.ufunc
) -> Mask:
    """Flags the values in that relation to the value before them in the same row."""
    flags = np.zeros(values.size, bool)
    is_same_row = row_numbers[1:] == row_numbers[:-1]
    flags[1:] = relation(values[1:], values[:-1]) & is_same_row
    return flags
