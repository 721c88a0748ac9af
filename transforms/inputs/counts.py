"""How many images TFRecord, Parquet and tar files hold, without reading all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import NamedTuple

from transforms.errors import ImageError
from transforms.files.parquet_file import damage_reported, open_parquet
from transforms.files.tar_archive import open_tar
from transforms.files.tf_record import open_tfrecord, read_records
from transforms.files.uris import open_uri, stored_offset
from transforms.inputs.columns import FileColumns
from transforms.inputs.tar_samples import read_samples
from transforms.records import InputFile, ShardKind

FILES_COUNTED = 16
"""TFRecord and tar files, of each kind, into which a look is taken."""

IMAGES_COUNTED = 64
BYTES_COUNTED = 1 << 20
"""Images and stored bytes of each at which the look ends, if the file does not."""

FOOTERS_AT_ONCE = 16


class FileCount(NamedTuple):
    """Images in a file.

    Attributes:
        images: How many; a file that cannot be read counts as one, which will fail.
        is_exact: Whether they were counted; else they may be a fraction.
    """

    images: float
    is_exact: bool


class _Look(NamedTuple):
    images: int
    bytes_read: int
    is_whole: bool


def count_in_files(files: Sequence[InputFile], columns: FileColumns) -> dict[InputFile, FileCount]:
    """Counts the images of files.

    Parquet says it in every footer. Of TFRecord and tar files some are looked into, far apart, and
    the others are taken to hold as many images a stored byte.

    Args:
        files: In any order.
        columns: Which field of a tar's samples is the image.

    Raises:
        OSError: If the storage fails.
    """
    by_kind = {kind: [file for file in files if file.kind is kind] for kind in ShardKind}
    parquet = by_kind[ShardKind.PARQUET]
    with ThreadPoolExecutor(FOOTERS_AT_ONCE, thread_name_prefix="footers") as threads:
        rows = threads.map(_parquet_rows, parquet)
        counts = {f: FileCount(n, is_exact=True) for f, n in zip(parquet, rows, strict=True)}
    for kind in _LOOKS:
        counts |= _count_by_looks(by_kind[kind], columns)
    return counts


def _count_by_looks(files: Sequence[InputFile], columns: FileColumns) -> dict[InputFile, FileCount]:
    count = min(len(files), FILES_COUNTED)
    chosen = [files[place * len(files) // count] for place in range(count)]
    looks = {file: _look_at(file, columns) for file in chosen}
    images = sum(look.images for look in looks.values())
    images_a_byte = images / max(sum(look.bytes_read for look in looks.values()), 1)
    counts = {}
    for file in files:
        look = looks.get(file)
        counts[file] = (
            FileCount(look.images, is_exact=True)
            if look is not None and look.is_whole
            else FileCount(file.size_bytes * images_a_byte, is_exact=False)
        )
    return counts


def _parquet_rows(file: InputFile) -> int:
    try:
        with open_uri(file.uri) as handle, damage_reported():
            rows: int = open_parquet(handle).metadata.num_rows
    except ImageError:
        return 1
    return rows if 0 <= rows <= file.size_bytes else 1  # A footer may lie.


def _look_at(file: InputFile, columns: FileColumns) -> _Look:
    try:
        return _LOOKS[file.kind](file, columns)
    except ImageError:
        return _Look(1, file.size_bytes, is_whole=True)


def _look_at_tfrecord(file: InputFile, columns: FileColumns) -> _Look:
    with open_tfrecord(file.uri) as handle:
        records = read_records(handle, max_record_bytes=0)
        return _look(records, lambda: stored_offset(handle))


def _look_at_tar(file: InputFile, columns: FileColumns) -> _Look:
    with open_tar(file.uri) as archive:
        samples = read_samples(archive, columns.image_key, (), max_image_bytes=0)
        return _look(samples, lambda: archive.stored_offset)


def _look(images: Iterable[object], bytes_read: Callable[[], int]) -> _Look:
    counted = read = 0
    for _ in images:
        if counted >= IMAGES_COUNTED and read >= BYTES_COUNTED:
            return _Look(counted, read, is_whole=False)
        counted, read = counted + 1, bytes_read()
    return _Look(counted, read, is_whole=True)


_LOOKS: Mapping[ShardKind, Callable[[InputFile, FileColumns], _Look]] = MappingProxyType(
    {ShardKind.TFRECORD: _look_at_tfrecord, ShardKind.TAR: _look_at_tar}
)
