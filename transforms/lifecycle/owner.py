"""Who works in a staging directory: a run, and the process of some machine that it is.

It signs lock.json with itself:

    {"run_id": "5e0f…", "program": "embed", "host": "node-3", "process": 4711,
     "machine": "<boot id> pid:[4026531836]", "since": "2026-11-24 02:30:15+00:00"}
"""

import dataclasses
import datetime
import json
import os
import socket
from typing import Any


@dataclasses.dataclass(frozen=True)
class Owner:
    """The run that holds a lock.

    Attributes:
        run_id: Id of the run.
        program: "embed", "classify" or "refresh".
        host: Name of the machine that its launcher runs on.
        process: Process id of the launcher there.
        machine: Boot of the machine and process namespace, in which process ids count.
        since: Time at which it took the lock, ISO 8601, UTC.
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


def this_process(run_id: str, program: str) -> Owner:
    """Returns this process as the owner of a run."""
    since = datetime.datetime.now(datetime.UTC).isoformat(" ", "seconds")
    return Owner(run_id, program, socket.gethostname(), os.getpid(), _machine(), since)


def read_owner(content: bytes) -> Owner | None:
    """Reads who signed a lock; None if nobody has yet."""
    try:
        found: dict[str, Any] = json.loads(content)
        return Owner(**{field.name: found[field.name] for field in dataclasses.fields(Owner)})
    except (ValueError, KeyError, TypeError):  # Taken an instant ago, and not yet signed.
        return None


def is_dead_here(holder: Owner | None) -> bool:
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
