"""Whether all of a model's files are there, and whole: looked at before TensorFlow loads them.

TensorFlow answers a missing or cut file with an abort, a traceback or a hint about devices.

Variables are in a "tensor bundle": an index, a table of LevelDB's format, and shards of bytes.

    variables.index                  key ""         BundleHeaderProto  num_shards 1
                                     key "kernel"   BundleEntryProto   shard 0, offset 0, size 432
                                     key "offset"   BundleEntryProto   shard 0, offset 432, size 16
    variables.data-00000-of-00001    at least 448 bytes
"""

import os
import struct
from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saver_pb2, tensor_bundle_pb2

from transforms.errors import ModelError
from transforms.models.lfs_pointer import refuse_pointer

_INDEX = os.path.join("variables", "variables.index")
_SHARD = os.path.join("variables", "variables.data-{:05d}-of-{:05d}")
_ASSETS = "assets"

_FOOTER_BYTES = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_NOT_COMPRESSED = 0


def files_beside(meta_graph: meta_graph_pb2.MetaGraphDef) -> tuple[str, ...]:
    """Lists what a graph is restored from besides itself: assets, and the index of variables."""
    files = [os.path.join(_ASSETS, asset.filename) for asset in meta_graph.asset_file_def]
    # TensorFlow 2 writes and reads variables even where there are none; TF1 does not, and its first
    # format had other names.
    if meta_graph.object_graph_def.nodes or meta_graph.saver_def.version == saver_pb2.SaverDef.V2:
        files.append(_INDEX)
    return tuple(files)


def check_files(model_dir: str, files: Iterable[str]) -> None:
    """Looks for the files that a graph is restored from, and the shards of its variables.

    Args:
        model_dir: A directory that holds saved_model.pb.
        files: Files as files_beside lists them.

    Raises:
        ModelError: If a file is missing, too short, damaged or a Git LFS pointer.
    """
    for name in files:
        path = _check_file(model_dir, name, 0)
        if name == _INDEX:
            for shard, size in _shards(path).items():
                _check_file(model_dir, shard, size)


def _shards(index: str) -> dict[str, int]:
    """Returns the bytes that each shard of an index must have at least, by its name."""
    try:
        with open(index, "rb") as file:
            sizes = _shard_sizes(file.read())
    except (OSError, ValueError, IndexError, struct.error, DecodeError) as error:
        raise ModelError(
            f"the model is not whole: {index} is damaged ({error}); copy it again"
        ) from error
    return {_SHARD.format(shard, len(sizes)): size for shard, size in enumerate(sizes)}


def _check_file(model_dir: str, name: str, size: int) -> str:
    """Returns the path of a file of at least so many bytes."""
    path = os.path.join(model_dir, name)
    try:
        refuse_pointer(path)
        found = os.path.getsize(path)
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else error.strerror
        raise ModelError(
            f"the model is not whole: {path} {reason}; copy the whole directory of the model, "
            "with its variables/ and assets/"
        ) from error
    if found < size:
        raise ModelError(
            f"the model is not whole: {path} has {found} bytes, want {size}; copy it again"
        )
    return path


def _shard_sizes(index: bytes) -> list[int]:
    """Returns the bytes that each shard must have at least; of a compressed index nothing.

    Raises:
        ValueError, IndexError, struct.error, DecodeError: If this is no index.
    """
    sizes: list[int] = []
    for key, value in _entries(index):
        if not key:
            sizes = [0] * tensor_bundle_pb2.BundleHeaderProto.FromString(value).num_shards
        else:
            entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
            sizes[entry.shard_id] = max(sizes[entry.shard_id], entry.offset + entry.size)
    return sizes


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table, sorted.

    Source:
        https://github.com/google/leveldb/blob/main/doc/table_format.md.
    """
    if len(table) < _FOOTER_BYTES or table[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("its end is missing")
    # The footer names two blocks, each by offset and size: one of metadata, and the index.
    _, at = _numbers(table, len(table) - _FOOTER_BYTES, 2)
    index, _ = _numbers(table, at, 2)
    for _, place in _block(table, *index):
        block, _ = _numbers(place, 0, 2)
        yield from _block(table, *block)


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yields the entries of a block.

    An entry shares the beginning of its key with the one before: "kernel" after "kerb" is (3
    shared, 3 new, 12 bytes of value, "nel", value).
    """
    if table[start + size] != _NOT_COMPRESSED:
        return
    (num_restarts,) = struct.unpack_from("<I", table, start + size - 4)
    at, end, key = start, start + size - 4 * (num_restarts + 1), b""
    while at < end:
        (shared, new, length), at = _numbers(table, at, 3)
        key = key[:shared] + table[at : at + new]
        yield key, table[at + new : at + new + length]
        at += new + length


def _numbers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """Returns numbers that are written one after the other, and the place after them."""
    numbers = []
    for _ in range(count):
        value = shift = 0
        # Seven bits a byte, the lowest first; the last byte is below 128.
        while data[at] > 127:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
        numbers.append(value | data[at] << shift)
        at += 1
    return numbers, at
