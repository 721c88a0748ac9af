"""Tar files as WebDataset writes them, read a batch of samples at a time.

Of gs://b/train-000.tar, with --carry_columns cls, the members

    000000.jpg  <JPEG>
    000000.cls  b"3"

are its first sample, and become a row of image_id "000000", uri "gs://b/train-000.tar#0" and cls 3,
beside the bytes of the jpg.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from transforms.errors import ImageError, InputError
from transforms.files.tar_archive import TarArchive, open_tar, skim_tar
from transforms.files.uris import open_at
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.file_kind import FileKind
from transforms.inputs.id_sources import IDS_FROM_NAMES
from transforms.inputs.look import Look, look_through
from transforms.inputs.part import (
    PartBuilder,
    ReadPart,
    take_batch,
    told_where,
    unreadable_file,
)
from transforms.inputs.place import Place
from transforms.inputs.tar_fields import FieldTypes, fields_of, read_id, read_values
from transforms.inputs.tar_samples import Sample, read_samples
from transforms.records import InputFile

PEEK_SAMPLES = 1000
PEEK_BYTES = 64 << 20
"""How far to look for the fields wanted; most files show them in the first sample."""


def read_tar(
    file: InputFile, columns: FileColumns, batch_size: int, max_image_bytes: int
) -> Iterator[ReadPart]:
    """Reads a tar file, or a span of one, batch_size samples (good or bad) at a time at most.

    A row's uri is the file's with "#" and the sample's index. Its image_id is the field that
    columns names; by default the sample's key. Its image is the field that columns names; by
    default the one whose name is an image's extension.

    Nothing is unpacked to disk; of other fields than these, nothing is held in memory.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    rows = _Rows(file, columns)
    try:
        with _open_at_start(file) as archive:
            names = _names(columns)
            samples = read_samples(
                archive,
                columns.image_key,
                fields_of(names),
                max_image_bytes,
                file.first_image,
                may_have=names,
            )
            while batch := take_batch(samples, batch_size, _size_bytes):
                yield rows.read(batch)
    except ImageError as error:
        yield unreadable_file(file.uri, columns.carried, error)


@contextlib.contextmanager
def _open_at_start(file: InputFile) -> Iterator[TarArchive]:
    if file.span is None:
        with open_tar(file.uri) as archive:
            yield archive
        return
    with open_at(file.uri, file.span.start, file.version) as handle:
        yield TarArchive(handle, start=file.span.start, stop=file.span.stop)


def peek_tar_schema(
    uri: str, image_key: str | None, image_id_from: str | None, carry_columns: Sequence[str]
) -> pa.Schema | None:
    """Looks at a tar file's first samples for the fields that a run wants.

    Returns:
        The carried columns, whose types tar_fields explains; None if the file has no readable
        sample.

    Raises:
        InputError: If a field or the image is missing, or what is carried is no text.
    """
    for name in carry_columns:
        if "." + name in IMAGE_EXTENSIONS:
            raise InputError(f"{uri}: --carry_columns {name}: only text is carried, not images")
    columns = FileColumns(image_key, image_id_from, pa.schema([]))
    wanted = [*carry_columns, *_names(columns)]
    types = FieldTypes(uri, wanted)
    has_image = False
    with contextlib.suppress(ImageError), open_tar(uri) as archive:
        samples = read_samples(archive, image_key, fields_of(wanted), 0, may_have=wanted)
        for sample in itertools.islice(samples, PEEK_SAMPLES):
            types.add(sample)
            has_image = has_image or sample.image is not None
            if archive.offset > PEEK_BYTES or (has_image and types.are_found):
                break
    if not types.has_samples:
        return None
    missing = types.tell_missing()
    if not has_image:
        missing.append(image_key or "image")
    if missing:
        raise InputError(
            f"{uri}: its first samples have no {', '.join(missing)}; they have "
            f"{types.tell_seen()} (--image_key, --image_id_from and --carry_columns "
            "name what follows the first dot of a file name; json.name is a value in json)"
        )
    return types.schema(carry_columns)


def _names(columns: FileColumns) -> list[str]:
    return [*columns.stored.names, *([columns.id_column] if columns.id_column else [])]


def look_at_tar(file: InputFile, columns: FileColumns) -> Look:
    """Counts the samples at the beginning of a file; their images are passed over.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    with open_tar(file.uri) as archive:
        samples = read_samples(archive, columns.image_key, (), max_image_bytes=0)
        return look_through(samples, lambda: archive.stored_offset)


def tar_places(file: InputFile) -> Iterator[Place]:
    """Finds the samples of a file by its headers; none if it is compressed.

    Raises:
        ImageError: If it cannot be opened.
        OSError: If the storage fails.
    """
    with skim_tar(file.uri) as handle:
        if handle is None:
            return
        archive = TarArchive(handle, skim_bytes=file.size_bytes)
        for sample in read_samples(archive, None, (), max_image_bytes=0):
            if sample.key is not None:
                yield Place(sample.index, sample.offset, sample.offset)


def _reason_to_skip(name: str) -> str | None:
    # Most such archives hold something else, as models; one that is named is taken at its word.
    is_plain = name.lower().endswith(".tar")
    return None if is_plain else "compressed tar; name it with --input"


class _Rows:
    """Turns one file's samples into rows and failures."""

    def __init__(self, file: InputFile, columns: FileColumns) -> None:
        self._file = file
        self._columns = columns

    def read(self, samples: Sequence[Sample]) -> ReadPart:
        """Makes a row or a failure of each sample, in order."""
        part = PartBuilder()
        carried: list[list[object]] = []
        for sample in samples:
            uri = key = f"{self._file.uri}#{sample.index}"
            try:
                key = self._image_id(uri, sample)
                image = sample.encoded_image()
                values = read_values(sample, self._columns.stored, self._columns.box_columns)
            except ImageError as error:
                error = told_where(error, self._file, sample.index)
                part.fail(key, uri, _at(sample, error))
            else:
                part.add(len(carried), key, uri, image)
                carried.append(values)
        arrays = [
            pa.array([values[place] for values in carried], field.type)
            for place, field in enumerate(self._columns.carried)
        ]
        return part.finish(pa.Table.from_arrays(arrays, schema=self._columns.carried))

    def _image_id(self, uri: str, sample: Sample) -> str:
        if self._columns.image_id_from in IDS_FROM_NAMES:
            return image_id(uri, self._file.root, self._columns.image_id_from)
        name = self._columns.id_column
        if name is None or sample.damage is not None:
            return sample.key or uri
        return read_id(sample, name)


def _size_bytes(sample: Sample) -> int:
    return len(sample.image) if isinstance(sample.image, bytes) else 0


def _at(sample: Sample, error: ImageError) -> ImageError:
    return type(error)(f"sample {sample.index} at byte {sample.offset}: {error}")


_NAME = re.compile(r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst)[*?]*$", re.IGNORECASE)

TAR_FILES = FileKind(
    word="tar",
    name=_NAME,
    glob=_NAME,
    read=read_tar,
    peek=peek_tar_schema,
    look=look_at_tar,
    places=tar_places,
    reason_to_skip=_reason_to_skip,
)
"""Tar files as an input."""
