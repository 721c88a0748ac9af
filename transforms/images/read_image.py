"""Reads what an image file says of itself, and says where its pixels go; decodes nothing."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from transforms.boxes import ImageBox, same_runs
from transforms.errors import FileTooLargeError, ImageError, ImageTooLargeError
from transforms.images.color_profile import embedded_profile, fits
from transforms.images.header import ImageHeader
from transforms.images.isolated_decoder import read_header_apart, read_profile_apart
from transforms.images.placement import Box, Placement, place
from transforms.images.policy import Preprocessing
from transforms.images.stripped import strip

_MAX_SIDE = 1_000_000
"""Of an image as it is stored, in pixels."""

Boxes = Sequence[ImageBox | None]
"""The box of each image of a batch; None stands for the whole image."""


class ReadImage(NamedTuple):
    """An image file, or a part of one, whose header is read and whose pixels are not.

    Attributes:
        encoded: The whole file.
        header: What it says of itself; the same object for all parts of one image that are decoded
            as small.
        placement: Where its pixels go.
        part: Part of it that is a crop's, as it is shown; None of the whole image.
        profile: ICC profile of a JPEG or PNG by which its colours are to be turned into sRGB.
    """

    encoded: bytes
    header: ImageHeader
    placement: Placement
    part: Box | None = None
    profile: bytes | None = None


class _Opened(NamedTuple):
    """A file within the limits: fields of ReadImage that its parts have in common."""

    encoded: bytes
    header: ImageHeader
    profile: bytes | None


class ImageReader:
    """Reads files, within the limits of a policy, and places their pixels by it."""

    def __init__(self, policy: Preprocessing) -> None:
        """Keeps the policy.

        Args:
            policy: Limits, and size and way of the pixels.
        """
        self._policy = policy

    def read(
        self, encoded: Sequence[bytes], boxes: Boxes | None
    ) -> tuple[dict[int, ReadImage], dict[int, ImageError]]:
        """Reads a batch; a file that comes several times in a row, as one object, is read once.

        Args:
            encoded: Image files, whole, of any mix of formats.
            boxes: The box of each that is wanted; None of whole images.

        Returns:
            Images, and errors, by place in the batch.
        """
        images: dict[int, ReadImage] = {}
        errors: dict[int, ImageError] = {}
        for run in same_runs(encoded):
            try:
                opened = self._open(encoded[run[0]])
            except ImageError as error:
                errors |= dict.fromkeys(run, error)
                continue
            parts: dict[int, Box | None] = {}
            for index in run:
                try:
                    parts[index] = self._part(opened.header, boxes[index] if boxes else None)
                except ImageError as error:
                    errors[index] = error
            images |= self._placed(opened, parts)
        return images, errors

    def place_again(
        self, images: Mapping[int, ReadImage], boxes: Boxes | None
    ) -> dict[int, ReadImage]:
        """Places images that another reader has read, by this policy.

        Args:
            images: Images by place in the batch.
            boxes: As for `read`; then both policies treat EXIF alike.
        """
        placed: dict[int, ReadImage] = {}
        for indices in by_file(images):
            first = images[indices[0]]
            opened = _Opened(first.encoded, first.header, first.profile)
            own = {index: boxes[index] if boxes else None for index in indices}
            parts = {index: self._part(first.header, box) for index, box in own.items()}
            placed |= self._placed(opened, parts)
        return placed

    def place_whole(self, image: ReadImage) -> Placement:
        """Says where the pixels of an image go that was decoded as large as it is."""
        return self._place(image.header, image.part, may_shrink=False)

    def _placed(self, opened: _Opened, parts: Mapping[int, Box | None]) -> dict[int, ReadImage]:
        """Places parts of one image; those wanted of one size are cut from one decoded image.

        How small a part is decoded depends on nothing but itself: the others may be of another
        batch, or of a run before.
        """
        may_shrink = self._policy.decode == "fast"
        placements = {
            index: self._place(opened.header, part, may_shrink=may_shrink)
            for index, part in parts.items()
        }
        headers = {
            placement.ratio: dataclasses.replace(opened.header) for placement in placements.values()
        }
        return {
            index: ReadImage(
                opened.encoded, headers[placement.ratio], placement, parts[index], opened.profile
            )
            for index, placement in sorted(placements.items(), key=lambda item: item[1].ratio)
        }

    def _open(self, encoded: bytes) -> _Opened:
        """Returns the image as decoders are to see it, with its header, within the limits."""
        policy = self._policy
        if len(encoded) > policy.max_image_bytes:
            raise FileTooLargeError(
                f"{len(encoded)} bytes, --max_image_bytes is {policy.max_image_bytes}"
            )
        header = read_header_apart(encoded, policy.max_image_seconds)
        if header.height * header.width > policy.max_image_pixels:
            raise ImageTooLargeError(
                f"{header.height} x {header.width} pixels, --max_image_pixels is "
                f"{policy.max_image_pixels}"
            )
        if max(header.height, header.width) > _MAX_SIDE:
            raise ImageTooLargeError(
                f"{header.height} x {header.width} pixels, wanted at most {_MAX_SIDE} a side: "
                "decoders make room for each row"
            )
        profile = self._profile(encoded, header) if policy.color_profile == "srgb" else None
        if header.format == "PNG" and profile is None:
            # TensorFlow unpacks all texts.
            encoded = strip(encoded, "PNG")
        return _Opened(encoded, header, profile)

    def _profile(self, encoded: bytes, header: ImageHeader) -> bytes | None:
        """Returns the profile of a JPEG or PNG, if it changes anything; of others Pillow knows."""
        if header.format not in ("JPEG", "PNG"):
            return None
        profile = embedded_profile(encoded, header.format)
        if profile is None or not fits(profile, encoded, header.format):
            return None
        known = read_profile_apart(profile, self._policy.max_image_seconds)
        return profile if known.changes else None

    def _part(self, header: ImageHeader, box: ImageBox | None) -> Box | None:
        """Returns the pixels of a box, with its margin, in the upright image."""
        if box is None:
            return None
        height, width = header.height, header.width
        upright = (width, height) if self._orientation(header) >= 5 else (height, width)
        return Box(*box.within(*upright, self._policy.box_margin or 0.0))

    def _orientation(self, header: ImageHeader) -> int:
        return header.orientation if self._policy.exif == "apply" else 1

    def _place(
        self,
        header: ImageHeader,
        part: Box | None,
        *,
        may_shrink: bool,
    ) -> Placement:
        """Says where the pixels go; only JPEG can shrink in decoding."""
        return place(
            header.height,
            header.width,
            self._orientation(header),
            self._policy,
            part=part,
            may_shrink=may_shrink and header.format == "JPEG",
        )


def by_file(images: Mapping[int, ReadImage]) -> list[list[int]]:
    """Returns the places of the parts of each file that are decoded as small, one after another."""
    places = list(images)
    runs = same_runs([image.header for image in images.values()])
    return [[places[number] for number in run] for run in runs]
