"""A reader of a run directory, who must see nothing or a whole run, at every look."""

import contextlib
import json
import os
import pathlib
import threading
from collections.abc import Callable
from typing import NamedTuple

OWN_FILES = {"_SUCCESS", "_run.json", "_failures.jsonl", "_inputs"}
FAULTS_SHOWN = 5


class Look(NamedTuple):
    """What a reader saw.

    Attributes:
        run_id: The run; None if there was no directory.
        fault: What was wrong with it, if anything.
    """

    run_id: str | None
    fault: str | None = None


def look_at(run: pathlib.Path) -> Look | None:
    """Reads one run directory as a reader would; None if it was replaced meanwhile.

    The directory is opened once, so that one look is at one directory.
    """
    try:
        handle = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return Look(None)
    try:
        found = _look_inside(handle)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(run)):
                return found
        return None
    finally:
        os.close(handle)


def _look_inside(directory: int) -> Look:
    names = set(os.listdir(directory))
    if not names >= OWN_FILES:
        return Look("a part", f"{len(names)} names and no {sorted(OWN_FILES - names)}")
    try:
        record = json.loads(_read_in(directory, "_run.json"))
        failures = _read_in(directory, "_failures.jsonl").count(b"\n")
        sizes = {
            file["path"]: (file["size_bytes"], os.stat(file["path"], dir_fd=directory).st_size)
            for entry in record["files"]
            for file in (entry, entry["inputs"])
        }
        inputs = {f"_inputs/{name}" for name in _names_in(directory, "_inputs")}
    except (FileNotFoundError, ValueError) as error:
        return Look("a part", repr(error))
    wrong = [f"{path}: {size} bytes" for path, (wanted, size) in sizes.items() if size != wanted]
    unlisted = ((names - OWN_FILES) | inputs) ^ sizes.keys()
    if unlisted:
        wrong.append(f"names and _run.json differ: {sorted(unlisted)[:3]}")
    if failures != record["counts"]["failed"]:
        wrong.append(f"{failures} failures of {record['counts']['failed']}")
    return Look(record["run_id"], "; ".join(wrong) or None)


def _read_in(directory: int, name: str) -> bytes:
    with open(os.open(name, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()


def _names_in(directory: int, name: str) -> list[str]:
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return os.listdir(handle)
    finally:
        os.close(handle)


class Watch(threading.Thread):
    """A reader that looks as fast as it can, from start to stop.

    Attributes:
        looks: How often it looked.
        whole: How many of these saw a whole run; the others, as a rule, saw that there is none.
        void: How many were cut short because the directory was replaced.
        faults: How many looks saw a part of a run, or an earlier state again.
        shown: The first of them, in words.
        seen: The states, in order.
    """

    def __init__(self, look: Callable[[], Look | None]) -> None:
        """Takes what looks once: it returns None if the directory was replaced meanwhile."""
        super().__init__(name="reader")
        self._look_once = look
        self._is_over = threading.Event()
        self.looks = self.whole = self.void = self.faults = 0
        self.shown: list[str] = []
        self.seen: list[str | None] = []

    def run(self) -> None:
        """Looks until it is told to stop."""
        while not self._is_over.is_set():
            self._look()

    def _look(self) -> None:
        self.looks += 1
        try:
            found = self._look_once()
        except Exception as error:  # A reader that fails has seen a fault, whatever it is.
            found = Look("unreadable", repr(error))
        if found is None:
            self.void += 1
            return
        fault = found.fault
        if not self.seen or found.run_id != self.seen[-1]:
            if self.seen and (found.run_id is None or found.run_id in self.seen):
                fault = fault or f"{found.run_id} came after {self.seen[-1]}"
            self.seen.append(found.run_id)
        self.whole += found.run_id is not None and fault is None
        if fault is not None:
            self.faults += 1
            self.shown = [*self.shown, f"reader: {fault}"][:FAULTS_SHOWN]

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()
