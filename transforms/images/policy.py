"""What is done to every image before the model sees it. Imports no TensorFlow."""

import dataclasses
import hashlib
import json
import numbers
import re
from collections.abc import Iterable
from typing import Any

from transforms.errors import FlagError

RESIZE_MODES = ("squash", "crop", "pad")
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "area", "lanczos3")
INPUT_RANGES = ("0,1", "-1,1", "0,255", "imagenet", "caffe")
INPUT_DTYPES = ("float32", "float16", "float64", "uint8")
EXIF_POLICIES = ("apply", "ignore")
DECODE_MODES = ("exact", "fast")
COLOR_PROFILES = ("ignore", "srgb")

DECODER_VERSION = "8"
"""Rises whenever the same bytes and policy give other pixels, or none; in every fingerprint."""

LIMITS = ("max_image_bytes", "max_image_pixels")
"""Fields of the policy that decide which images fail, and no pixel."""

MAX_SECONDS = 86_400
"""Longest time for an image: a day, for whoever wants no limit."""

MAX_SIDE = 65_536
"""Largest height or width to resize to; models take hundreds of pixels a side."""


def fits_dtype(input_range: str, dtype: str) -> bool:
    """Whether pixels of a dtype can be of a range: those of uint8 are levels, 0..255."""
    return dtype != "uint8" or input_range in ("0,1", "0,255")


