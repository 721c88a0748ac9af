"""What this machine's CPU can do. Imports no TensorFlow."""

import functools
import pathlib

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Linux's names. Elsewhere, and on ARM, bfloat16 has not been tried and counts as absent."""

_VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


@functools.cache
def has_bfloat16(cpu_info: pathlib.Path = _CPU_INFO) -> bool:
    """Returns whether the CPU multiplies bfloat16; without that it is slower than float32."""
    return not _BFLOAT16_FLAGS.isdisjoint(read_flags(cpu_info))


@functools.cache
def has_vnni(cpu_info: pathlib.Path = _CPU_INFO) -> bool:
    """Returns whether the CPU adds up products of int8 in 32 bits; else in 16, which overflow."""
    return not _VNNI_FLAGS.isdisjoint(read_flags(cpu_info))


def read_flags(cpu_info: pathlib.Path = _CPU_INFO) -> list[str]:
    """Returns Linux's names of what the CPU can do; none elsewhere, and none on ARM."""
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    return next((line for line in lines if line.startswith("flags")), "").split()
