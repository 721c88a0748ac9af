"""What figures are of: the day, and the machine."""

import datetime
import os
import pathlib
import platform

from transforms.machine.cpu import read_flags

INSTRUCTION_SETS = {
    "AVX512_VNNI": "avx512_vnni", "AVX512_BF16": "avx512_bf16", "AMX": "amx_tile",
}  # fmt: skip
"""Those that decide how fast a precision is, and Linux's names of them."""


def processor_name() -> str:
    """Returns what the kernel calls the processor."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def instruction_sets() -> dict[str, bool]:
    """Returns which of INSTRUCTION_SETS the processor has."""
    flags = read_flags()
    return {name: flag in flags for name, flag in INSTRUCTION_SETS.items()}


def today() -> str:
    """Returns the date in UTC, such as 2026-11-30."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def describe_machine() -> str:
    """Returns what stands over a table.

    Such as "2026-11-30 (UTC), AMD EPYC, 2 cores, with AVX512_VNNI, with AVX512_BF16, without AMX".
    """
    having = [f"{'with' if it else 'without'} {name}" for name, it in instruction_sets().items()]
    return ", ".join([f"{today()} (UTC)", processor_name(), f"{os.cpu_count()} cores", *having])
