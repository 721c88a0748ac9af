"""ReadLimits: what reading from remote stores may take."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReadLimits:
    """What reading from remote stores may take, in each process.

    Attributes:
        max_reads: Reads in flight at most.
        max_memory_bytes: Bytes that are read, or on their way, and not yet used, at most.
        timeout_seconds: Time for which a read is tried again.
    """

    max_reads: int = 256
    max_memory_bytes: int = 512_000_000
    timeout_seconds: float = 120.0


DEFAULT_READ_LIMITS = ReadLimits()
"""Limits where nobody says others."""
