"""A refresh root: one dated run beside the other, and LATEST, which names the one to read."""

import dataclasses
import datetime
import os
import re
import shutil
import uuid

from transforms.errors import InputError, UnreadableRunError
from transforms.files.atomic_files import read_whole, write_whole
from transforms.files.file_systems import FileSystems, delete, list_files
from transforms.files.uris import is_local
from transforms.runs.directory import (
    IN_PLACE_STAGING,
    INDEX_FILE,
    INDEX_SUFFIX,
    SUCCESS_FILE,
    foreign_names,
)
from transforms.runs.record import PublishedRun, is_published, read_published_run

LATEST = "LATEST"
STAGING_NAME = ".refresh.staging"

_FORMAT = "%Y-%m-%dT%H-%M-%SZ"
_DATE = r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z"
_NAME = re.compile(_DATE)
_HALF_PRUNED = re.compile(rf"\.{_DATE}({re.escape(INDEX_SUFFIX)})?\.[0-9a-f]+\.pruned")
_HALF_WRITTEN = re.compile(rf"{LATEST}\.[0-9a-f]+\.partial")


def latest_run(directory: str) -> str | None:
    """Returns the run that LATEST in a directory names, or the directory where there is no LATEST.

    None if LATEST does not hold the name of a run.
    """
    if not FileSystems.exists(FileSystems.join(directory, LATEST)):
        return directory
    name = RunRoot(directory).latest()
    return None if name is None else FileSystems.join(directory, name)


@dataclasses.dataclass(frozen=True)
class RunRoot:
    """Where refreshes of one collection are.

    Attributes:
        directory: The root, absolute.
        keep: Runs to keep, the newest first; None keeps all.
    """

    directory: str
    keep: int | None = None

    def published_runs(self) -> list[str]:
        """Returns the names of the complete runs, oldest first."""
        return sorted(
            name for name in self._names() if is_published(FileSystems.join(self.directory, name))
        )

    def read_newest(self, known: PublishedRun | None = None) -> PublishedRun | None:
        """Reads the newest complete run's record; None if there is no run.

        By name rather than by LATEST, which a run that died after it was published did not move.

        Args:
            known: A run that was read before. Published runs never change: it is not read again.

        Raises:
            InputError: If it is damaged or of another version.
        """
        runs = self.published_runs()
        if not runs:
            return None
        directory = FileSystems.join(self.directory, runs[-1])
        if known is not None and known.directory == directory:
            return known
        try:
            return read_published_run(directory)
        except UnreadableRunError:  # What is wrong is not the run.
            raise
        except InputError as error:
            raise InputError(
                f"{error}; move {directory} away: the refresh then builds on the run before it"
            ) from error

    @property
    def staging(self) -> str:
        """Where a refresh works: one place, so that two of them exclude each other."""
        if is_local(self.directory):
            return os.path.join(self.directory, STAGING_NAME)
        return f"{self.directory}/{IN_PLACE_STAGING}"

    def next_run(self, now: datetime.datetime) -> str:
        """Names a new run's directory by the time, and after every run that is there.

        A clock that went backwards must not put a new run before an old one.
        """
        stamp = now.astimezone(datetime.UTC).replace(microsecond=0)
        for name in self._names():
            earlier = datetime.datetime.strptime(name, _FORMAT).replace(tzinfo=datetime.UTC)
            stamp = max(stamp, earlier + datetime.timedelta(seconds=1))
        return FileSystems.join(self.directory, stamp.strftime(_FORMAT))

    def point_to(self, run: str) -> None:
        """Moves LATEST to a run, in one step; never back to an older one."""
        name = run.rpartition("/")[2]
        current = self.latest()
        if current is None or current < name:
            write_whole(FileSystems.join(self.directory, LATEST), f"{name}\n".encode())

    def latest(self) -> str | None:
        """Returns the name in LATEST, or None if there is none."""
        path = FileSystems.join(self.directory, LATEST)
        if not FileSystems.exists(path):
            return None
        name = read_whole(path).decode(errors="replace").strip()
        return name if _NAME.fullmatch(name) else None

    def prune(self) -> None:
        """Deletes the oldest complete runs beyond `keep`, with their indexes; LATEST's stays.

        Also what a refresh left that died in the middle of this, or of publishing.
        """
        self._sweep()
        if self.keep is None:
            return
        for name in self.published_runs()[: -self.keep]:
            if name != self.latest():
                run = FileSystems.join(self.directory, name)
                _delete_index(f"{run}{INDEX_SUFFIX}")
                _delete_run(run)

    def _sweep(self) -> None:
        if not is_local(self.directory):
            self._sweep_store()
            return
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if _HALF_PRUNED.fullmatch(name):
                shutil.rmtree(path)
            elif _HALF_WRITTEN.fullmatch(name):
                os.unlink(path)

    def _sweep_store(self) -> None:
        """Deletes what is left of older runs: there a run neither comes nor goes in one step."""
        left: dict[str, list[str]] = {}
        for found in list_files(self.directory):
            run, _, name = found.path.removeprefix(f"{self.directory}/").partition("/")
            if _NAME.fullmatch(run):
                left.setdefault(run, []).append(name)
        complete = [run for run, names in left.items() if SUCCESS_FILE in names]
        for run, names in left.items():
            if run not in complete and run < max(complete, default="") and not foreign_names(names):
                delete(FileSystems.join(self.directory, run, name) for name in names)

    def _names(self) -> list[str]:
        if is_local(self.directory):
            names = os.listdir(self.directory) if os.path.isdir(self.directory) else []
        else:
            start = len(self.directory) + 1
            names = [found.path[start:].partition("/")[0] for found in list_files(self.directory)]
        return sorted({name for name in names if _NAME.fullmatch(name)})


def _delete_index(index: str) -> None:
    """Deletes an index, in a store that by which it is known last.

    A link stays, and so do other data and the index of somebody who lets nobody else delete it.
    """
    known = FileSystems.join(index, INDEX_FILE)
    if os.path.islink(index) or not FileSystems.exists(known):
        return
    if is_local(index):
        if not os.access(index, os.W_OK):
            return
        _delete_local(index)
        return
    delete(found.path for found in list_files(index) if found.path != known)
    delete([known])


def _delete_run(run: str) -> None:
    """Deletes a run that readers may know: it is gone in one step, or has no _SUCCESS first."""
    if is_local(run):
        _delete_local(run)
        return
    delete([FileSystems.join(run, SUCCESS_FILE)])
    delete(found.path for found in list_files(run))


def _delete_local(directory: str) -> None:
    parent, name = os.path.split(directory)
    doomed = os.path.join(parent, f".{name}.{uuid.uuid4().hex[:8]}.pruned")
    os.rename(directory, doomed)
    shutil.rmtree(doomed)
