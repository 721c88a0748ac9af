"""Parquet files with a column of encoded images, read a batch at a time.

The column holds bytes, or the {bytes, path} struct that Hugging Face datasets write. Row 0 of
gs://b/train.parquet, with --carry_columns label:

    image {"bytes": <JPEG>, "path": "cat.jpg"}, label 3

becomes a row of image_id "cat.jpg", uri "gs://b/train.parquet#0" and label 3, beside its bytes.
"""

import contextlib
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError, ImageError, TruncatedFileError
from transforms.files.foreign_parquet import damage_reported, iter_batches, open_parquet
from transforms.files.uris import open_uri
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.file_kind import FileKind
from transforms.inputs.parquet_footers import (
    ID_KEY,
    IMAGE_KEY,
    check_columns,
    id_column,
    look_at_parquet,
    parquet_places,
    peek_parquet_schema,
    rows_of_groups,
)
from transforms.inputs.part import (
    BATCH_BYTES,
    PartBuilder,
    ReadPart,
    check_size,
    told_where,
    unreadable_file,
)
from transforms.records import InputFile
from transforms.span import Span


def first_parquet_ids(file: InputFile, columns: FileColumns, count: int) -> list[tuple[str, str]]:
    """Reads the image_id and the uri of a file's first rows, and no image.

    Raises:
        ImageError: If it cannot be read, or lacks a column.
        OSError: If the storage fails.
    """
    image_key, id_key = columns.image_key or IMAGE_KEY, id_column(columns)
    with open_uri(file.uri) as handle, damage_reported():
        parquet = open_parquet(handle)
        schema = parquet.schema_arrow
        check_columns(schema, columns, ())
        image_type = schema.field(image_key).type
        has_path = pa.types.is_struct(image_type) and image_type.get_field_index("path") >= 0
        names = [id_key] if id_key in schema.names else []
        names += [f"{image_key}.path"] if has_path else []
        batch = next(parquet.iter_batches(count, columns=names, use_threads=False), None)
        return [] if batch is None else _Batches(file, columns, max_image_bytes=0).ids(batch)


