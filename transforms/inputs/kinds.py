"""What reads each kind of file that holds images."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from transforms.inputs.columns import FileColumns
from transforms.inputs.parquet_files import read_parquet
from transforms.inputs.part import ReadPart
from transforms.inputs.tar_files import read_tar
from transforms.inputs.tfrecord_files import read_tfrecord
from transforms.records import InputFile, ShardKind

FileReader = Callable[[InputFile, FileColumns, int, int], Iterator[ReadPart]]
"""Reads a file in order: the file, its columns, rows at a time, the largest encoded image."""

FILE_READERS: Mapping[ShardKind, FileReader] = MappingProxyType(
    {
        ShardKind.TFRECORD: read_tfrecord,
        ShardKind.PARQUET: read_parquet,
        ShardKind.TAR: read_tar,
    }
)
