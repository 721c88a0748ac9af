"""The output directory: the names in it, and what it holds."""

import os
import re
from collections.abc import Iterable

from transforms.errors import FlagError
from transforms.files.file_systems import list_files
from transforms.files.file_uris import without_file_scheme
from transforms.files.schemes import check_slashes
from transforms.files.uris import is_local
from transforms.runs.formats import FORMATS

# All that is no data begins with an underscore: what reads Parquet directories passes over it.
RUN_FILE = "_run.json"
FAILURES_FILE = "_failures.jsonl"
SUCCESS_FILE = "_SUCCESS"
INT8_FILE = "_int8_model.tar"
"""The quantized model of a run in int8, for the next refresh."""

INDEX_SUFFIX = ".index"
"""What follows a run's name in that of its index, which lies beside it."""

INDEX_FILE = "index.json"

INPUTS = "_inputs"
IN_PLACE_STAGING = "_staging"

EARLIER_NAMES = {RUN_FILE: "run.json", FAILURES_FILE: "failures.jsonl"}
"""Names in runs of format 2, which are still read."""

STEMS = {"embed": "embeddings", "classify": "classifications"}
"""What a program's data files hold."""

_DATA_FILE = re.compile(
    rf"({'|'.join(STEMS.values())})-\d{{5,}}-of-\d{{5,}}\.({'|'.join(FORMATS)})"
)
_HALF_WRITTEN = re.compile(r"(.+)\.[0-9a-f]{32}\.partial")
"""A file that is to replace the one before the dot: see write_whole."""

_OURS_SHOWN = 3


def data_file_name(stem: str, shard: object, output_format: str) -> str:
    """Returns a data file's published name, such as embeddings-00000-of-00012.parquet."""
    return f"{stem}-{shard}.{output_format}"


def inputs_file_name(shard: object) -> str:
    """Returns the published name of what a shard was given."""
    return f"{INPUTS}/{shard}.arrow"


def absolute_output(output: str) -> str:
    """Returns the run directory without closing slash; a local one as an absolute path.

    Raises:
        FlagError: If it is a URI without one of its slashes.
    """
    try:
        check_slashes(output)
    except ValueError as error:
        raise FlagError(f"{output}: {error}") from error
    path = without_file_scheme(output)
    return os.path.realpath(path) if is_local(path) else path.rstrip("/")


def names_in(output: str) -> list[str]:
    """Lists the names of all files below a run directory, relative to it and sorted.

    What waits in a staging directory inside of it is left out.
    """
    paths = (found.path.removeprefix(f"{output}/") for found in list_files(output))
    return sorted(name for name in paths if not name.startswith(f"{IN_PLACE_STAGING}/"))


def is_ours(name: str) -> bool:
    """Tells whether a name in the run directory is one that a run writes, or leaves as it dies."""
    if half := _HALF_WRITTEN.fullmatch(name):
        name = half[1]
    return (
        name in (RUN_FILE, FAILURES_FILE, SUCCESS_FILE, INT8_FILE, *EARLIER_NAMES.values())
        or name.startswith(f"{INPUTS}/")
        or is_data_file(name)
    )


def foreign_names(names: Iterable[str]) -> list[str]:
    """Returns the names in the run directory that no run writes."""
    return [name for name in names if not is_ours(name)]


def is_data_file(name: str) -> bool:
    """Tells whether a name in the run directory is that of a data file."""
    return _DATA_FILE.fullmatch(name) is not None


def describe(names: Iterable[str]) -> str:
    """Says in a few words what the files of a run directory are."""
    names = list(names)
    if SUCCESS_FILE in names:
        return f"a published run ({sum(map(is_data_file, names))} data files)"
    return f"a part of a run ({some(names)})"


def some(names: list[str]) -> str:
    """Names the first few of many."""
    more = len(names) - _OURS_SHOWN
    return ", ".join(names[:_OURS_SHOWN]) + (f" and {more} more" if more > 0 else "")