def read_parquet(
    file: InputFile, columns: FileColumns, batch_size: int, max_image_bytes: int
) -> Iterator[ReadPart]:
    """Reads a Parquet file, or a span of one, batch_size rows (good or bad) at a time at most.

    A row's uri is the file's with "#" and the row's index. Its image_id is the column that columns
    names; by default the column image_id, else the struct's path, else the uri. Every row that
    cannot be read is a failure; a file whose footer cannot be read is one.

    Memory is that of a batch and a page, whatever the size of the row groups.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    batches = _Batches(file, columns, max_image_bytes)
    end_row = 0
    is_as_wanted = True
    try:
        with open_uri(file.uri) as handle, damage_reported():
            parquet = open_parquet(handle)
            groups, end_row = _groups_and_end(parquet.metadata, file.span)
            schema = parquet.schema_arrow
            is_as_wanted = False
            check_columns(schema, columns, columns.stored.names)
            is_as_wanted = True
            rows = min(batch_size, _rows_that_fit(parquet.metadata))
            for batch in iter_batches(parquet, rows, _names_to_read(schema, columns), groups):
                yield batches.read(batch)
            if batches.rows_left(end_row):
                raise CorruptRecordError(f"the footer promises {end_row} rows, there are fewer")
    except ImageError as error:
        # Of 10 rows of which 4 were read, rows 4 to 9 are a failure each. One failure stands for
        # all that is left where the footer cannot be read, or lies: every row takes a byte.
        left = batches.rows_left(end_row)
        if not 0 < left <= file.size_bytes:
            if isinstance(error, CorruptRecordError) and is_as_wanted:
                error = batches.cut(error)
            yield unreadable_file(file.uri, columns.carried, error)
            return
        while left := batches.rows_left(end_row):
            yield batches.lose(min(batch_size, left), error)


def _groups_and_end(footer: pq.FileMetaData, span: Span | None) -> tuple[list[int] | None, int]:
    """Returns which row groups to read, None for all, and the row at which they end.

    Raises:
        CorruptRecordError: If the file has other row groups than when it was divided.
    """
    if span is None:
        return None, footer.num_rows
    rows = rows_of_groups(footer)
    groups = list(range(len(rows)))[span.start : span.stop]
    count = sum(rows[group] for group in groups)
    if sum(rows[: span.start]) != span.first_image or span.images not in (None, count):
        raise CorruptRecordError("its row groups are others than when the run was planned")
    return groups, span.first_image + count


def _rows_that_fit(footer: pq.FileMetaData) -> int:
    """Returns how many rows of mean size a batch's bytes hold, by what the footer says.

    Of 1,000 rows in 1.2 GB, which are 1.2 MB each, a batch of 24 MiB holds 20.
    """
    groups = range(footer.num_row_groups)
    total_bytes = sum(footer.row_group(group).total_byte_size for group in groups)
    return max(1, BATCH_BYTES * footer.num_rows // max(1, total_bytes))


def _names_to_read(schema: pa.Schema, columns: FileColumns) -> list[str]:
    names = [columns.image_key or IMAGE_KEY, *columns.stored.names]
    id_key = columns.id_column or ID_KEY
    if schema.get_field_index(id_key) >= 0:
        names.append(id_key)
    return list(dict.fromkeys(names))


class _Batches:
    """Turns one file's rows into rows and failures, counting them."""

    def __init__(self, file: InputFile, columns: FileColumns, max_image_bytes: int) -> None:
        self._file = file
        self._columns = columns
        self._max_image_bytes = max_image_bytes
        self._image_key = columns.image_key or IMAGE_KEY
        self._next_row = file.first_image

    def read(self, batch: pa.RecordBatch) -> ReadPart:
        """Makes a row or a failure of each row, in order."""
        carried = self._carried(batch)
        images, paths = _images_and_paths(batch.column(self._image_key))
        names = self._names(batch)
        part = PartBuilder()
        for row in range(batch.num_rows):
            uri = key = f"{self._file.uri}#{self._next_row + row}"
            try:
                key = self._image_id(uri, names[row], paths[row])
                image = self._image(images[row], paths[row])
            except ImageError as error:
                part.fail(key, uri, error)
            else:
                part.add(row, key, uri, image)
        self._next_row += batch.num_rows
        return part.finish(carried)

    def ids(self, batch: pa.RecordBatch) -> list[tuple[str, str]]:
        """Returns image_id and uri of the rows that have both, in order; needs no images."""
        has_images = self._image_key in batch.schema.names
        paths = _paths(batch.column(self._image_key)) if has_images else [None] * batch.num_rows
        found = []
        for row, (name, path) in enumerate(zip(self._names(batch), paths, strict=True)):
            uri = f"{self._file.uri}#{self._next_row + row}"
            with contextlib.suppress(ImageError):
                found.append((self._image_id(uri, name, path), uri))
        return found

    def rows_left(self, end_row: int) -> int:
        """Returns how many of the rows before that one are not accounted for."""
        return end_row - self._next_row

    def lose(self, count: int, error: ImageError) -> ReadPart:
        """Makes a failure of each of the next rows."""
        part = PartBuilder()
        for row in range(self._next_row, self._next_row + count):
            uri = f"{self._file.uri}#{row}"
            part.fail(uri, uri, error)
        self._next_row += count
        return part.finish(self._columns.carried.empty_table())

    def cut(self, error: ImageError) -> ImageError:
        """Says that the file's readable part ends here."""
        return told_where(TruncatedFileError(str(error)), self._file, self._next_row)

    def _carried(self, batch: pa.RecordBatch) -> pa.Table:
        try:
            return self._columns.as_carried(pa.Table.from_batches([batch]))
        except pa.ArrowException as error:
            raise CorruptRecordError(
                f"--carry_columns do not fit the types of all files: {error}"
            ) from error

    def _names(self, batch: pa.RecordBatch) -> list[str | None]:
        id_key = id_column(self._columns)
        if id_key not in batch.schema.names:
            return [None] * batch.num_rows
        return batch.column(id_key).cast(pa.string()).to_pylist()

    def _image_id(self, uri: str, name: str | None, path: str | None) -> str:
        key = self._columns.id_column
        if key is None and self._columns.image_id_from is not None:
            return image_id(uri, self._file.root, self._columns.image_id_from)
        if key is not None and not name:
            raise CorruptRecordError(f"its column {key!r} (--image_id_from) is empty")
        return name or path or uri

    def _image(self, content: bytes | None, path: str | None) -> bytes:
        if content is None and path is not None:
            raise CorruptRecordError(
                f"its column {self._image_key!r} holds a path, {path!r}, and no bytes; wanted the "
                "image's bytes: give the paths as --manifest, or embed the files as you write it"
            )
        if content is None:
            raise CorruptRecordError(f"its column {self._image_key!r} is null")
        check_size(len(content), self._max_image_bytes)
        return content


def _images_and_paths(column: pa.Array) -> tuple[list[bytes | None], list[str | None]]:
    if not pa.types.is_struct(column.type):
        return column.to_pylist(), [None] * len(column)
    return pc.struct_field(column, "bytes").to_pylist(), _paths(column)


def _paths(column: pa.Array) -> list[str | None]:
    if not pa.types.is_struct(column.type) or column.type.get_field_index("path") < 0:
        return [None] * len(column)
    return pc.struct_field(column, "path").cast(pa.string()).to_pylist()


_NAME = re.compile(r"\.parquet[*?]*$", re.IGNORECASE)

PARQUET_FILES = FileKind(
    word="Parquet",
    name=_NAME,
    glob=_NAME,
    read=read_parquet,
    peek=peek_parquet_schema,
    look=look_at_parquet,
    places=parquet_places,
    first_ids=first_parquet_ids,
    tells_its_count=True,
)
"""Parquet as an input."""
