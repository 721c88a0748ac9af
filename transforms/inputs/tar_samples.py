"""The samples of a tar file, as WebDataset groups its members.

Consecutive members whose paths are equal up to the first dot of the file name are a sample, and
that path is its key: of a/000.jpg, a/000.cls and a/000.json it is a/000. What follows the dot, in
lower case, is the member's field. Directories, names that start with a dot or have none, and what
lies in a folder named like __meta__ belong to no sample. Of the members

    __meta__/info.json, a/000.jpg, a/000.seg.PNG, a/000.cls, a/001.jpg

come two samples: key a/000 with fields jpg, seg.png and cls, and key a/001 with field jpg. An
archive that is not sorted, as 000.jpg, 001.jpg, 000.cls, has three: 000, 001 and 000 again.

Source: https://github.com/webdataset/webdataset, base_plus_ext, tar_file_iterator and
    group_by_keys in webdataset/tariterators.py.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator

from transforms.errors import (
    CorruptRecordError,
    FileTooLargeError,
    ImageError,
    TruncatedFileError,
)
from transforms.files.tar_archive import Member, TarArchive
from transforms.inputs.extensions import IMAGE_EXTENSIONS
from transforms.inputs.part import check_size

MAX_TEXT_BYTES = 1 << 20
"""Largest field that is read as text."""

_FIELDS_TOLD = 10
_METADATA = re.compile("__[^/]*__/")


@dataclasses.dataclass(slots=True)
class Sample:
    """One sample, as far as it is wanted.

    Attributes:
        index: Place in the file, counted from 0.
        offset: Start of the header of its first member, in uncompressed bytes; or the end of what
            could be read of the file.
        key: Path up to the first dot of the file name; None if no member could be read.
        fields: Names of its fields, the first few, for messages.
        image: Encoded image, what is wrong with it, or None if there is none.
        texts: Contents of the other fields that are wanted, or what is wrong with them.
        damage: Damage of the file, if it ends the sample and the file.
    """

    index: int
    offset: int
    key: str | None = None
    fields: list[str] = dataclasses.field(default_factory=list)
    image: bytes | ImageError | None = None
    texts: dict[str, bytes | ImageError] = dataclasses.field(default_factory=dict)
    damage: TruncatedFileError | None = None

    def encoded_image(self) -> bytes:
        """Returns the image.

        Raises:
            ImageError: What is wrong with it, or with the file.
        """
        if self.damage is not None:
            raise self.damage
        if self.image is None:
            raise CorruptRecordError(
                f"no image: it has {', '.join(self.fields)}; a field is what follows the first dot "
                "of a file name; --image_key names another one, and the members of a sample must "
                "follow one another (tar --sort=name)"
            )
        if isinstance(self.image, ImageError):
            raise self.image
        return self.image

    def text(self, name: str) -> str | None:
        """Returns a field, or None if the sample lacks it.

        Raises:
            ImageError: What is wrong with it.
        """
        content = self.texts.get(name)
        if isinstance(content, ImageError):
            raise content
        try:
            return None if content is None else content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CorruptRecordError(f"its {name} is no text in UTF-8") from error


def read_samples(
    archive: TarArchive,
    image_key: str | None,
    texts: Collection[str],
    max_image_bytes: int,
    index: int = 0,
    may_have: Collection[str] = (),
) -> Iterator[Sample]:
    """Groups an archive's members, holding those that are wanted and no other.

    Args:
        archive: Archive of which nothing has been read; what it gives starts with a sample.
        image_key: Field that is the image; None means the one whose name is an image's extension.
        texts: The other fields that are wanted.
        max_image_bytes: Largest encoded image that is read.
        index: Index of the first sample.
        may_have: Fields that are held, too, but that a sample is whole without.

    Yields:
        The samples in order. If the archive is damaged, the last one says so; it is the one that
        is not whole, or that would have come next.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    sample: Sample | None = None
    try:
        for member in archive.members():
            key, field = _key_and_field(member)
            if key is None:
                continue
            if sample is None or key != sample.key:
                if sample is not None:
                    yield sample
                    index += 1
                sample = Sample(index, member.offset, key)
            if len(sample.fields) < _FIELDS_TOLD:
                sample.fields.append(field if member.is_file else f"{field} (no plain file)")
            if member.is_file and _is_image(field, image_key):
                sample.image = _read_image(sample, member, archive, max_image_bytes)
            elif member.is_file and (field in texts or field in may_have):
                sample.texts[field] = _read_text(sample, field, member, archive)
    except TruncatedFileError as error:
        if sample is None:
            sample = Sample(index, archive.offset)
        elif isinstance(sample.image, bytes) and sample.texts.keys() >= set(texts):
            yield sample  # It lacks nothing that is wanted.
            sample = Sample(index + 1, archive.offset)
        sample.damage = error
    if sample is not None:
        yield sample


def _key_and_field(member: Member) -> tuple[str | None, str]:
    folder, slash, name = member.name.rpartition("/")
    stem, _, field = name.partition(".")
    if member.is_directory or not stem or not field or _METADATA.match(member.name):
        return None, ""
    return folder + slash + stem, field.lower()


def _is_image(field: str, image_key: str | None) -> bool:
    return "." + field in IMAGE_EXTENSIONS if image_key is None else field == image_key


def _read_image(
    sample: Sample, member: Member, archive: TarArchive, max_image_bytes: int
) -> bytes | ImageError:
    if sample.image is not None:
        several = ", ".join(sample.fields)
        return CorruptRecordError(f"more than one image: it has {several}; --image_key names one")
    try:
        check_size(member.size_bytes, max_image_bytes)
    except FileTooLargeError as error:
        return error
    return archive.read()


def _read_text(
    sample: Sample, field: str, member: Member, archive: TarArchive
) -> bytes | ImageError:
    if field in sample.texts:
        return CorruptRecordError(f"more than one {field}")
    if member.size_bytes > MAX_TEXT_BYTES:
        return CorruptRecordError(
            f"its {field} has {member.size_bytes:,} bytes, more than {MAX_TEXT_BYTES:,}"
        )
    return archive.read()
