"""The kinds of file that hold images: a file of its own here each, and a line below."""

from collections.abc import Mapping
from types import MappingProxyType

from transforms.inputs.file_kind import FileKind
from transforms.inputs.parquet_files import PARQUET_FILES
from transforms.inputs.tar_files import TAR_FILES
from transforms.inputs.tfrecord_files import TFRECORD_FILES
from transforms.inputs.zip_files import ZIP_FILES
from transforms.records import ShardKind

FILE_KINDS: Mapping[ShardKind, FileKind] = MappingProxyType(
    {
        ShardKind.TFRECORD: TFRECORD_FILES,
        ShardKind.PARQUET: PARQUET_FILES,
        ShardKind.TAR: TAR_FILES,
        ShardKind.ZIP: ZIP_FILES,
    }
)
"""Every kind but IMAGES, in the order in which people are told of them."""


def kind_of_name(uri: str) -> ShardKind:
    """Tells by its name what a file holds; what is of no kind here is taken for an image."""
    name = uri.rpartition("/")[2]
    for kind, files in FILE_KINDS.items():
        if files.name.search(name):
            return kind
    return ShardKind.IMAGES


def kind_of_glob(glob: str) -> ShardKind:
    """Tells what every file that a glob matches holds; IMAGES if that is for each name to say."""
    name = glob.rpartition("/")[2]
    for kind, files in FILE_KINDS.items():
        if files.glob.search(name):
            return kind
    return ShardKind.IMAGES
