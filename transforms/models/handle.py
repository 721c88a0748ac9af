"""Where a model comes from: a handle to a local SavedModel or ONNX file."""

import hashlib
import json
import logging
import os
import pathlib
import re
from collections.abc import Iterable

from transforms.errors import ModelError, brief
from transforms.files.file_systems import (
    FileMetadata,
    list_files,
    look_at,
    open_as_stored,
)
from transforms.files.file_uris import without_file_scheme
from transforms.models.cache import (
    MAX_MODEL_BYTES,
    MAX_MODEL_FILES,
    fill_once,
    unpack_archive,
    write_member,
)
from transforms.models.hub_download import download_hub_model
from transforms.models.lfs_pointer import refuse_pointer
from transforms.models.onnx_files import (
    BELONGING,
    check_onnx_files,
    find_onnx,
    is_onnx,
    keep_beside,
    keep_one_onnx,
    model_files,
    split_remote,
)
from transforms.models.places import is_only
from transforms.models.strangers import describe_stranger

SAVED_MODEL = "saved_model.pb"

_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")

_logger = logging.getLogger(__name__)


def resolve_model(handle: str, cache_dir: str | None = None) -> str:
    """Finds or fetches a model.

    Args:
        handle: A directory, a `.tar`, `.tar.gz`, `.tgz` or `.onnx` (local or of any scheme that
            file_systems knows), or an `https://` handle of tfhub.dev or kaggle.com. A directory of
            numbered versions (TF Serving's layout) means its highest.
        cache_dir: Directory of unpacked and copied models, by default image-inference under
            $XDG_CACHE_HOME or ~/.cache. TensorFlow Hub's own models are in $TFHUB_CACHE_DIR.

    Returns:
        A local directory that holds saved_model.pb; or the path of an ONNX file, where there is no
        SavedModel.

    Raises:
        ModelError: If there is no such model, or it cannot be fetched, unpacked or recognised.
    """
    handle = without_file_scheme(handle)
    scheme = _SCHEME.match(handle)
    if not handle:
        raise ModelError("empty model handle, want a directory, an archive or a URI")
    if scheme is None:
        try:
            return _resolve_local(handle, cache_directory(cache_dir))
        except OSError as error:
            raise ModelError(f"cannot read model {handle}: {brief(error)}") from error
    if scheme[1].lower() in ("http", "https"):
        return _model_root(download_hub_model(handle), handle)
    found = _resolve_remote(handle, cache_directory(cache_dir))
    if not is_onnx(found):
        return _model_root(found, handle)
    check_onnx_files(found)
    return found


def find_model(handle: str) -> str | None:
    """Finds a model that lies in a directory of this machine; None where it is fetched or unpacked.

    Raises:
        ModelError: If what is on this machine is no model.
    """
    handle = without_file_scheme(handle)
    if _SCHEME.match(handle):
        return None
    if os.path.isfile(handle) and handle.lower().endswith(_ARCHIVE_SUFFIXES):
        return None
    return resolve_model(handle)


