"""Zip files of images, read a batch at a time.

Of gs://b/photos.zip, whose members are

    cats/             a directory
    cats/a.jpg        <JPEG>
    __MACOSX/._a.jpg  what macOS keeps beside it

one becomes a row: image_id "cats/a.jpg", uri "gs://b/photos.zip#1", beside its bytes. The index
counts all members, as `zipfile.ZipFile(...).infolist()` and `unzip -Z1` list them.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from transforms.errors import (
    CorruptRecordError,
    FileTooLargeError,
    ImageError,
    InputError,
    TruncatedFileError,
)
from transforms.files.uris import open_at
from transforms.files.zip_archive import ZipArchive
from transforms.files.zip_directory import ZipDirectory, ZipMember
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.file_kind import FileKind
from transforms.inputs.id_sources import IDS_FROM_NAMES
from transforms.inputs.look import Look
from transforms.inputs.part import (
    PartBuilder,
    ReadPart,
    check_size,
    take_batch,
    told_where,
    unreadable_file,
)
from transforms.inputs.place import Place
from transforms.records import InputFile

_PASSED_OVER = re.compile(r"(^|/)(__MACOSX/|\.(?!\.?/))")
"""What macOS adds, and hidden files and folders; "../" is only a part of a name here."""


class _Image(NamedTuple):
    """A member that is an image, and its index among all members."""

    number: int
    member: ZipMember


def read_zip(
    file: InputFile, columns: FileColumns, batch_size: int, max_image_bytes: int
) -> Iterator[ReadPart]:
    """Reads a zip, or a span of one, batch_size images (good or bad) at a time at most.

    A row's uri is the file's with "#" and the member's index. Its image_id is the member's path.
    Its images are the members with an image's extension, or with the one that columns names.

    Nothing is unpacked to disk. Memory is that of a batch, and 8 bytes for each member.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    images_before = 0
    try:
        with open_at(file.uri, 0, file.version if file.span else None) as handle:
            archive = ZipArchive(handle)
            start, stop = (file.span.start, file.span.stop) if file.span else (None, None)
            images = _images(archive.directory, columns.image_key, file.first_image, start, stop)
            rows = _Rows(file, columns, archive, max_image_bytes)
            while batch := take_batch(images, batch_size, rows.held_bytes):
                yield rows.read(batch)
                images_before += len(batch)
    except ImageError as error:
        yield unreadable_file(file.uri, columns.carried, told_where(error, file, images_before))


def peek_zip_schema(
    uri: str, image_key: str | None, image_id_from: str | None, carry_columns: Sequence[str]
) -> pa.Schema | None:
    """Looks at a zip's directory for what a run wants.

    Returns:
        A schema without fields; None if the file cannot be read, or has no members.

    Raises:
        InputError: If there is no image, or something is wanted that a zip does not have.
    """
    own = FileColumns(image_key, image_id_from, pa.schema([]))
    if carry_columns or own.id_column is not None:
        flag = f"--image_id_from {own.id_column}" if own.id_column else "--carry_columns"
        raise InputError(
            f"{uri}: {flag}: a zip has no columns or fields, only images and their names"
        )
    first_name = None
    with contextlib.suppress(ImageError), open_at(uri, 0) as handle:
        directory = ZipDirectory(handle)
        if next(_images(directory, image_key), None) is not None:
            return pa.schema([])
        first_name = next((member.name for member in directory.members()), None)
    if first_name is None:
        return None
    raise InputError(
        f"{uri}: no member has the extension {'of an image' if image_key is None else image_key}; "
        f"the first is {first_name} (--image_key names an extension)"
    )


def look_at_zip(file: InputFile, columns: FileColumns) -> Look:
    """Counts the images of a file by its directory.

    Raises:
        ImageError: If it cannot be opened, or its directory is damaged.
        OSError: If the storage fails.
    """
    with open_at(file.uri, 0) as handle:
        count = sum(1 for _ in _images(ZipDirectory(handle), columns.image_key))
    return Look(count, file.size_bytes, is_whole=True)


def zip_places(file: InputFile) -> Iterator[Place]:
    """Finds the images of a file by its directory, before each of which it may be cut.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    with open_at(file.uri, 0) as handle:
        directory = ZipDirectory(handle)
        stored_bytes = 0
        with contextlib.suppress(TruncatedFileError):  # Reading it says so.
            for index, member in enumerate(directory.members()):
                yield Place(index, member.place, stored_bytes)
                stored_bytes += member.stored_bytes


def _images(
    directory: ZipDirectory,
    image_key: str | None,
    first_index: int = 0,
    start: int | None = None,
    stop: int | None = None,
) -> Iterator[_Image]:
    for index, member in enumerate(directory.members(start, stop), first_index):
        if not _PASSED_OVER.search(member.name) and _has_extension(member.name, image_key):
            yield _Image(index, member)


def _has_extension(name: str, image_key: str | None) -> bool:
    lower = name.lower()
    if image_key is not None:
        return lower.endswith("." + image_key.lower())
    return os.path.splitext(lower)[1] in IMAGE_EXTENSIONS


class _Rows:
    """Turns one file's images into rows and failures."""

    def __init__(
        self, file: InputFile, columns: FileColumns, archive: ZipArchive, max_image_bytes: int
    ) -> None:
        self._file = file
        self._columns = columns
        self._archive = archive
        self._max_image_bytes = max_image_bytes

    def held_bytes(self, image: _Image) -> int:
        """Returns the size of an image, in bytes; 0 of one that is too large and is not read."""
        size_bytes = image.member.size_bytes
        return size_bytes if size_bytes <= self._max_image_bytes else 0

    def read(self, images: Sequence[_Image]) -> ReadPart:
        """Makes a row or a failure of each image, in order."""
        part = PartBuilder()
        for row, (number, member) in enumerate(images):
            uri = f"{self._file.uri}#{number}"
            key = self._image_id(uri, member)
            try:
                part.add(row, key, uri, self._content(member))
            except TruncatedFileError:
                raise
            except CorruptRecordError as error:
                part.fail(key, uri, CorruptRecordError(f"{member.name}: {error}"))
            except FileTooLargeError as error:
                part.fail(key, uri, error)
        nulls = [pa.nulls(len(images), field.type) for field in self._columns.carried]
        return part.finish(pa.Table.from_arrays(nulls, schema=self._columns.carried))

    def _content(self, member: ZipMember) -> bytes:
        if not member.is_file:
            raise CorruptRecordError("it is a link or a directory, no plain file")
        check_size(member.size_bytes, self._max_image_bytes)
        return self._archive.read(member)

    def _image_id(self, uri: str, member: ZipMember) -> str:
        if self._columns.image_id_from in IDS_FROM_NAMES:
            return image_id(uri, self._file.root, self._columns.image_id_from)
        return member.name


def _reason_to_skip(name: str) -> str | None:
    # Many lie beside the images that were unpacked from them.
    return "zip; name it with --input"


_NAME = re.compile(r"\.zip[*?]*$", re.IGNORECASE)

ZIP_FILES = FileKind(
    word="zip",
    name=_NAME,
    glob=_NAME,
    read=read_zip,
    peek=peek_zip_schema,
    look=look_at_zip,
    places=zip_places,
    reason_to_skip=_reason_to_skip,
)
"""Zip files as an input."""
