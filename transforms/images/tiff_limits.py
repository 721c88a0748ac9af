"""What a TIFF claims of itself beyond its size, held against the file: Pillow makes room for it."""

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import (
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILELENGTH,
    TILEOFFSETS,
    TILEWIDTH,
)

from transforms.images.orientation import first_directory

_MAX_TILE_PIXELS = 4096 * 4096
_MAX_SHARED_BYTES = 65_536

_MAX_STRIPS = 200_000
"""And tiles; each takes Pillow some 20 microseconds."""

_MAX_NUMBERS = 200_000
"""Of another tag: a palette of 16 bits has 3 * 2 ** 16."""

_PLACE_TAGS = (STRIPOFFSETS, STRIPBYTECOUNTS, TILEOFFSETS, TILEBYTECOUNTS)
"""Offsets and sizes of strips and of tiles."""

_READ_TAGS = (*range(254, 340), 700, 34675)
"""Tags whose numbers Pillow reads one by one: layout, colours, XMP and the profile."""

_BYTES = (1, 2, 6, 7)
"""Kinds of values that are read at once."""


def check_tags(encoded: bytes) -> None:
    """Checks what the tags claim to hold, before Pillow reads all of it.

    Raises:
        ValueError: If it is more than the file, or more strips than an image has.
        struct.error: If there are no tags.
    """
    entries = list(first_directory(encoded)[1])
    claimed = sum(entry.size_bytes for entry in entries)
    # Some programs let a few tags share their values.
    if claimed > 2 * len(encoded) + _MAX_SHARED_BYTES:
        raise ValueError(f"tags of {claimed:,} bytes in a file of {len(encoded):,}")
    for entry in entries:
        if entry.tag in _READ_TAGS and entry.kind not in _BYTES:
            most = _MAX_STRIPS if entry.tag in _PLACE_TAGS else _MAX_NUMBERS
            if entry.values > most:
                raise ValueError(
                    f"tag {entry.tag} has {entry.values:,} numbers, wanted at most {most:,}"
                )


def check_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    """Checks that tiles are not much larger than the image: each is decoded whole.

    An image of 1 x 100,000 pixels and tiles of 4096 x 4096 would be 25 of them, 400 megapixels.

    Raises:
        ValueError: If they are.
    """
    width, height = (image.tag_v2.get(tag, 0) for tag in (TILEWIDTH, TILELENGTH))
    most = max(_MAX_TILE_PIXELS, 4 * image.size[0] * image.size[1])
    if width and height:
        across, down = -(-image._tile_size[0] // width), -(-image._tile_size[1] // height)
        if across * down * width * height > most:
            raise ValueError(f"{across * down} tiles of {height} x {width} pixels")
