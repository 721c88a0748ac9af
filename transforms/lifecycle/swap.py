"""Putting a complete directory in the place of another, in one step.

Where the file system lets two directories change places, a reader sees either run whole:

    before             OUT = earlier run    .OUT.staging/run = new run
    change places      OUT = new run        .OUT.staging/run = earlier run
    tidy up            OUT = new run        .OUT.staging/replaced = earlier run

Where it does not, there is an instant without a run, and a crash in it is undone by put_back:

    before             OUT = earlier run    .OUT.staging/run = new run
    first rename       no OUT               .OUT.staging/run, .OUT.staging/replaced = earlier run
    second rename      OUT = new run        .OUT.staging/replaced = earlier run

Whatever lies in .OUT.staging/replaced in the end goes when the staging directory is cleared.
"""

import ctypes
import errno
import os

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM}
"""What a kernel or a file system says that cannot exchange names; anything else is a failure."""


def put_in_place(complete: str, target: str, parking: str) -> None:
    """Makes a directory appear under another name, whole; what was there goes to parking.

    Args:
        complete: The directory; on the same file system as the target.
        target: Path that it gets: absent, an empty directory, or one that is replaced.
        parking: Path that gets what is replaced; absent.

    Raises:
        OSError: If it cannot; then the target is as it was.
    """
    if not os.path.isdir(target) or not os.listdir(target):
        # One rename: it also replaces a directory that is empty.
        os.rename(complete, target)
        return
    if _exchange(complete, target):
        os.rename(complete, parking)
        return
    os.rename(target, parking)
    os.rename(complete, target)


def put_back(target: str, parking: str) -> None:
    """Undoes the first of put_in_place's two renames, if a run died between them."""
    if where_it_lies(target, parking) == parking:
        os.rename(parking, target)


def where_it_lies(target: str, parking: str) -> str:
    """Returns where the content of a target is: there, or in parking from where put_back has it.

    In an object store nothing is ever parked, and the target is what it says.
    """
    return parking if os.path.isdir(parking) and not os.path.exists(target) else target


def _exchange(first: str, second: str) -> bool:
    """Lets two directories change places; False where the file system cannot.

    Source: renameat2(2), Linux 3.15, glibc 2.28.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(first), os.fsencode(second)
    if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), second)
