"""The output directory: what is in it, who may write it, and how a run becomes visible."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator

from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.filesystems import FileSystems

from transforms.errors import OutputError
from transforms.storage import is_local, without_file_scheme

STAGING = "_staging"
RUN_FILE = "run.json"
FAILURES_FILE = "failures.jsonl"
SUCCESS_FILE = "_SUCCESS"

_DATA_FILE = re.compile(r"(embeddings|classifications)-\d{5,}-of-\d{5,}\.(parquet|tfrecord)")
_OURS_SHOWN = 3


def data_file_name(stem: str, shard: object, output_format: str) -> str:
    """Returns a data file's published name, such as embeddings-00000-of-00012.parquet."""
    return f"{stem}-{shard}.{output_format}"


def absolute_output(output: str) -> str:
    """Returns the run directory without closing slash; a local one as an absolute path."""
    path = without_file_scheme(output)
    return os.path.abspath(path) if is_local(path) else path.rstrip("/")


def staging_path(output: str) -> str:
    """Returns where a run's files wait until they are published; readers skip names with _."""
    return FileSystems.join(output, STAGING)


def list_files(directory: str) -> list[FileMetadata]:
    """Lists every file below a directory; empty if there is no such directory."""
    with _absent_is_empty():
        return [
            found
            for match in FileSystems.match([FileSystems.join(directory, "**")])
            for found in match.metadata_list
        ]
    return []


@contextlib.contextmanager
def _absent_is_empty() -> Iterator[None]:
    try:
        yield
    except BeamIOError as error:
        causes = (error.exception_details or {}).values()
        if not all(isinstance(cause, FileNotFoundError) for cause in causes):
            raise


def is_ours(output: str, path: str) -> bool:
    """Tells whether a file below the output directory is one that a run writes."""
    name = path.removeprefix(output + "/")
    return (
        name in (RUN_FILE, FAILURES_FILE, SUCCESS_FILE)
        or name.startswith(f"{STAGING}/")
        or _DATA_FILE.fullmatch(name) is not None
    )


def prepare_output(output: str, *, overwrite: bool) -> None:
    """Checks, before any work, that a run may write here; clears what a dead run left.

    Raises:
        OutputError: If the directory holds anything that may not be replaced, or is a file.
    """
    if is_local(output) and os.path.isfile(output):
        raise OutputError(f"--output {output} is a file; choose an empty or new directory")
    try:
        paths = [found.path for found in list_files(output)]
    except ValueError as error:  # No such file system.
        raise OutputError(f"--output {output}: {error}") from error
    foreign = sorted(path for path in paths if not is_ours(output, path))
    if foreign:
        raise OutputError(
            f"--output {output} holds files that no run wrote ({_some(foreign)}); "
            "choose an empty or new directory"
        )
    if paths and not overwrite:
        raise OutputError(
            f"--output {output} holds {describe(output, paths)}; choose another directory, or "
            "add --overwrite to replace it once the new run is complete"
        )
    delete_staging(output)
    probe = FileSystems.join(staging_path(output), "probe")
    try:
        write_text(probe, "")
        FileSystems.delete([probe])
    except (OSError, BeamIOError) as error:
        raise OutputError(f"--output {output} cannot be written: {error}") from error


def describe(output: str, paths: Iterable[str]) -> str:
    """Says in a few words what the files of an output directory are."""
    names = [path.removeprefix(output + "/") for path in paths]
    if SUCCESS_FILE in names:
        data = sum(_DATA_FILE.fullmatch(name) is not None for name in names)
        return f"a published run ({data} data files)"
    return f"an unfinished run ({_some(sorted(names))})"


def delete_staging(output: str) -> None:
    """Deletes the staging directory with all it holds."""
    staging = staging_path(output)
    if is_local(staging):
        shutil.rmtree(staging, ignore_errors=True)
    else:
        delete(found.path for found in list_files(staging))


def delete(paths: Iterable[str]) -> None:
    """Deletes files; there is nothing to do for none."""
    doomed = list(paths)
    if doomed:
        FileSystems.delete(doomed)


def write_text(path: str, text: str) -> None:
    """Writes a small text file, UTF-8."""
    with FileSystems.create(path, "text/plain") as stream:
        stream.write(text.encode())


def _some(paths: list[str]) -> str:
    more = len(paths) - _OURS_SHOWN
    return ", ".join(paths[:_OURS_SHOWN]) + (f" and {more} more" if more > 0 else "")
