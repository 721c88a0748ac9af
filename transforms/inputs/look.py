"""A look into a file that holds images: how many there are, as far as it goes."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

IMAGES_COUNTED = 64
BYTES_COUNTED = 1 << 20
"""Images and stored bytes of each at which the look ends, if the file does not."""


class Look(NamedTuple):
    """What a look showed.

    Attributes:
        images: Images that were counted.
        bytes_read: Bytes, as they are stored, in which these lie.
        is_whole: Whether they are all that the file holds.
    """

    images: int
    bytes_read: int
    is_whole: bool


def look_through(images: Iterable[object], bytes_read: Callable[[], int]) -> Look:
    """Counts images until the file ends, or IMAGES_COUNTED and BYTES_COUNTED are both passed.

    Of an archive of a thousand photos of 30 kB it counts 64, finds that they lie in 1.9 MB, and
    leaves the rest: Look(64, 1_966_080, is_whole=False).

    Args:
        images: The file's, good or bad, in order.
        bytes_read: Callback, returns how many bytes of the file, as it is stored, these lie in.
    """
    counted = read = 0
    for _ in images:
        if counted >= IMAGES_COUNTED and read >= BYTES_COUNTED:
            return Look(counted, read, is_whole=False)
        counted, read = counted + 1, bytes_read()
    return Look(counted, read, is_whole=True)
