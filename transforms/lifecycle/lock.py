"""Who works in a staging directory: one run at a time, and a dead one is told from a living one."""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from google.api_core.exceptions import GoogleAPIError

from transforms.errors import OutputError
from transforms.files import cloud_storage
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import BeamIOError, FileSystems
from transforms.files.uris import is_local
from transforms.lifecycle.staging import LOCK_FILE

SIGN_OF_LIFE_SECONDS = 30
DEAD_SECONDS = 600
"""Silent for longer, a run in an object store is dead: far more than a pause of its machine."""

TAKEOVER_SECONDS = 2


@dataclasses.dataclass(frozen=True)
class Owner:
    """The run that holds a lock.

    Attributes:
        run_id: The run.
        program: "embed", "classify" or "refresh".
        host: Where its launcher runs.
        process: Its process id there.
        machine: What process ids count in: this boot of the machine, and the container.
        since: When it took the lock, ISO 8601, UTC.
    """

    run_id: str
    program: str
    host: str
    process: int
    machine: str
    since: str

    def __str__(self) -> str:
        """Names the run to a person."""
        return (
            f"run {self.run_id[:8]} of pipelines.{self.program} (process {self.process} on "
            f"{self.host}, since {self.since})"
        )


@dataclasses.dataclass
class Hold:
    """A lock while it is held.

    Attributes:
        is_handed_over: Whether it stays when its holder leaves, for a job that works on without
            it. Nobody gives a sign of life then: only release_handed_over ends it, or a person.
    """

    is_handed_over: bool = False


def this_process(run_id: str, program: str) -> Owner:
    """Returns this process as the owner of a run."""
    since = _now().isoformat(" ", "seconds")
    return Owner(run_id, program, socket.gethostname(), os.getpid(), _machine(), since)


@contextlib.contextmanager
def run_lock(staging: str, owner: Owner) -> Iterator[Hold]:
    """Holds a staging directory, which it makes if need be.

    Only in an object store can it be handed over.

    Raises:
        OutputError: If another run, which lives or was handed over, holds it; names it.
        OSError: If it cannot be written.
    """
    path = FileSystems.join(staging, LOCK_FILE)
    with _local_lock(path, owner) if is_local(path) else _remote_lock(path, owner) as hold:
        yield hold


def living_owner(staging: str) -> Owner | None:
    """Returns the run that works in a staging directory, if there is one; takes no lock.

    A run on another machine counts as living.
    """
    path = FileSystems.join(staging, LOCK_FILE)
    if not FileSystems.exists(path):
        return None
    holder = _owner(read_whole(path))
    return None if _is_dead_here(holder) else holder


def release_handed_over(staging: str) -> None:
    """Ends a lock that was handed over, as the job's last act there; leaves any other."""
    path = FileSystems.join(staging, LOCK_FILE)
    if not is_local(path) and FileSystems.exists(path) and _is_handed_over(read_whole(path)):
        FileSystems.delete([path])


def remove_staging(staging: str) -> None:
    """Removes an empty staging directory with its lock, as its holder's last act there."""
    if is_local(staging):
        os.unlink(os.path.join(staging, LOCK_FILE))
        with contextlib.suppress(OSError):  # A second writer has just come.
            os.rmdir(staging)


@contextlib.contextmanager
def _local_lock(path: str, owner: Owner) -> Iterator[Hold]:
    """Locks a file by the kernel, which lets go of it when the process ends in whatever way."""
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # The holder before has just swept it away.
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if _is_locked(handle, path):
                break
            os.close(handle)
    try:
        os.truncate(handle, 0)
        os.write(handle, json.dumps(dataclasses.asdict(owner)).encode())
        yield Hold()
    finally:
        os.close(handle)


def _is_locked(handle: int, path: str) -> bool:
    """Locks an open file; False if it is no longer the one of that name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _owner(os.pread(handle, 10_000, 0))
        os.close(handle)
        raise OutputError(_is_taken(path, str(holder or "another run"))) from None
    return _is_same_file(handle, path)


def _is_same_file(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _remote_lock(path: str, owner: Owner) -> Iterator[Hold]:
    """Holds an object that a thread renews; one not renewed for long is a dead run's."""
    if not _create(path, _remote_text(owner)):
        content = read_whole(path)
        holder = _owner(content)
        if _is_handed_over(content):
            raise OutputError(_is_left_to_a_job(path, str(holder)))
        seen = datetime.datetime.fromisoformat(json.loads(content)["seen_at"])
        silent = (_now() - seen).total_seconds()
        if silent < DEAD_SECONDS and not _is_dead_here(holder):
            sign = f"{holder}, which gave a sign of life {silent:.0f} s ago"
            raise OutputError(_is_taken(path, sign))
        write_whole(path, _remote_text(owner).encode())
        # Of two that take a dead run's lock at once, the last to write has it.
        time.sleep(TAKEOVER_SECONDS)
        if not _is_held_by(path, owner):
            raise OutputError(_is_taken(path, "another run"))
    done = threading.Event()

    def renew() -> None:
        while not done.wait(SIGN_OF_LIFE_SECONDS):
            # A sign that is lost to a hiccup is followed by the next, long before DEAD_SECONDS.
            with contextlib.suppress(OSError, BeamIOError, GoogleAPIError):
                write_whole(path, _remote_text(owner).encode())

    thread = threading.Thread(target=renew, daemon=True, name="sign-of-life")
    thread.start()
    hold = Hold()
    try:
        yield hold
    finally:
        done.set()
        thread.join()
        if _is_held_by(path, owner):
            if hold.is_handed_over:
                write_whole(path, _remote_text(owner, is_handed_over=True).encode())
            else:
                FileSystems.delete([path])


def _is_held_by(path: str, owner: Owner) -> bool:
    return FileSystems.exists(path) and _owner(read_whole(path)) == owner


def _create(path: str, text: str) -> bool:
    if cloud_storage.is_cloud_uri(path):
        return cloud_storage.create_if_absent(path, text)
    if FileSystems.exists(path):
        return False
    write_whole(path, text.encode())
    return True


def _remote_text(owner: Owner, *, is_handed_over: bool = False) -> str:
    own = {"seen_at": _now().isoformat(), "is_handed_over": is_handed_over}
    return json.dumps({**dataclasses.asdict(owner), **own})


def _is_handed_over(content: bytes) -> bool:
    return bool(json.loads(content).get("is_handed_over"))


def _is_dead_here(holder: Owner | None) -> bool:
    """Whether the holder was a process of this machine that is gone."""
    if holder is None or not holder.machine or holder.machine != _machine():
        return False
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _machine() -> str:
    """Names this boot and process namespace; empty where the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _owner(content: bytes) -> Owner | None:
    try:
        found: dict[str, Any] = json.loads(content)
        return Owner(**{field.name: found[field.name] for field in dataclasses.fields(Owner)})
    except (ValueError, KeyError, TypeError):  # Taken an instant ago, and not yet signed.
        return None


def _is_taken(path: str, holder: str) -> str:
    return (
        f"{holder} is writing here ({path}); wait for it, end it, or choose another directory: "
        "two runs never share an output"
    )


def _is_left_to_a_job(path: str, holder: str) -> str:
    return (
        f"{holder} left its work to a Dataflow job, which publishes it ({path}); wait for the job; "
        "if it failed, was cancelled or never started, delete that file and run again with "
        "--resume or --overwrite"
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
