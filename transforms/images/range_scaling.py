"""How pixels in [0, 1] become those of each --input_range. Imports no TensorFlow."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue in [0, 1] over ImageNet. Source: torchvision's
reference models."""

CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Mean of blue, green and red in 0..255 over ImageNet. Source: mode "caffe" of
keras.applications.imagenet_utils."""


def scale_and_shift(input_range: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns what from_unit_range multiplies each channel with, and what it adds then.

    Args:
        input_range: Range that a model takes, one of INPUT_RANGES.

    Returns:
        For red, green and blue; of "caffe" for blue, green and red, in which order it has them.
    """
    match input_range:
        case "-1,1":
            return (2.0,) * 3, (-1.0,) * 3
        case "0,255":
            return (255.0,) * 3, (0.0,) * 3
        case "imagenet":
            pairs = list(zip(IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION, strict=True))
            return tuple(1 / width for _, width in pairs), tuple(
                -mean / width for mean, width in pairs
            )
        case "caffe":
            return (255.0,) * 3, tuple(-mean for mean in CAFFE_MEAN)
    return (1.0,) * 3, (0.0,) * 3