def fingerprint_model(model_dir: str) -> str:
    """Computes the sha256 over the relative paths and contents of all files of a model.

    Hidden ones do not count: downloads and git keep their books in them. Of an ONNX model these are
    the graph, its weights, and what says what it wants of images; it may be renamed.

    Raises:
        ModelError: If a file cannot be read, or it is ONNX, and not whole.
    """
    digest = hashlib.sha256()
    for relative, path in model_files(model_dir) if is_onnx(model_dir) else _all_files(model_dir):
        if path.is_file():
            try:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ModelError(f"cannot read model {model_dir}: {brief(error)}") from error
            digest.update(f"{content} {relative}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _all_files(model_dir: str) -> list[tuple[str, pathlib.Path]]:
    """Returns the files in a directory and behind its links, by name; a loop is walked once."""
    root = pathlib.Path(model_dir)
    found, seen = [], set()
    for directory, below, names in os.walk(root, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if (real := os.path.realpath(directory)) in seen:
            below.clear()
            continue
        seen.add(real)
        found += [pathlib.Path(directory, name) for name in names if not name.startswith(".")]
    return sorted((path.relative_to(root).as_posix(), path) for path in found)


def cache_directory(cache_dir: str | None = None) -> pathlib.Path:
    """Returns the directory of what is kept of models on this machine; see resolve_model."""
    if cache_dir is not None:
        return pathlib.Path(cache_dir)
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "image-inference"


def _resolve_local(path: str, cache: pathlib.Path) -> str:
    if os.path.isdir(path):
        return _model_root(path, path)
    if not os.path.exists(path):
        raise ModelError(
            f"no model {path}: want a directory that holds {SAVED_MODEL}, a .tar.gz, an .onnx "
            "file, a URI such as gs://bucket/model, or an https:// handle"
        )
    if is_onnx(path):
        check_onnx_files(path)
        return path
    refuse_pointer(path)
    if stranger := describe_stranger(os.path.basename(path)):
        raise ModelError(f"{path} is {stranger}")
    if os.path.basename(path) == SAVED_MODEL:
        directory = os.path.dirname(path) or "."
        raise ModelError(f"{path} is part of a model; give its directory {directory}")
    if not path.lower().endswith(_ARCHIVE_SUFFIXES):
        raise ModelError(
            f"{path} is no model: want a directory, or a file that ends in .tar.gz or .onnx"
        )
    with open(path, "rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()

    def unpack(directory: pathlib.Path) -> None:
        with open(path, "rb") as file:
            unpack_archive(file, directory, path)

    return _model_root(fill_once(cache, key, unpack), path)


def _resolve_remote(uri: str, cache: pathlib.Path) -> str:
    """Copies a model, unless the cache has it as it is listed now."""
    root = uri.rstrip("/")
    graph = None
    if is_onnx(root):
        root, graph = split_remote(root)
    is_archive = root.lower().endswith(_ARCHIVE_SUFFIXES)
    try:
        listed = [look_at(root)] if is_archive else list_files(root)
    except FileNotFoundError:
        listed = []
    # Beam raises ValueError for a scheme it does not know or lacks the client library for.
    except (ValueError, OSError) as error:
        raise ModelError(f"cannot read model {uri}: {error}") from error
    files = {item.path[len(root) + 1 :]: item for item in listed if not item.path.endswith("/")}
    if not files:
        raise ModelError(f"no model {uri}: nothing is there")
    if not is_archive:
        files = _only_latest_version(files, uri) if graph is None else _only(graph, files, uri)
        if len(files) > MAX_MODEL_FILES:
            raise ModelError(f"{uri} has {len(files)} files, limit is {MAX_MODEL_FILES}")
    size = sum(item.size_in_bytes for item in files.values())
    if size > MAX_MODEL_BYTES:
        raise ModelError(f"{uri} has {size} bytes, limit is {MAX_MODEL_BYTES}")
    # The listing is part of the key: a model replaced in place is copied again.
    listing = sorted(
        (item.path, item.size_in_bytes, item.last_updated_in_seconds) for item in files.values()
    )
    key = hashlib.sha256(json.dumps(listing).encode()).hexdigest()

    def copy(directory: pathlib.Path) -> None:
        _logger.info("copying model %s, %d bytes", uri, size)
        for relative, item in files.items():
            with open_as_stored(item.path) as file:
                if is_archive:
                    unpack_archive(file, directory, uri)
                else:
                    write_member(file, directory, relative, uri)

    copied = fill_once(cache, key, copy)
    return copied if graph is None else os.path.join(copied, graph)


def _only(graph: str, files: dict[str, FileMetadata], uri: str) -> dict[str, FileMetadata]:
    """Keeps an ONNX file and what may belong to it."""
    try:
        return {path: files[path] for path in keep_beside(files, graph)}
    except KeyError:
        raise ModelError(f"no model {uri}: nothing is there") from None


def _only_latest_version(files: dict[str, FileMetadata], uri: str) -> dict[str, FileMetadata]:
    """Keeps one version, so that the others are not copied, and what belongs to it above it."""
    if SAVED_MODEL in files:
        return files
    version = _latest_version(files, uri)
    if version is None and sum(path.endswith(f"/{SAVED_MODEL}") for path in files) == 1:
        return files
    if version is None and (kept := keep_one_onnx(files, uri)):
        return {path: files[path] for path in kept}
    if version is None:
        raise ModelError(_not_a_model(uri, files))
    directories = {path.partition("/")[0] for path in files if "/" in path}
    above = BELONGING if is_only(version, directories) else ()
    return {it: files[it] for it in files if it.startswith(f"{version}/") or it in above}


def _model_root(directory: str, handle: str) -> str:
    """Finds the directory of saved_model.pb: this one, its latest version, or its only child's.

    Where there is none, an ONNX file at the same places.

    An only child has no other directory beside it, or is the only one that holds saved_model.pb:
    Teachable Machine's zip has labels.txt beside model.savedmodel/.
    """
    found, visited = directory, [directory]
    for _ in range(4):
        if os.path.isfile(os.path.join(found, SAVED_MODEL)):
            return found
        children = [
            name
            for name in sorted(os.listdir(found))
            if os.path.isdir(os.path.join(found, name)) and not name.startswith((".", "__"))
        ]
        models = [
            name for name in children if os.path.isfile(os.path.join(found, name, SAVED_MODEL))
        ]
        version = _latest_version((f"{name}/{SAVED_MODEL}" for name in models), handle)
        if version is not None:
            return os.path.join(found, version)
        if len(models or children) != 1:
            break
        found = os.path.join(found, (models or children)[0])
        visited.append(found)
    for place in visited:
        if (graph := find_onnx(place)) is not None:
            check_onnx_files(graph)
            return graph
    near = _model_near(directory)
    hint = f"; there is a model in {os.path.normpath(os.path.join(handle, near))}: give that"
    raise ModelError(_not_a_model(handle, os.listdir(directory)) + (hint if near else ""))


def _model_near(directory: str) -> str:
    """Returns the path to a model a directory below or above; empty if there is none."""
    for name in [*sorted(os.listdir(directory)), ".."]:
        if os.path.isfile(os.path.join(directory, name, SAVED_MODEL)):
            return name
    return ""


def _latest_version(paths: Iterable[str], handle: str) -> str | None:
    versions = [
        match[1] for path in paths if (match := re.fullmatch(rf"(\d+)/{SAVED_MODEL}", path))
    ]
    if not versions:
        return None
    latest = max(versions, key=int)
    _logger.info("%s: taking version %s of %s", handle, latest, ", ".join(sorted(versions)))
    return latest


def _not_a_model(handle: str, names: Iterable[str]) -> str:
    names = sorted(names)
    stranger = next(filter(None, map(describe_stranger, names)), None)
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    held = stranger or listed or "nothing"
    return f"no {SAVED_MODEL} and no .onnx file in {handle}, which holds {held}"
