"""One data file of a run: its columns, its footer, and every row."""

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pyarrow as pa

from transforms.errors import brief
from transforms.records import ShardKind
from transforms.results import ShardResult
from transforms.runs.directory import STEMS
from transforms.runs.finding import Finding
from transforms.runs.footers import check_footer, dimension_of
from transforms.runs.formats.registry import format_of
from transforms.runs.image_ids import digest_ids
from transforms.runs.rows import DAMAGE
from transforms.schemas import IMAGE_ID, MODEL_COLUMNS
from transforms.verify.column_checks import check_names, check_schema
from transforms.verify.row_checks import RowChecks


@dataclasses.dataclass(frozen=True)
class CheckedRows:
    """What is kept of the rows of a data file.

    Attributes:
        id_digests: Digests of the image_ids as bytes, one uint64 a row, in order.
        embedding_dim: Length of the vectors, if there are any.
        schema: The columns of the file, if its format keeps them.
    """

    id_digests: bytearray
    embedding_dim: int | None
    schema: pa.Schema | None


def check_data(
    name: str,
    shard: ShardResult,
    record: Mapping[str, Any],
    *,
    allow_zero_vectors: bool,
    embedding_dim: int | None,
    first: pa.Schema | None,
) -> Generator[Finding, None, CheckedRows | None]:
    """Checks a data file whose bytes are those that _run.json names.

    Args:
        name: The file's name within the run.
        shard: Entry of the file's shard in _run.json.
        record: The content of _run.json.
        allow_zero_vectors: Whether a vector may be 0 throughout.
        embedding_dim: Length of the vectors of the run, if it is known.
        first: Columns of a file of the run before this one, where one keeps them.

    Returns:
        Its rows, or None if they cannot be read.
    """
    path = shard.data.path
    digests = bytearray()
    try:
        data_format = format_of(path)
        schema = data_format.read_schema(path)
        if schema is not None:
            yield from check_footer(name, schema, record)
            faults = list(check_schema(name, schema, record, first))
            yield from faults
            if faults:
                return None
            yield from _check_dimension(name, schema, embedding_dim)
            embedding_dim = dimension_of(schema)
        checks = RowChecks(
            MODEL_COLUMNS[STEMS[record["recipe"]["program"]]],
            is_sorted=shard.kind is ShardKind.IMAGES,
            allow_zero_vectors=allow_zero_vectors,
            embedding_dim=embedding_dim,
        )
        for rows in data_format.read_rows(path, checks.columns, {}):
            image_ids = rows.column(IMAGE_ID).to_pylist()
            checks.add(rows, image_ids)
            digests += digest_ids(image_ids)
        names = None if schema is not None else data_format.read_names(path)
    except DAMAGE as error:
        yield Finding(name, "unreadable", brief(error), "a file that can be read whole")
        return None
    if names is not None:
        yield from check_names(name, names, record)
    yield from checks.findings(name)
    if checks.rows != shard.rows:
        yield Finding(name, "rows", str(checks.rows), f"{shard.rows}, by _run.json")
    return CheckedRows(digests, checks.embedding_dim, schema)


def _check_dimension(name: str, schema: pa.Schema, wanted: int | None) -> Iterator[Finding]:
    found = dimension_of(schema)
    if wanted is not None and found != wanted:
        where = "as in the model or files before"
        yield Finding(name, "embedding dimension", str(found), f"{wanted} {where}")
