"""TFRecord files of tf.Example or tf.SequenceExample, read a batch at a time.

Record 0 of gs://b/train.tfrecord, with --carry_columns image/class/label:

    image/encoded [<JPEG>], image/filename [b"cat.jpg"], image/class/label [3]

becomes a row of image_id "cat.jpg", uri "gs://b/train.tfrecord#0" and image/class/label [3], beside
its bytes. A feature is a list, also of one value, and is carried as one.

A tf.SequenceExample holds a list of images, such as the frames of a video. They become rows of
image_id "cat.mp4#0", uri "gs://b/train.tfrecord#0.0", and so on, with the features of its context.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from transforms.errors import CorruptRecordError, ImageError, InputError
from transforms.files.example_coder import ExampleToNumpyDict
from transforms.files.sequence_examples import list_names, read_frames
from transforms.files.tf_examples import BYTES, FLOATS, INTEGERS, ExampleDecoder, feature_type
from transforms.files.tf_record import (
    DamagedRecord,
    Record,
    open_tfrecord,
    read_records,
    record_offsets,
    skim_tfrecord,
)
from transforms.files.uris import open_at, stored_offset
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.file_kind import FileKind
from transforms.inputs.id_sources import IDS_FROM_NAMES
from transforms.inputs.look import Look, look_through
from transforms.inputs.part import (
    PartBuilder,
    ReadPart,
    check_size,
    in_batches,
    take_batch,
    told_where,
    unreadable_file,
)
from transforms.inputs.place import Place
from transforms.records import InputFile
from transforms.span import Span

IMAGE_KEY = "image/encoded"
"""The usual feature with the encoded image."""

ID_KEY = "image/filename"
"""The usual feature with the image's name, which is its id where it is there and not empty."""

OTHER_FEATURES_BYTES = 16 << 20
"""Room in a record for what is beside the image; a larger record is passed over."""

PEEK_RECORDS = 1000
PEEK_BYTES = 64 << 20
"""How far to look for the features wanted; most files show them in the first record."""


def read_tfrecord(
    file: InputFile, columns: FileColumns, batch_size: int, max_image_bytes: int
) -> Iterator[ReadPart]:
    """Reads a TFRecord file, or a span of one, batch_size records (good or bad) at a time at most.

    A row's uri is the file's with "#" and the record's index. Its image_id is the feature that
    columns names; by default image/filename where there is one, else the uri. Of a list of images
    each has the record's uri with "." and its place, and the record's id with "#" and its place.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    batches = _Batches(file, columns, max_image_bytes)
    try:
        with _open_at_start(file) as handle:
            records = _records(handle, file.span, max_image_bytes + OTHER_FEATURES_BYTES)
            while batch := take_batch(records, batch_size, _size_bytes):
                yield from in_batches(batches.read(batch), batch_size)
    except ImageError as error:
        yield unreadable_file(file.uri, columns.carried, error)


def _open_at_start(file: InputFile) -> contextlib.AbstractContextManager[BinaryIO]:
    if file.span is None:
        return open_tfrecord(file.uri)
    return open_at(file.uri, file.span.start, file.version)


def _records(
    handle: BinaryIO, span: Span | None, max_record_bytes: int
) -> Iterator[Record | DamagedRecord]:
    if span is None:
        return read_records(handle, max_record_bytes=max_record_bytes)
    return read_records(
        handle,
        max_record_bytes=max_record_bytes,
        index=span.first_image,
        start=span.start,
        stop=span.stop,
    )


def peek_example_schema(
    uri: str, image_key: str | None, image_id_from: str | None, carry_columns: Sequence[str]
) -> pa.Schema | None:
    """Looks at a TFRecord file's first records for the features that a run wants.

    Returns:
        The carried features, of the types of tf_examples; None if no record can be read.

    Raises:
        InputError: If a feature is missing, or the image or id is not bytes.
    """
    bytes_wanted = {"--image_key": image_key or IMAGE_KEY}
    if image_id_from is not None and image_id_from not in IDS_FROM_NAMES:
        bytes_wanted["--image_id_from"] = image_id_from
    wanted = {*bytes_wanted.values(), *carry_columns}
    found, lists = _peek_features(uri, wanted, image_key or IMAGE_KEY)
    if not found:
        return None
    if missing := sorted(wanted - {name for name, kind in found.items() if kind is not None}):
        raise InputError(
            f"{uri}: its first tf.Examples have no value for {', '.join(missing)}; they have "
            f"{', '.join(sorted(found))}{_told_lists(lists)} (--image_key, --image_id_from and "
            "--carry_columns name features)"
        )
    if image_id_from is None and found.get(ID_KEY) not in (None, BYTES):
        raise InputError(f"{uri}: {ID_KEY} is {found[ID_KEY]}, no bytes; add --image_id_from uri")
    for flag, name in bytes_wanted.items():
        if found[name] != BYTES:
            raise InputError(f"{uri}: {flag}={name} is {found[name]}; wanted a feature of bytes")
    return pa.schema([(name, found[name]) for name in carry_columns])


def look_at_tfrecord(file: InputFile, columns: FileColumns) -> Look:
    """Counts the records at the beginning of a file; none is held in memory.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    with open_tfrecord(file.uri) as handle:
        records = read_records(handle, max_record_bytes=0)
        return look_through(records, lambda: stored_offset(handle))


