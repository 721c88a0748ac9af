"""Which shard an image is in: how many there are, and the hash that chooses."""

import hashlib

FEW_SHARDS = 16
"""A small collection is cut into this many shards, so that every core has some."""
FEW_ROWS = 32
"""But not into shards smaller than this: a batch should be worth a model call."""


def count_shards(image_count: int, rows_per_file: int, at_least: int = 0) -> int:
    """Chooses the number of shards for listed images; depends on nothing but the two numbers.

    A power of two: as a collection grows it doubles, and each shard splits into two (shard_index).
    Any other number would move nearly every image to another file.

    Args:
        image_count: Images matched.
        rows_per_file: Rows a file should hold at most; hashing makes sizes vary a little.
        at_least: Shards of the run before: their number never falls, so that each has a parent.

    Returns:
        Number of shards, a power of two; 0 if there are and were no images.
    """
    by_size = -(-image_count // rows_per_file)
    by_core = min(FEW_SHARDS, -(-image_count // FEW_ROWS))
    enough = 1 << (max(by_size, by_core) - 1).bit_length() if image_count else 0
    return max(enough, at_least)


def shard_index(key: str, shard_count: int) -> int:
    """Hashes an id to a shard; when shard_count doubles, shard i splits into i and i + count."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % shard_count
