"""Who may work in a staging directory: one run at a time, and a dead one is told from a living one.

Two kinds of lock, both a file lock.json that says who holds it (owner):

On a disk, the kernel holds it (flock), and lets go when the process ends in whatever way. The file
itself proves nothing: one that a dead run left is simply locked by the next.

In an object store nobody lets go for the dead. So the holder writes the time into the object every
30 s, and one that is silent for 10 minutes is dead:

    02:30:15  A creates lock.json, which only one of two can     {A…, "seen_at": "02:30:15"}
    02:30:45  A gives a sign of life                             {A…, "seen_at": "02:30:45"}
    02:31:00  A's machine loses power
    02:35:00  B is refused: A gave a sign of life 255 s ago
    02:41:00  C comes, 615 s after it: writes its name, waits    {C…, "seen_at": "02:41:00"}
    02:41:02  C reads its own name, and has the lock; had D written over it meanwhile, D would
"""

import contextlib
import dataclasses
import datetime
import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator

from transforms.errors import OutputError
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import FileSystems, create_if_absent, delete
from transforms.files.uris import is_local
from transforms.lifecycle.owner import Owner, is_dead_here, read_owner
from transforms.lifecycle.staging import LOCK_FILE

SIGN_OF_LIFE_SECONDS = 30
DEAD_SECONDS = 600
"""Silent for longer, a run in an object store is dead: far more than a pause of its machine."""

TAKEOVER_SECONDS = 2
"""Pause after which one who took over looks whether another did, too."""

LET_GO_SECONDS = 5
"""What a process that is told to end takes for it: schedulers kill it some 10 s later."""

_HAVE_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What flock says where a file system has no locks, or its server of locks does not answer."""


def _nothing() -> None:
    pass


@dataclasses.dataclass
class Hold:
    """A lock while it is held.

    Attributes:
        is_handed_over: Whether it stays when its holder leaves, for a job that works on without
            it. Nobody gives a sign of life then: only release_handed_over ends it, or a person.
        let_go: Callback for a holder whose process ends before it leaves; takes LET_GO_SECONDS at
            most.
    """

    is_handed_over: bool = False
    let_go: Callable[[], None] = _nothing


@contextlib.contextmanager
def run_lock(staging: str, owner: Owner) -> Iterator[Hold]:
    """Holds a staging directory, which it makes if need be.

    Only in an object store can it be handed over.

    Raises:
        OutputError: If another run, which lives or was handed over, holds it; names it. If the
            file system has no locks.
        OSError: If it cannot be written.
    """
    path = FileSystems.join(staging, LOCK_FILE)
    with _local_lock(path, owner) if is_local(path) else _remote_lock(path, owner) as hold:
        yield hold


def living_owner(staging: str) -> Owner | None:
    """Returns the run that works in a staging directory, if there is one; takes no lock.

    On a disk, a run on another machine counts as living: without taking the lock, nobody can tell.
    """
    path = FileSystems.join(staging, LOCK_FILE)
    if not FileSystems.exists(path):
        return None
    content = read_whole(path)
    holder = read_owner(content)
    is_dead = is_dead_here(holder) if is_local(path) else _is_abandoned(path, content)
    return None if is_dead else holder


def release_handed_over(staging: str) -> None:
    """Ends a lock that was handed over, as the job's last act there; leaves any other."""
    path = FileSystems.join(staging, LOCK_FILE)
    if not is_local(path) and FileSystems.exists(path) and _is_handed_over(read_whole(path)):
        delete([path])


def remove_staging(staging: str) -> None:
    """Removes an empty local staging directory with its lock, as its holder's last act there."""
    os.unlink(os.path.join(staging, LOCK_FILE))
    with contextlib.suppress(OSError):  # A second writer has just come.
        os.rmdir(staging)


