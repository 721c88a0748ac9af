"""What this machine's CPU can do. Imports no TensorFlow."""

import functools
import pathlib

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Linux's names. Elsewhere, and on ARM, bfloat16 has not been tried and counts as absent."""


@functools.cache
def has_bfloat16(cpu_info: pathlib.Path = _CPU_INFO) -> bool:
    """Returns whether the CPU multiplies bfloat16; without that it is slower than float32."""
    if not cpu_info.exists():
        return False
    lines = cpu_info.read_text().splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())
