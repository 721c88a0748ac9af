"""Where a run works: its plan, its attempts, and the commit records that say which count.

Of a run of three shards that died, with one shard done and another begun:

    .OUT.staging/
        lock.json                         who worked here
        plan.json                         what it was going to do
        _int8_model.tar                   the quantized model, of a run in int8 alone
        00000-of-00003.json               commit record: the attempt 9f… counts
        00000-of-00003.9f….parquet        that attempt: rows
        00000-of-00003.9f….arrow          and what the shard was given
        00001-of-00003.4c….parquet        an attempt that nobody committed: it does not count
        00001-of-00003.begun              its decoding began; the next attempt at it is careful

--resume takes shard 0 as it is, and does the others. Two more names come at the end: run/, where
the run directory is put together, and replaced/, where an earlier one waits to be deleted (swap).
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from transforms.errors import OutputError, RunError
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import FileSystems, delete, list_files
from transforms.files.new_directory import may_write
from transforms.files.uris import is_local
from transforms.records import ShardKey
from transforms.results import ShardResult
from transforms.runs.directory import IN_PLACE_STAGING
from transforms.runs.record import result_from_dict, result_to_dict

PLAN_FILE = "plan.json"
LOCK_FILE = "lock.json"
REFUSAL_FILE = "refused.txt"
ASSEMBLED = "run"
"""Directory in which the run directory is put together."""

REPLACED = "replaced"
"""Directory to which a published run goes that another one replaces."""


def staging_path(output: str) -> str:
    """Returns where a run works until it is published; no reader looks there.

    Beside a local output, so that a complete run can be put in its place in one step. Inside of it
    where that cannot be: in an object store, on a mount point, or under a parent that may not be
    written.
    """
    if not is_local(output):
        return f"{output}/{IN_PLACE_STAGING}"
    parent, own = os.path.split(output)
    if os.path.ismount(output) or not may_write(parent):
        return os.path.join(output, IN_PLACE_STAGING)
    return os.path.join(parent, f".{own}.staging")


def is_in_place(output: str, staging: str) -> bool:
    """Whether a run is published file by file, with _SUCCESS last, rather than by a rename."""
    return not is_local(output) or staging.startswith(f"{output}/")


def write_plan(staging: str, plan: Mapping[str, Any]) -> None:
    """Writes what the run is going to do; see claim_output."""
    write_whole(FileSystems.join(staging, PLAN_FILE), json.dumps(plan, indent=2).encode())


def read_plan(staging: str) -> dict[str, Any] | None:
    """Reads the plan of the run that works or worked here; None if there is none.

    Raises:
        OutputError: If it is damaged, as a machine leaves it that lost its power.
    """
    path = FileSystems.join(staging, PLAN_FILE)
    if not FileSystems.exists(path):
        return None
    try:
        plan = json.loads(read_whole(path))
    except ValueError as error:
        reason = str(error)
    else:
        if isinstance(plan, dict):
            return plan
        reason = "it is no object"
    raise OutputError(
        f"{path} is damaged: {reason}; the run that it is of cannot go on: delete {staging}, and "
        "run again"
    )


def commit(staging: str, result: ShardResult) -> None:
    """Makes an attempt at a shard count; from then on --resume need not repeat it.

    In one step: a shard has its old record, or none, until it has the new one whole.
    """
    text = json.dumps(result_to_dict(result, staging), indent=2)
    write_whole(_commit_path(staging, result.shard), text.encode())


def write_refusal(staging: str, reason: str) -> None:
    """Notes why a run that did its work may not be published, where other runs are to go on.

    Or, of one that is published, what failed after that.
    """
    write_whole(FileSystems.join(staging, REFUSAL_FILE), reason.encode(errors="surrogateescape"))


def read_refusal(staging: str) -> str | None:
    """Reads what write_refusal noted; None if it did not, or the run was published since."""
    path = FileSystems.join(staging, REFUSAL_FILE)
    if not FileSystems.exists(path):
        return None
    return read_whole(path).decode(errors="surrogateescape")


def begin_shard(staging: str, shard: ShardKey) -> bool:
    """Notes that an attempt at a shard begins to decode; returns whether it is not the first.

    Then the one before did not come to its end: maybe one of the images ended the process.
    """
    path = FileSystems.join(staging, f"{shard}.begun")
    if FileSystems.exists(path):
        return True
    write_whole(path, b"")
    return False


@contextlib.contextmanager
def writing_shard(staging: str, shard: ShardKey) -> Iterator[None]:
    """Says of a file system that takes no more which shard it cost, and the way on.

    Raises:
        RunError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"the worker {socket.gethostname()} has no such directory"
        raise RunError(
            f"cannot write shard {shard} to {staging}: {reason}; nothing is "
            "published; run again with --resume once that is mended"
        ) from error


def read_commit(staging: str, shard: ShardKey) -> ShardResult | None:
    """Reads a shard's commit record, if there is one."""
    path = _commit_path(staging, shard)
    if not FileSystems.exists(path):
        return None
    return result_from_dict(json.loads(read_whole(path)), staging)


def count_commits(staging: str) -> int:
    """Counts the shards that are done: the commit records, which are named by shard."""
    ours = (PLAN_FILE, LOCK_FILE)
    names = (found.path.removeprefix(f"{staging}/") for found in list_files(staging))
    return sum(name.endswith(".json") and "/" not in name and name not in ours for name in names)


def clear_staging(staging: str) -> None:
    """Deletes all that a run left, except its lock, which says that somebody works here.

    Locally the names in the staging directory, folders with all that is in them; in an object
    store, which has no folders, every object below it.
    """
    lock, plan = (FileSystems.join(staging, name) for name in (LOCK_FILE, PLAN_FILE))
    if is_local(staging):
        paths = [os.path.join(staging, name) for name in os.listdir(staging)]
    else:
        paths = [found.path for found in list_files(staging)]
    # The plan goes last: what has a plan can be resumed, or cleared again.
    delete(path for path in paths if path not in (lock, plan))
    delete(path for path in paths if path == plan)


def _commit_path(staging: str, shard: ShardKey) -> str:
    return FileSystems.join(staging, f"{shard}.json")