@contextlib.contextmanager
def _local_lock(path: str, owner: Owner) -> Iterator[Hold]:
    """Locks a file by the kernel, which lets go of it when the process ends in whatever way."""
    # A holder who leaves deletes the file. Between our open and our lock it may have: then we have
    # locked a file without a name, beside which the next would make and lock another. Try again.
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # The holder before has just swept it away.
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                is_locked = _is_locked(handle, path)
            except BaseException:
                os.close(handle)
                raise
            if is_locked:
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
        holder = read_owner(os.pread(handle, 10_000, 0))
        raise OutputError(_is_taken(path, str(holder or "another run"))) from None
    except OSError as error:
        if error.errno not in _HAVE_NO_LOCKS:
            raise
        raise OutputError(
            f"{path} cannot be locked: {error.strerror}; mount its file system with locks "
            "(Lustre: -o flock), or choose an output on another one"
        ) from None
    return _is_same_file(handle, path)


def _is_same_file(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _remote_lock(path: str, owner: Owner) -> Iterator[Hold]:
    """Holds an object that a thread renews; one not renewed for long is a dead run's."""
    _check_may_delete(path)
    if not create_if_absent(path, _remote_text(owner).encode()):
        content = read_whole(path)
        if not _is_abandoned(path, content):
            raise OutputError(_why_refused(path, content))
        write_whole(path, _remote_text(owner).encode())
        # Of two that take a dead run's lock at once, the last to write has it.
        time.sleep(TAKEOVER_SECONDS)
        if not _is_held_by(path, owner):
            raise OutputError(_is_taken(path, "another run"))
    done = threading.Event()

    def renew() -> None:
        while not done.wait(SIGN_OF_LIFE_SECONDS):
            # A sign that is lost to a hiccup is followed by the next, long before DEAD_SECONDS.
            with contextlib.suppress(OSError):
                if not _is_held_by(path, owner):  # It was silent for so long that another came.
                    return
                write_whole(path, _remote_text(owner).encode())

    thread = threading.Thread(target=renew, daemon=True, name="sign-of-life")
    thread.start()

    def leave() -> None:
        done.set()
        thread.join()
        if hold.is_handed_over and _is_held_by(path, owner):
            write_whole(path, _remote_text(owner, is_handed_over=True).encode())
        elif not hold.is_handed_over:
            # One that stays there is known for a dead run's. How the run ended is to be said.
            with contextlib.suppress(OSError):
                if _is_held_by(path, owner):
                    delete([path])

    def let_go() -> None:
        # In a thread: the store may be down, or this one be interrupted in the midst of a request.
        leaving = threading.Thread(target=leave, daemon=True, name="let-go")
        leaving.start()
        leaving.join(LET_GO_SECONDS)

    hold = Hold(let_go=let_go)
    try:
        yield hold
    finally:
        leave()


def _check_may_delete(path: str) -> None:
    """Raises PermissionError where a run could not tidy up, before it has done its work."""
    probe = f"{path}.probe"
    try:
        delete([probe])  # It is not there, which is no error for who may delete.
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            f"{error.strerror}: whoever runs this may not delete there, and a run deletes what it "
            "worked with; let them in, or choose another output",
            probe,
        ) from error


def _is_abandoned(path: str, content: bytes) -> bool:
    """Whether a lock in an object store is a dead run's, which the next may take over."""
    try:
        if _is_handed_over(content):
            return False
        return _silent_seconds(content) >= DEAD_SECONDS or is_dead_here(read_owner(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path} is no lock that a run wrote; see that no run works there, and delete it"
        ) from error


def _silent_seconds(content: bytes) -> float:
    seen = datetime.datetime.fromisoformat(json.loads(content)["seen_at"])
    return (_now() - seen).total_seconds()


def _why_refused(path: str, content: bytes) -> str:
    holder = str(read_owner(content))
    if _is_handed_over(content):
        return _is_left_to_a_job(path, holder)
    sign = f"which gave a sign of life {_silent_seconds(content):.0f} s ago"
    return _is_taken(path, f"{holder}, {sign}")


def _is_held_by(path: str, owner: Owner) -> bool:
    return FileSystems.exists(path) and read_owner(read_whole(path)) == owner


def _remote_text(owner: Owner, *, is_handed_over: bool = False) -> str:
    own = {"seen_at": _now().isoformat(), "is_handed_over": is_handed_over}
    return json.dumps({**dataclasses.asdict(owner), **own})


def _is_handed_over(content: bytes) -> bool:
    return bool(json.loads(content).get("is_handed_over"))


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
