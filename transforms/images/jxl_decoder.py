"""Decodes JPEG XL with TensorFlow's libjxl. A process that calls this imports TensorFlow."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import CorruptImageError
from transforms.images.header import ImageHeader


def decode_jxl(encoded: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG XL image, the first frame of it, upright.

    Alpha is dropped, gray becomes three equal channels, and samples of more than 8 bits are scaled.

    Args:
        encoded: The whole file.
        header: Header as `read_header` gives it, within the policy's limits.

    Returns:
        uint8 [header.height, header.width, 3].

    Raises:
        CorruptImageError: If it cannot be decoded whole.
    """
    try:
        # Asked for 3 channels, TensorFlow refuses what is gray or has alpha.
        decoded = tf.io.decode_image(encoded, channels=0, expand_animations=False).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise CorruptImageError("damaged JPEG XL data: libjxl cannot decode it") from error
    if decoded.shape[:2] != (header.height, header.width):
        height, width = decoded.shape[:2]
        raise CorruptImageError(
            f"the JPEG XL header says {header.height} x {header.width} pixels, its data "
            f"{height} x {width}"
        )
    # One channel, or two with alpha, are gray.
    colours = decoded[..., :3] if decoded.shape[-1] >= 3 else decoded[..., :1]
    return np.ascontiguousarray(np.broadcast_to(colours, (*decoded.shape[:2], 3)))
