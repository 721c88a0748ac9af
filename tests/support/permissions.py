"""Obeying files' modes, also where the tests run as root."""

import ctypes
import os

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_CAPABILITY_VERSION_3 = 0x20080522
"""capabilities(7), prctl(2), capget(2)."""


def drop_rights_beyond_modes() -> None:
    """Drops root's right to read and write what files' modes forbid, for good.

    Threads and processes inherit it: call this while there is one thread. The user stays the same,
    so root may do all else, and a file of its own with mode 0 is closed to it as to anybody.

    Raises:
        OSError: The system refuses.
    """
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)  # Version, this thread.
    sets = (ctypes.c_uint32 * 6)()  # Effective, permitted, inheritable; then their high halves.
    refused = libc.capget(header, sets)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        # Of the bounding set too: a program that root starts gets all that is in it.
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0):
            refused = refused or libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        for low in range(3):
            sets[low] &= ~(1 << capability)
    if refused or libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "root's rights beyond files' modes cannot be dropped")