def to_image_size(value: object) -> tuple[int, int]:
    """Returns 224, "224", "224x320" (height x width) or (224, 320) as (height, width) in pixels.

    Raises:
        ValueError: If it is none of these.
    """
    parts = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", "x".join(map(str, parts)))
    if match is None:
        raise ValueError(f"got {value!r}, wanted 224 or HEIGHTxWIDTH")
    height, width = match.group(1), match.group(2) or match.group(1)
    return int(height), int(width)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The policy that turns encoded images into what the model takes; each field is a flag.

    Attributes:
        image_size: Height and width that the model takes, in pixels.
        resize_mode: Way to that size: "squash" changes the aspect ratio; "crop" keeps the largest
            centred box of the target's aspect ratio, times crop_fraction; "pad" fits the whole
            image in and fills the rest with black.
        crop_fraction: Share of that box's height and width that "crop" keeps, in (0, 1]. 0.875 is
            what the Slim and TPU reference networks are evaluated with.
        interpolation: Method of `tf.image.resize`, one of INTERPOLATIONS.
        antialias: Whether to filter when making smaller, as in `tf.image.resize`. "nearest" and
            "area" know no filter.
        input_range: Range that 0..255 becomes: "0,1", "-1,1", "0,255", or "imagenet": [0, 1] less
            the mean of ImageNet, over its standard deviation, by channel; or "caffe": 0..255 less
            the mean of ImageNet, blue first, as keras.applications' ResNet and VGG take it.
        dtype: NumPy name of the dtype that the model takes. "uint8" means 0..255, rounded, whatever
            input_range.
        exif: "apply" turns images upright by their EXIF orientation, "ignore" does not.
        decode: "exact" decodes every pixel. "fast" has libjpeg decode a JPEG file at a half, a
            quarter or an eighth of its sides: the smallest that still covers what is wanted of it.
            Those images, of at least twice the model's size, are filtered whatever antialias says,
            and come close to "exact" with antialias (cosine of feature vectors of photos: median
            0.999, least 0.995; without, 0.95 and 0.86). All others are what "exact" makes of them.
            It pays for large photos; below five times the model's size the filter takes longer
            than is saved, unless antialias asks for it anyway.
        color_profile: "ignore" takes the levels of a file as they are, by TF Hub's convention.
            "srgb" turns them into those of sRGB by the ICC profile in the file: of JPEG, PNG, WebP,
            TIFF, AVIF and HEIC. Images without a profile, or with one of sRGB, are bit for bit what
            "ignore" makes of them, and so are those whose profile cannot be read.
        max_image_pixels: Images of more pixels fail, by their header. The default holds the photos
            of 108-megapixel phones and medium-format cameras; such an image is 0.36 GB decoded,
            and a process decodes as many at a time as it has cores.
        max_image_bytes: Files of more bytes fail, unread. The default holds those photos as JPEG
            (60 MB or so) and uncompressed ones of 40 megapixels.
        max_image_seconds: Seconds that the process which decodes an image may take for it, where it
            is decoded in one. The slowest honest image found takes 70 s: a lossless JPEG 2000 of
            120 megapixels. Not in `to_dict`: how long it takes is no property of the image.
        box_margin: Share of a box's height and width that is added on each side, of a run whose
            rows are boxes; None of whole images, and then not in `to_dict`.
    """

    image_size: tuple[int, int]
    resize_mode: str = "squash"
    crop_fraction: float = 0.875
    interpolation: str = "bilinear"
    antialias: bool = False
    input_range: str = "0,1"
    dtype: str = "float32"
    exif: str = "apply"
    decode: str = "exact"
    color_profile: str = "ignore"
    max_image_pixels: int = 120_000_000
    max_image_bytes: int = 128_000_000
    max_image_seconds: float = 300
    box_margin: float | None = None

    def __post_init__(self) -> None:
        if not all(1 <= side <= MAX_SIDE for side in self.image_size):
            height, width = self.image_size
            raise FlagError(
                f"--image_size must be from 1 to {MAX_SIDE} a side, got {height}x{width}"
            )
        for name in ("crop_fraction", *LIMITS, "max_image_seconds"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or isinstance(value, bool):
                raise FlagError(f"--{name} must be a number, got {value!r}")
        if not isinstance(self.antialias, bool):
            raise FlagError(f"--antialias must be true or false, got {self.antialias!r}")
        if not 0 < self.crop_fraction <= 1:
            raise FlagError(
                f"--crop_fraction must be over 0 and at most 1, got {self.crop_fraction:g}"
            )
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise FlagError(f"--{name} must be one of {' '.join(choices)}, got {value}")
        for name in ("max_image_pixels", "max_image_bytes"):
            value = getattr(self, name)
            if not value >= 1:
                raise FlagError(f"--{name} must be at least 1, got {value}")
        if not 0 < self.max_image_seconds <= MAX_SECONDS:
            raise FlagError(
                f"--max_image_seconds must be over 0 and at most {MAX_SECONDS:,}, "
                f"got {self.max_image_seconds:g}"
            )
        if not fits_dtype(self.input_range, self.dtype):
            raise FlagError(
                f"--input_range {self.input_range} does nothing for a model of uint8 images, "
                "which are 0..255; drop it"
            )
        if self.antialias and self.interpolation in _UNFILTERED:
            raise FlagError(
                f"--antialias does nothing with --interpolation {self.interpolation}; "
                "drop it, or use bilinear, bicubic or lanczos3"
            )
        if self.decode == "fast" and self.interpolation in _UNFILTERED:
            raise FlagError(
                f"--decode fast filters large photos, and --interpolation {self.interpolation} "
                "knows no filter; drop one, or use bilinear, bicubic or lanczos3"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns what decides the pixels and the failures, in JSON's types."""
        fields = dataclasses.asdict(self)
        del fields["max_image_seconds"]
        if self.box_margin is None:
            del fields["box_margin"]
        return {**fields, "image_size": list(self.image_size), "decoder_version": DECODER_VERSION}

    @property
    def pixel_range(self) -> tuple[float, float]:
        """Smallest and largest value of a pixel, about: channels may each have their own."""
        if self.dtype == "uint8":
            return 0.0, 255.0
        return _PIXEL_RANGES[self.input_range]

    def fingerprint(self) -> str:
        """Returns a sha256, hexadecimal, that is equal where pixels are sure to be.

        The limits are no part of it: they decide which images fail.
        """
        deciding = {name: value for name, value in self.to_dict().items() if name not in LIMITS}
        canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


_CHOICES = {
    "resize_mode": RESIZE_MODES,
    "interpolation": INTERPOLATIONS,
    "input_range": INPUT_RANGES,
    "dtype": INPUT_DTYPES,
    "exif": EXIF_POLICIES,
    "decode": DECODE_MODES,
    "color_profile": COLOR_PROFILES,
}
_PIXEL_RANGES = {
    "0,1": (0.0, 1.0), "-1,1": (-1.0, 1.0), "0,255": (0.0, 255.0), "imagenet": (-2.1, 2.6),
    "caffe": (-123.7, 151.1),
}  # fmt: skip
_UNFILTERED = ("nearest", "area")
