"""A text file that is named as an image: most often a list of images, which is a manifest."""

import os

from transforms.errors import ImageError, InputError
from transforms.files.packing import Packing, packing_of
from transforms.files.uris import BEGINNING_BYTES, read_beginning
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.manifest_formats import MANIFEST_FORMATS, manifest_extension

_SHOWN_CHARS = 80
_CONTROLS = frozenset(range(32)) - set(b"\t\n\r\f")


def check_is_no_text(uri: str) -> None:
    """Checks that a file whose name is no image's holds no text.

    Raises:
        InputError: If it does; shows its first line, and says how a list of images is given.
    """
    if os.path.splitext(uri)[1].lower() in IMAGE_EXTENSIONS:
        return
    try:
        start = read_beginning(uri)
    except (ImageError, OSError):  # The run says of each image what is wrong with it.
        return
    text = _as_text(start)
    is_list = manifest_extension(uri) in MANIFEST_FORMATS
    if text is None:
        if is_list and packing_of(start) is Packing.GZIP:
            raise InputError(
                f"--input {uri!r} is a list, by its name, in gzip; wanted images, or files that "
                f"hold them. A list of images is given by --manifest {uri}"
            )
        return
    line = next(iter(text.split("\n")))[:_SHOWN_CHARS].rstrip("\r")
    if is_list:
        cure = f"--manifest {uri}"
    else:
        cure = f"--manifest, in a file that ends in {', '.join(MANIFEST_FORMATS)}"
    raise InputError(
        f"--input {uri!r} is a text file, and begins {line!r}; wanted images, or files that hold "
        f"them. A list of images is given by {cure}"
    )


def _as_text(start: bytes) -> str | None:
    """Returns the beginning of a file as text; None if it is none, or empty."""
    if not start or _CONTROLS.intersection(start):
        return None
    try:
        return start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The look may end within a character.
        is_cut = len(start) == BEGINNING_BYTES and error.start >= BEGINNING_BYTES - 3
        return start[: error.start].decode("utf-8-sig") if is_cut else None
