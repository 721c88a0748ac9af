"""The files of an ONNX model: the graph, weights outside of it, and what says how it is used.

    dinov2/config.json                 names of classes
    dinov2/preprocessor_config.json    what it wants of images
    dinov2/onnx/model.onnx             the graph, with weights of up to 2 GiB
    dinov2/onnx/model.onnx_data        larger weights; the graph names the file

A graph is data. Where it says that weights lie is not to be believed: a name that leads out of its
directory is refused before anything reads it.
"""

import os
import pathlib
from collections.abc import Collection

from transforms.errors import ModelError
from transforms.models.lfs_pointer import refuse_pointer
from transforms.models.onnx_proto import external_locations

ONNX_SUFFIX = ".onnx"
PREPROCESSOR_FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"
CONFIG_FILE = "config.json"
LABELS_FILE = "labels.txt"

_SAYING = (PREPROCESSOR_FILE, PROCESSOR_FILE, CONFIG_FILE)
"""Files that say what a model wants of images."""

BELONGING = (*_SAYING, LABELS_FILE)
"""Files that belong to a model and may lie above its directory."""

_SUBDIRECTORY = "onnx"
"""Where exporters put the graph, below the directory of the JSON files."""

_USUAL = "model.onnx"


def is_onnx(path: str) -> bool:
    """Whether a path, or a model's as resolve_model returns it, is that of an ONNX file."""
    return path.lower().endswith(ONNX_SUFFIX)


def directory_of(model_dir: str) -> str:
    """Returns the directory that a model's notes lie in: of an ONNX file the one that it is in."""
    return (os.path.dirname(model_dir) or ".") if is_onnx(model_dir) else model_dir


def find_onnx(directory: str) -> str | None:
    """Returns the ONNX file of a directory, or of its onnx/; None if there is none.

    Raises:
        ModelError: If there are several, and none is called model.onnx.
    """
    for place in (directory, os.path.join(directory, _SUBDIRECTORY)):
        if os.path.isdir(place):
            chosen = choose_onnx([name for name in os.listdir(place) if is_onnx(name)], place)
            if chosen is not None:
                return os.path.join(place, chosen)
    return None


def choose_onnx(names: Collection[str], directory: str) -> str | None:
    """Chooses of the ONNX files in a directory: model.onnx, or the only one; None if there is none.

    Raises:
        ModelError: If there are several others.
    """
    if _USUAL in names:
        return _USUAL
    if len(names) > 1:
        listed = ", ".join(sorted(names)[:8])
        raise ModelError(f"{directory} holds several ONNX files, {listed}; give one of them")
    return next(iter(names), None)


def keep_one_onnx(paths: Collection[str], directory: str) -> set[str]:
    """Returns the paths, in a remote directory, without those of other ONNX models; or none.

    Of onnx/model.onnx, onnx/model.onnx_data, onnx/model_fp16.onnx, onnx/model_fp16.onnx_data and
    config.json these are the first two and the last.

    Raises:
        ModelError: If there are several, and none is called model.onnx.
    """
    for place in ("", f"{_SUBDIRECTORY}/"):
        here = {path.removeprefix(place) for path in paths if path.startswith(place)}
        graphs = {name for name in here if is_onnx(name) and "/" not in name}
        chosen = choose_onnx(graphs, directory)
        if chosen is not None:
            others = tuple(place + name for name in graphs - {chosen})
            return {path for path in paths if not path.startswith(others)}
    return set()


def split_remote(uri: str) -> tuple[str, str]:
    """Returns the directory to copy of a remote ONNX file, and the file's path in it.

    Of gs://b/dinov2/onnx/model.onnx these are gs://b/dinov2 and onnx/model.onnx: the JSON files lie
    there.
    """
    directory, _, name = uri.rpartition("/")
    above, _, last = directory.rpartition("/")
    return (above, f"{last}/{name}") if last == _SUBDIRECTORY else (directory, name)


def keep_beside(paths: Collection[str], graph: str) -> set[str]:
    """Returns the paths, in a remote directory, of a graph and of what may belong to it.

    Raises:
        KeyError: If the graph is not there.
    """
    if graph not in paths:
        raise KeyError(graph)
    place = graph.rpartition("/")[0]
    near = {path for path in paths if path.rpartition("/")[0] == place or path in BELONGING}
    others = tuple(path for path in near if is_onnx(path) and path != graph)
    return {path for path in near if not path.startswith(others)}


def file_beside(path: str, name: str) -> str | None:
    """Returns the path of a file that belongs to an ONNX model, or None.

    It lies beside the graph, or one level up from a directory named onnx.
    """
    directory = os.path.abspath(directory_of(path))
    places = [directory]
    if os.path.basename(directory) == _SUBDIRECTORY:
        places.append(os.path.dirname(directory))
    found = (os.path.join(place, name) for place in places)
    return next((candidate for candidate in found if os.path.isfile(candidate)), None)


def check_onnx_files(path: str) -> tuple[str, ...]:
    """Looks for the files outside of a graph that its weights lie in; returns their paths.

    Raises:
        ModelError: If the graph is no ONNX or cut short, or a file is missing, a Git LFS pointer,
            or out of the graph's directory.
    """
    files = _weight_files(path)
    for file in files:
        try:
            refuse_pointer(file)
        except OSError as error:
            reason = "is not there" if isinstance(error, FileNotFoundError) else error.strerror
            raise ModelError(
                f"the model is not whole: {file} {reason}, and {path} has weights in it; copy both "
                "into one directory"
            ) from error
    return files


def model_files(path: str) -> list[tuple[str, pathlib.Path]]:
    """Returns the files that decide what an ONNX model answers, with names for them, sorted.

    Weights have the names that the graph has for them. The others have their usual ones, wherever
    they lie: net.onnx that is renamed is the same model.

    Raises:
        ModelError: As check_onnx_files.
    """
    weights = check_onnx_files(path)
    beside = [file_beside(path, name) for name in _SAYING]
    named = [(_USUAL, path)]
    named += [(os.path.basename(file), file) for file in beside if file is not None]
    named += [(os.path.relpath(file, directory_of(path)), file) for file in weights]
    return sorted((name, pathlib.Path(file)) for name, file in named)


def _weight_files(path: str) -> tuple[str, ...]:
    """Lists the files outside of a graph that its weights lie in.

    Raises:
        ModelError: If the graph is no ONNX or cut short, or a name leads out of its directory.
    """
    names = external_locations(path)
    for name in names:
        parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
            raise ModelError(f"{path} has weights outside of its directory, in {name[:200]!r}")
    return tuple(os.path.join(directory_of(path), name) for name in names)