def tfrecord_places(file: InputFile) -> Iterator[Place]:
    """Finds the records of a file by their lengths; none if it is compressed.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    with skim_tfrecord(file.uri) as handle:
        if handle is None:
            return
        for index, offset in enumerate(record_offsets(handle, file.size_bytes)):
            yield Place(index, offset, offset)


def _told_lists(lists: set[str]) -> str:
    return f", and the lists {', '.join(sorted(lists))}, of which only images are" if lists else ""


def _peek_features(
    uri: str, wanted: set[str], image_key: str
) -> tuple[dict[str, pa.DataType | None], set[str]]:
    """Returns every feature seen until all wanted ones are, None for one always empty; and lists.

    A list of images is a feature of bytes; the names of all lists are the second.
    """
    found: dict[str, pa.DataType | None] = {}
    lists: set[str] = set()
    seen_bytes = 0
    with contextlib.suppress(ImageError), open_tfrecord(uri) as handle:
        records = read_records(handle, max_record_bytes=PEEK_BYTES)
        for record in itertools.islice(records, PEEK_RECORDS):
            if isinstance(record, DamagedRecord):
                continue
            found |= {k: v for k, v in _feature_types(record).items() if v or k not in found}
            if not found.get(image_key):
                lists.update(list_names(record.data))
                if image_key in lists:
                    found[image_key] = BYTES
            seen_bytes += len(record.data)
            if seen_bytes > PEEK_BYTES or all(found.get(name) for name in wanted):
                break
    return found, lists


def _feature_types(record: Record) -> dict[str, pa.DataType | None]:
    kinds = {"i": INTEGERS, "f": FLOATS, "O": BYTES}
    try:
        example = ExampleToNumpyDict(record.data)
    except RuntimeError:  # No tf.Example; reading will say so of this record.
        return {}
    return {
        name: None if values is None else kinds[values.dtype.kind]
        for name, values in example.items()
    }


class _Batches:
    """Turns one file's records into rows and failures."""

    def __init__(self, file: InputFile, columns: FileColumns, max_image_bytes: int) -> None:
        self._file = file
        self._columns = columns
        self._max_image_bytes = max_image_bytes
        self._image_key = columns.image_key or IMAGE_KEY
        self._id_key = columns.id_column or (ID_KEY if columns.image_id_from is None else None)
        texts = dict.fromkeys(filter(None, (self._id_key, self._image_key)), BYTES)
        self._decoder = ExampleDecoder({f.name: feature_type(f) for f in columns.stored} | texts)

    def read(self, batch: Sequence[Record | DamagedRecord]) -> ReadPart:
        """Makes a row or a failure of each record, in order."""
        serialized = [item.data if isinstance(item, Record) else b"" for item in batch]
        decoded, errors = self._decoder.decode(serialized)
        images = decoded[self._image_key].to_pylist()
        names = decoded[self._id_key].to_pylist() if self._id_key else [None] * len(batch)
        part = PartBuilder()
        for row, item in enumerate(batch):
            uri = key = f"{self._file.uri}#{item.index}"
            try:
                if isinstance(item, DamagedRecord):
                    raise item.error
                if row in errors:
                    raise CorruptRecordError(f"no tf.Example with these features: {errors[row]}")
                key = self._image_id(uri, names[row] or [])
                found = self._images(item, images[row] or [])
            except ImageError as error:
                error = told_where(error, self._file, item.index)
                part.fail(key, uri, _at(item, error))
                continue
            for place, image in found:
                own = uri if place is None else f"{uri}.{place}"
                key = self._image_id(own, names[row] or [], place)
                try:
                    check_size(len(image), self._max_image_bytes)
                except ImageError as error:
                    part.fail(key, own, _at(item, error))
                else:
                    part.add(row, key, own, image)
        return part.finish(self._columns.as_carried(decoded))

    def _image_id(self, uri: str, names: list[bytes], place: int | None = None) -> str:
        key = self._columns.id_column
        if key is None and self._columns.image_id_from is not None:
            return image_id(uri, self._file.root, self._columns.image_id_from)
        try:
            name = names[0].decode() if len(names) == 1 else ""
        except UnicodeDecodeError:
            name = ""
        if key is not None and not name:
            raise CorruptRecordError(f"its feature {key!r} is not one string that is not empty")
        if name and place is not None:
            name = f"{name}#{place}"
        return name or uri

    def _images(self, record: Record, values: list[bytes]) -> list[tuple[int | None, bytes]]:
        """Returns the image, or those of a list with their places."""
        frames = None if values else read_frames(record.data, self._image_key)
        if frames is not None:
            return list(enumerate(frames))
        if len(values) != 1:
            raise CorruptRecordError(
                f"its feature {self._image_key!r} has {len(values)} values, wanted one image; "
                "--image_key names another feature"
            )
        return [(None, values[0])]


def _size_bytes(item: Record | DamagedRecord) -> int:
    return len(item.data) if isinstance(item, Record) else 0


def _at(item: Record | DamagedRecord, error: ImageError) -> ImageError:
    return type(error)(f"record {item.index} at byte {item.offset}: {error}")


# Sharded names end in the shard, before or after .gz: x.tfrecord-00000-of-00002.gz, as
# tf.io and Beam write them. In a glob any wildcards may stand for it: x.tfrecord-*.gz.
_EXTENSION = r"\.(tfrecords?|tfrec|record)(\.gz)?"

TFRECORD_FILES = FileKind(
    word="TFRecord",
    name=re.compile(_EXTENSION + r"(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE),
    glob=re.compile(_EXTENSION + r"([-*?\[][^.]*)?(\.gz)?$", re.IGNORECASE),
    read=read_tfrecord,
    peek=peek_example_schema,
    look=look_at_tfrecord,
    places=tfrecord_places,
)
"""TFRecord as an input."""
