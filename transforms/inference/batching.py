"""How elements are gathered into batches: by number, and by the bytes of their images."""

import dataclasses
import numbers
from collections.abc import Callable, Iterable
from typing import Any

from transforms.errors import FlagError
from transforms.inputs.part import BATCH_BYTES


def batching(
    batch_size: int,
    max_batch_seconds: float | None,
    images_of: Callable[[Any], Iterable[object]],
) -> dict[str, Any]:
    """Returns arguments of Beam's BatchElements.

    Args:
        batch_size: Elements a batch at most; BATCH_BYTES of images end one, too.
        max_batch_seconds: Seconds for which a batch waits for more, across bundles. Such a batch is
            counted by Beam in elements, whatever they weigh. None waits for none.
        images_of: Callback from an element to the images in it.

    Raises:
        FlagError: If max_batch_seconds is no time.
    """
    if max_batch_seconds is not None:
        if not isinstance(max_batch_seconds, numbers.Real) or not max_batch_seconds >= 0:
            raise FlagError(
                f"max_batch_seconds must be a number, at least 0, got {max_batch_seconds!r}"
            )
        seconds = {"max_batch_duration_secs": max_batch_seconds}
        return {"min_batch_size": batch_size, "max_batch_size": batch_size, **seconds}
    weight = _Weight(batch_size, images_of)
    return {
        "min_batch_size": weight.full,
        "max_batch_size": weight.full,
        "element_size_fn": weight,
    }


@dataclasses.dataclass(frozen=True)
class _Weight:
    """Share of a batch that an element takes, in whole numbers.

    In batches of 32 a URI, and bytes up to 24 MiB / 32, weigh 1/32 of `full`; 12 MiB weigh half.
    """

    batch_size: int
    images_of: Callable[[Any], Iterable[object]]

    def __call__(self, element: Any) -> int:  # noqa: ANN401 - the user's
        size_bytes = sum(map(size_of, self.images_of(element)))
        return min(max(BATCH_BYTES, size_bytes * self.batch_size), self.full)

    @property
    def full(self) -> int:
        return BATCH_BYTES * self.batch_size


def size_of(image: object) -> int:
    """Returns the size of an image in bytes; what is not read yet has none."""
    return len(image) if isinstance(image, bytes) else 0
