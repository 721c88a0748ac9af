"""What a TIFF claims of itself beyond its size, held against the file: Pillow makes room for it."""

from PIL import TiffImagePlugin

from transforms.images.orientation import first_directory

_MAX_TILE_PIXELS = 4096 * 4096
_MAX_SHARED_BYTES = 65_536
_MAX_STRIPS = 4_000_000

_LAYOUT_TAGS = range(254, 340)
"""Tags whose numbers Pillow reads one by one: offsets of strips and tiles, bits of samples."""

_TILE_WIDTH, _TILE_LENGTH = 322, 323


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
    most = max((entry.values for entry in entries if entry.tag in _LAYOUT_TAGS), default=0)
    if most > _MAX_STRIPS:
        raise ValueError(f"a tag of {most:,} numbers")


def check_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    """Checks that tiles are not much larger than the image: one is decoded whole.

    Raises:
        ValueError: If they are.
    """
    width, height = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    most = max(_MAX_TILE_PIXELS, 4 * image.size[0] * image.size[1])
    if width and height and width * height > most:
        raise ValueError(f"tiles of {height} x {width} pixels")
