"""Parquet files with a column of encoded images, read a batch at a time.

What the column may hold says image_column. Row 0 of gs://b/train.parquet, with --carry_columns
label:

    image {"bytes": <JPEG>, "path": "cat.jpg"}, label 3

becomes a row of image_id "cat.jpg", uri "gs://b/train.parquet#0" and label 3, beside its bytes. The
images of a list are image_id "cat#0", uri "gs://b/train.parquet#0.0", and so on.
"""

import contextlib
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.errors import CorruptRecordError, ImageError, TruncatedFileError
from transforms.files.foreign_parquet import (
    BatchLimits,
    DamagedRows,
    damage_reported,
    iter_past_damage,
    open_parquet,
    rows_of_groups,
)
from transforms.files.uris import open_uri
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.file_kind import FileKind
from transforms.inputs.files_beside import read_beside
from transforms.inputs.image_column import PATH, Cell, cells, has_paths, holds_several, paths, texts
from transforms.inputs.nested_columns import (
    column_field,
    find_column,
    take_column,
    take_columns,
)
from transforms.inputs.parquet_footers import (
    ID_KEY,
    IMAGE_KEY,
    check_columns,
    id_column,
    look_at_parquet,
    parquet_places,
    peek_parquet_schema,
)
from transforms.inputs.part import (
    BATCH_BYTES,
    PartBuilder,
    ReadPart,
    check_size,
    in_batches,
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
        if not parquet.metadata.num_rows:
            return []
        check_columns(schema, columns, ())
        image = column_field(schema, image_key)
        names = [id_key] if id_key and find_column(schema, id_key) else []
        names += [f"{image_key}.{PATH}"] if image is not None and has_paths(image.type) else []
        batch = next(parquet.iter_batches(count, columns=names, use_threads=False), None)
        return [] if batch is None else _Batches(file, columns, max_image_bytes=0).ids(batch)


def read_parquet(
    file: InputFile, columns: FileColumns, batch_size: int, max_image_bytes: int
) -> Iterator[ReadPart]:
    """Reads a Parquet file, or a span of one, batch_size rows (good or bad) at a time at most.

    A row's uri is the file's with "#" and the row's index. Its image_id is the column that columns
    names; by default the column image_id, else the struct's path, else the uri. Of a list of images
    each has the row's uri with "." and its place, and the row's id with "#" and its place. Every
    row that cannot be read is a failure; a file whose footer cannot be read is one. An empty list
    is no image.

    Memory is that of a batch and a page, whatever the size of the row groups and of dictionaries.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    batches = _Batches(file, columns, max_image_bytes)
    end_row = 0
    is_as_wanted = True
    try:
        with open_uri(file.uri, file.version if file.span else None) as handle, damage_reported():
            parquet = open_parquet(handle)
            if file.span is None and not parquet.metadata.num_rows:  # Nor need it have the columns.
                return
            groups, end_row = _groups_and_end(parquet.metadata, file.span)
            schema = parquet.schema_arrow
            is_as_wanted = False
            check_columns(schema, columns, columns.stored.names)
            is_as_wanted = True
            limits = BatchLimits(batch_size, BATCH_BYTES)
            names = _names_to_read(schema, columns)
            for found in iter_past_damage(parquet, limits, names, groups):
                if isinstance(found, DamagedRows):
                    yield from batches.lose(found.rows, found.error, batch_size)
                else:
                    yield from in_batches(batches.read(found), batch_size)
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
        yield from batches.lose(left, error, batch_size)


def _groups_and_end(footer: pq.FileMetaData, span: Span | None) -> tuple[list[int], int]:
    """Returns which row groups to read, and the row at which they end.

    Raises:
        CorruptRecordError: If the file has other row groups than when it was divided.
    """
    if span is None:
        return list(range(footer.num_row_groups)), footer.num_rows
    rows = rows_of_groups(footer)
    groups = list(range(len(rows)))[span.start : span.stop]
    count = sum(rows[group] for group in groups)
    if sum(rows[: span.start]) != span.first_image or span.images not in (None, count):
        raise CorruptRecordError("its row groups are others than when the run was planned")
    return groups, span.first_image + count


def _names_to_read(schema: pa.Schema, columns: FileColumns) -> list[str]:
    names = [columns.image_key or IMAGE_KEY, *columns.stored.names]
    id_key = columns.id_column or ID_KEY
    if find_column(schema, id_key) is not None:
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
        """Makes a row or a failure of each image, in order."""
        carried = self._carried(batch)
        images = list(self._images(batch))
        beside = read_beside(
            self._file.uri,
            [cell.path for *_, cell in images if cell.content is None and cell.path],
            self._max_image_bytes,
        )
        part = PartBuilder()
        for row, uri, name, cell in images:
            key = uri
            content = next(beside) if cell.content is None and cell.path else cell.content
            try:
                key = self._image_id(uri, name, cell.path)
                part.add(row, key, uri, self._encoded(content))
            except ImageError as error:
                part.fail(key, uri, error)
        self._next_row += batch.num_rows
        return part.finish(carried)

    def ids(self, batch: pa.RecordBatch) -> list[tuple[str, str]]:
        """Returns image_id and uri of the rows that have both, in order; needs no images."""
        column = take_column(batch, self._image_key)
        of_rows = [None] * batch.num_rows if column is None else paths(column)
        found = []
        for row, (name, path) in enumerate(zip(self._names(batch), of_rows, strict=True)):
            uri = f"{self._file.uri}#{self._next_row + row}"
            with contextlib.suppress(ImageError):
                found.append((self._image_id(uri, name, path), uri))
        return found

    def _images(self, batch: pa.RecordBatch) -> Iterator[tuple[int, str, str | None, Cell]]:
        """Yields row, uri, name and cell of each image; a null in place of a list is one, too."""
        column = take_column(batch, self._image_key)
        assert column is not None, "check_columns has found it"
        is_list = holds_several(column.type)
        for row, (name, found) in enumerate(zip(self._names(batch), cells(column), strict=True)):
            uri = f"{self._file.uri}#{self._next_row + row}"
            if found is None:
                yield row, uri, name, Cell(None, None)
            elif not is_list:
                yield row, uri, name, found[0]
            else:
                for number, cell in enumerate(found):
                    yield row, f"{uri}.{number}", name and f"{name}#{number}", cell

    def rows_left(self, end_row: int) -> int:
        """Returns how many of the rows before that one are not accounted for."""
        return end_row - self._next_row

    def lose(self, count: int, error: ImageError, batch_size: int) -> Iterator[ReadPart]:
        """Makes a failure of each of the next rows, batch_size at a time."""
        end = self._next_row + count
        while self._next_row < end:
            part = PartBuilder()
            for row in range(self._next_row, min(self._next_row + batch_size, end)):
                uri = f"{self._file.uri}#{row}"
                part.fail(uri, uri, error)
                self._next_row += 1
            yield part.finish(self._columns.carried.empty_table())

    def cut(self, error: ImageError) -> ImageError:
        """Says that the file's readable part ends here."""
        return told_where(TruncatedFileError(str(error)), self._file, self._next_row)

    def _carried(self, batch: pa.RecordBatch) -> pa.Table:
        try:
            return self._columns.as_carried(take_columns(batch, self._columns.stored.names))
        except pa.ArrowException as error:
            raise CorruptRecordError(
                f"--carry_columns do not fit the types of all files: {error}"
            ) from error

    def _names(self, batch: pa.RecordBatch) -> list[str | None]:
        id_key = id_column(self._columns)
        column = None if id_key is None else take_column(batch, id_key)
        return [None] * batch.num_rows if column is None else texts(column)

    def _image_id(self, uri: str, name: str | None, path: str | None) -> str:
        key = self._columns.id_column
        if key is None and self._columns.image_id_from is not None:
            return image_id(uri, self._file.root, self._columns.image_id_from)
        if key is not None and not name:
            raise CorruptRecordError(f"its column {key!r} (--image_id_from) is empty, or not UTF-8")
        return name or path or uri

    def _encoded(self, content: bytes | ImageError | None) -> bytes:
        if isinstance(content, ImageError):
            raise content
        if content is None:
            raise CorruptRecordError(f"its column {self._image_key!r} is null")
        check_size(len(content), self._max_image_bytes)
        return content


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
