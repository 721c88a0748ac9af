"""A tensor as a model declares it, and the form of images that it can be."""

import dataclasses
import enum

LUMA = (0.2989, 0.587, 0.114)
"""What `tf.image.rgb_to_grayscale` multiplies red, green and blue with (TensorFlow 2.21)."""


class Layout(enum.StrEnum):
    """In which form a model takes images; all are made of RGB, [batch, height, width, 3]."""

    RGB = "RGB"  # [batch, height, width, 3]
    GRAY = "gray"  # [batch, height, width, 1]
    CHANNELS_FIRST = "RGB, channels first"  # [batch, 3, height, width]
    GRAY_CHANNELS_FIRST = "gray, channels first"  # [batch, 1, height, width]

    @property
    def is_gray(self) -> bool:
        """Whether it has one channel."""
        return self in (Layout.GRAY, Layout.GRAY_CHANNELS_FIRST)

    @property
    def is_channels_first(self) -> bool:
        """Whether channels come before height and width."""
        return self in (Layout.CHANNELS_FIRST, Layout.GRAY_CHANNELS_FIRST)


_NO_PIXELS = ("string", "resource", "variant", "bool", "sparse tensor", "composite tensor")
_CHANNELS_LAST = {3: Layout.RGB, 1: Layout.GRAY}
_CHANNELS_FIRST = {3: Layout.CHANNELS_FIRST, 1: Layout.GRAY_CHANNELS_FIRST}


@dataclasses.dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor as declared: shape is None where not even its rank is known."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """Such as "images: float32 [N, 224, 224, 3]"."""
        if self.shape is None:
            dimensions = "?"
        else:
            dimensions = ", ".join(
                "N" if axis == 0 and size is None else "?" if size is None else str(size)
                for axis, size in enumerate(self.shape)
            )
        return (
            f"{self.name}: {self.dtype} [{dimensions}]"
            if self.name
            else (f"{self.dtype} [{dimensions}]")
        )

    @property
    def holds_images(self) -> bool:
        """Whether it can be images of numbers."""
        return self.layout is not None

    @property
    def layout(self) -> Layout | None:
        """Layout of the images that it can be, or None if it cannot.

        [N, 28, 28, 1] is gray, [N, 3, 224, 224] has its channels first, [N, 64, 64, 4] is nothing.
        """
        if self.dtype in _NO_PIXELS:
            return None
        if self.shape is None:
            return Layout.RGB
        if len(self.shape) != 4:
            return None
        _, first, _, last = self.shape
        if last in _CHANNELS_LAST:
            return _CHANNELS_LAST[last]
        if first in _CHANNELS_FIRST:
            return _CHANNELS_FIRST[first]
        return Layout.RGB if last is None else None

    @property
    def image_size(self) -> tuple[int | None, int | None]:
        """Height and width of the images that it can be; None for any."""
        if self.shape is None or self.layout is None:
            return None, None
        height = self.height_axis
        return self.shape[height], self.shape[height + 1]

    @property
    def height_axis(self) -> int:
        """Axis of the images' height; that of their width comes after it."""
        return 2 if self.layout is not None and self.layout.is_channels_first else 1

    @property
    def is_switch(self) -> bool:
        """Whether it is one truth value, such as Keras' learning phase."""
        return self.dtype == "bool" and self.shape == ()
