"""BatchWeight: how much of a batch an image takes, by number and by bytes."""

import dataclasses

from transforms.inputs.part import BATCH_BYTES


@dataclasses.dataclass(frozen=True)
class BatchWeight:
    """Share of a batch that an image takes, in whole numbers: BATCH_BYTES end a batch, too.

    In batches of 32 a URI, and bytes up to 24 MiB / 32, weigh 1/32 of `full`; 12 MiB weigh half.

    Attributes:
        batch_size: Images a batch at most.
    """

    batch_size: int

    @property
    def full(self) -> int:
        """Weight of a full batch."""
        return BATCH_BYTES * self.batch_size

    def __call__(self, image: object) -> int:
        """Returns the weight of an image; only bytes are heavy."""
        size_bytes = len(image) if isinstance(image, bytes) else 0
        return min(max(BATCH_BYTES, size_bytes * self.batch_size), self.full)
