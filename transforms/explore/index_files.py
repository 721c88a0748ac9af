"""An index on disk: faiss's file, and index.json, which says of which run it is."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.errors import ImageError, InputError, brief
from transforms.files.atomic_files import read_whole, sync, write_whole
from transforms.files.file_systems import FileSystems, create_as_stored, delete
from transforms.files.uris import is_local, open_uri
from transforms.machine.extras import import_extra
from transforms.runs.directory import INDEX_FILE, INDEX_SUFFIX
from transforms.runs.recipe import fingerprint_json
from transforms.runs.record import PublishedRun
from transforms.vectors.ann_index import RECALL_AT, AnnIndex

INDEX_FORMAT_VERSION = 1

_INDEX_DAMAGE = (OSError, ImageError, ValueError, KeyError, TypeError, RuntimeError)
"""What reading a damaged index raises; RuntimeError is faiss's."""

_DATA_FILE = re.compile(r"vectors-[0-9a-f]{16}\.faiss")


class Unusable(NamedTuple):
    """Why an index cannot be used.

    Attributes:
        reason: Reason, on a line.
    """

    reason: str


@dataclasses.dataclass(frozen=True)
class WrittenIndex:
    """The files of an index as they were written.

    Attributes:
        path: Path of faiss's file.
        size_bytes: Size of faiss's file, in bytes.
    """

    path: str
    size_bytes: int


def index_directory(run: PublishedRun) -> str:
    """Returns where the index of a run is by default: beside it, for a run never changes."""
    return f"{run.directory}{INDEX_SUFFIX}"


def has_index(directory: str) -> bool:
    """Tells whether there is an index, of whatever run."""
    return FileSystems.exists(FileSystems.join(directory, INDEX_FILE))


def write_index(
    index: AnnIndex, run: PublishedRun, directory: str, seconds: Mapping[str, float]
) -> WrittenIndex:
    """Writes an index; one that was there is replaced in one step.

    Args:
        index: The index.
        run: The run that it is of.
        directory: Directory to write to; may be there.
        seconds: Seconds of each part of the work, by its name, for index.json.

    Raises:
        OSError: If it cannot be written; what was there is still there.
    """
    faiss = import_extra("faiss")
    replaced = _data_file_of(directory)
    if is_local(directory):
        os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".index.", dir=directory if is_local(directory) else None
    ) as scratch:
        built = os.path.join(scratch, "built")
        try:
            faiss.write_index(index.faiss_index, built)
        except RuntimeError as error:  # faiss's for any failure of a file.
            raise OSError(f"faiss cannot write {built}: {error}") from error
        sha256, size_bytes = _digest(built), os.path.getsize(built)
        # Under a name of its own, so that what was there is whole until index.json names this.
        name = f"vectors-{sha256[:16]}.faiss"
        path = FileSystems.join(directory, name)
        _put(built, path)
    notes = {
        "index_format_version": INDEX_FORMAT_VERSION,
        "run": _identify(run),
        "file": {"path": name, "size_bytes": size_bytes, "sha256": sha256},
        "rows": index.faiss_index.ntotal,
        "dim": index.faiss_index.d,
        "metric": "cosine",
        "kind": index.kind,
        "probes": index.probes,
        "recall": {"at": RECALL_AT, "measured": round(index.recall, 4)},
        "seconds": {step: round(value, 3) for step, value in seconds.items()},
        "faiss": faiss.__version__,
    }
    write_whole(
        FileSystems.join(directory, INDEX_FILE), f"{json.dumps(notes, indent=1)}\n".encode()
    )
    if replaced is not None and replaced != name:
        delete([FileSystems.join(directory, replaced)])
    return WrittenIndex(path, size_bytes)


def read_index(run: PublishedRun, directory: str) -> AnnIndex | Unusable | None:
    """Reads the index of a run.

    faiss reads only a file whose sha256 index.json names: this finds damage, and an index.json of
    another index. It does not make an index of strangers safe to read.

    Args:
        run: The run.
        directory: Directory where the run's index may be.

    Returns:
        The index, or why it cannot be used, or None if there is none.
    """
    path = FileSystems.join(directory, INDEX_FILE)
    try:
        if not has_index(directory):
            return None
        notes = json.loads(read_whole(path))
        if notes["index_format_version"] != INDEX_FORMAT_VERSION:
            return Unusable(f"is of format {notes['index_format_version']}")
        if notes["run"] != _identify(run):
            return Unusable(f"is of another run, {notes['run']['run_id']}")
        data, probes = notes["file"], int(notes["probes"])
        kind, recall = str(notes["kind"]), float(notes["recall"]["measured"])
        name = data["path"]
        if not _DATA_FILE.fullmatch(name):
            return Unusable(f"is damaged: {INDEX_FILE} names the file {name!r}")
        with tempfile.TemporaryDirectory(prefix="index.") as scratch:
            stored = _fetch(FileSystems.join(directory, name), scratch)
            if _digest(stored) != data["sha256"]:
                return Unusable(f"is damaged: {name} has not the sha256 that {INDEX_FILE} says")
            index = import_extra("faiss").read_index(stored)
    except _INDEX_DAMAGE as error:
        return Unusable(f"cannot be read: {brief(error)}")
    if index.ntotal != notes["rows"] or index.ntotal != sum(shard.rows for shard in run.results):
        return Unusable(f"has {index.ntotal:,} vectors")
    return AnnIndex(kind, probes, recall, index)


def check_index_directory(run: PublishedRun, directory: str) -> None:
    """Checks where an index shall go.

    Raises:
        InputError: If that is in the run, which is never changed.
    """
    if f"{directory}/".startswith(f"{run.directory}/"):
        raise InputError(f"{directory} is in the run, which is never changed; choose another")


def _identify(run: PublishedRun) -> dict[str, Any]:
    """Returns what makes a run the one that was indexed."""
    files = [[shard.data.path.rpartition("/")[2], shard.data.sha256] for shard in run.results]
    return {"run_id": run.record["run_id"], "files": fingerprint_json({"files": files})}


def _data_file_of(directory: str) -> str | None:
    """Returns the name of faiss's file by the index.json of a directory; None if it says none."""
    if not has_index(directory):
        return None
    try:
        name = json.loads(read_whole(FileSystems.join(directory, INDEX_FILE)))["file"]["path"]
    except _INDEX_DAMAGE:
        return None
    return name if isinstance(name, str) and _DATA_FILE.fullmatch(name) else None


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(built: str, path: str) -> None:
    """Gives a local file its name, here or in an object store."""
    if is_local(path):
        sync(built)
        os.replace(built, path)
        return
    with (
        open(built, "rb") as source,
        create_as_stored(path) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)


def _fetch(path: str, scratch: str) -> str:
    """Returns a local path of a file, which is copied if it is elsewhere."""
    if is_local(path):
        return path
    copy = os.path.join(scratch, "stored")
    with open_uri(path) as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return copy
