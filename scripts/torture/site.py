"""The output of one case as it is on disk: what was there, what is staged, what is published."""

import contextlib
import enum
import hashlib
import json
import os
import pathlib
import re

from scripts.torture.reader import Look, look_at
from scripts.torture.scenarios import Trigger

_SHARD = re.compile(r"\d{5,}-of-\d{5,}")
_RUN_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z")


class Phase(enum.Enum):
    """How far a run had come when it was killed, by what it left on disk."""

    BEFORE_WORK = "before work"
    WORKING = "working"
    ASSEMBLING = "assembling"
    PUBLISHED = "published, staging left"
    FINISHED = "finished"


class Site:
    """The output of one case, with what was there before."""

    def __init__(self, output: pathlib.Path, *, is_root: bool) -> None:
        self.output = output
        self._is_root = is_root
        self.staging = (
            output / ".refresh.staging" if is_root else output.parent / f".{output.name}.staging"
        )
        self._earlier = self._identity()

    def new_run(self) -> pathlib.Path | None:
        """Returns the directory of the new run, once it is in its place."""
        if self._identity() == self._earlier:
            return None
        return self.output / self._run_names()[-1] if self._is_root else self.output

    def look(self) -> Look | None:
        """Reads the run that a reader would; None if it was replaced meanwhile."""
        if not self._is_root:
            return look_at(self.output)
        name = self._latest()
        found = look_at(self.output / name)
        if found is not None and found.run_id is not None:
            return found
        return None if self._latest() != name else Look(None, f"LATEST names {name}: not there")

    def strays(self) -> list[str]:
        """Names what a finished run must not leave."""
        beside = [self.staging.name] if self.staging.exists() else []
        if not self._is_root:
            return beside
        known = {"LATEST", *self._run_names()}
        return sorted({*beside, *os.listdir(self.output)} - known)

    def happened(self, trigger: Trigger) -> bool:
        """Tells whether it is time."""
        match trigger:
            case Trigger.START:
                return True
            case Trigger.COMMIT:
                return bool(list(self.staging.glob("*-of-*.json")))
            case Trigger.ASSEMBLY:
                return os.path.exists(self.staging / "run")
            case Trigger.PUBLICATION:
                return self.new_run() is not None
            case Trigger.SWEPT:
                return not os.path.exists(self.staging) and self.new_run() is not None

    def phase(self) -> Phase:
        """Judges by what is on disk how far the run came."""
        if self.new_run() is not None:
            return Phase.PUBLISHED if self.staging.exists() else Phase.FINISHED
        if not (self.staging / "plan.json").exists():
            return Phase.BEFORE_WORK
        return Phase.ASSEMBLING if (self.staging / "run").exists() else Phase.WORKING

    def committed(self) -> dict[str, int]:
        """Returns the inode of the data file of every shard that is done, by shard."""
        found = {}
        for path in self.staging.glob("*-of-*.json"):
            with contextlib.suppress(FileNotFoundError):  # Being swept away by an orphan.
                attempt = json.loads(path.read_bytes())["path"]
                found[path.stem] = (self.staging / attempt).stat().st_ino
        return found | self.published()

    def published(self) -> dict[str, int]:
        """Returns the inode of every data file of the new run, by shard."""
        run = self.new_run()
        return {} if run is None else inodes(run)

    def _latest(self) -> str:
        return (self.output / "LATEST").read_text().strip()

    def _run_names(self) -> list[str]:
        return sorted(name for name in os.listdir(self.output) if _RUN_NAME.fullmatch(name))

    def _identity(self) -> object:
        """What changes when a new run takes its place."""
        if self._is_root:
            return self._run_names()[-1]
        with contextlib.suppress(FileNotFoundError):
            return self.output.stat().st_ino
        return None


def inodes(run: pathlib.Path) -> dict[str, int]:
    """Returns the inode of every data file of a run, by shard."""
    return {
        match.group(): path.stat().st_ino
        for path in run.glob("*-of-*")
        if (match := _SHARD.search(path.name))
    }


def contents(run: pathlib.Path) -> dict[str, str]:
    """Returns the sha256 of all that must be the same in every run of the same inputs, by name."""
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name != "_run.json"
    }
