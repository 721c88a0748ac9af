"""The columns that are taken from files of images, decided once at launch, and ids from names."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import pyarrow as pa

from transforms.errors import InputError
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.id_sources import IDS_FROM_NAMES, IDS_OF_ROWS, ROW


@dataclasses.dataclass(frozen=True)
class FileColumns:
    """The features, columns or fields that one run reads from every file of a kind.

    Attributes:
        image_key: Feature, column or field that holds the encoded image; None means the kind's
            usual one: "image/encoded" in TFRecord, "image" in Parquet, in tar files the one named
            as an image's extension.
        image_id_from: Origin of the image_id: "uri", "relative_path", "filename", one of
            IDS_OF_ROWS, or the feature, column or field that holds it; None means the kind's usual
            one.
        carried: Schema of the features, columns or fields that travel to the output untouched.
        uri_column: Column of manifests that holds the images' URIs; None means uri, url or URL.
        carried_from: Names that the carried columns have in the inputs, in the same order; None
            means the same names.
        boxes: Columns of the boxes, each of which is a row then; None if a row is an image. The
            last of the carried columns are those that say the box.
        of_image: What files of images with boxes are read by: the carried columns, by the names of
            the inputs, then those of the boxes; None if there are no such files.
        split: Places of the carried columns of which each box has a value of its own there.
        box_columns: Names of the columns of boxes, where files are read by_image.
    """

    image_key: str | None
    image_id_from: str | None
    carried: pa.Schema
    uri_column: str | None = None
    carried_from: tuple[str, ...] | None = None
    boxes: BoxColumns | None = None
    of_image: pa.Schema | None = None
    split: tuple[int, ...] = ()
    box_columns: tuple[str, ...] = ()

    @property
    def by_image(self) -> "FileColumns":
        """The columns that files are read by, an image a row."""
        if self.boxes is None:
            return self
        of_image = pa.schema([]) if self.of_image is None else self.of_image
        return FileColumns(
            self.image_key,
            self.image_id_from,
            of_image,
            self.uri_column,
            box_columns=self.boxes.names,
        )

    @functools.cached_property
    def stored(self) -> pa.Schema:
        """The carried columns as the inputs name them: width, where it is carried as orig_width."""
        if self.carried_from is None:
            return self.carried
        return rename(self.carried, self.carried_from)

    def as_carried(self, table: pa.Table) -> pa.Table:
        """Gives the stored columns of some rows the types and names that they are carried by.

        Raises:
            pa.ArrowException: If a value does not fit its type.
        """
        cast = table.select(self.stored.names).cast(self.stored)
        return cast if self.carried_from is None else cast.rename_columns(self.carried.names)

    @property
    def id_column(self) -> str | None:
        """The feature, column or field that the user named for the image_id, or None."""
        is_made = self.image_id_from in (*IDS_FROM_NAMES, *IDS_OF_ROWS)
        return None if is_made else self.image_id_from

    @property
    def tells_rows_apart(self) -> bool:
        """Whether a manifest's rows of one image are each a row of the output."""
        return self.image_id_from in IDS_OF_ROWS


def rename(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Gives the fields of a schema other names, in order."""
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def image_id(uri: str, root: str, image_id_from: str | None) -> str:
    """Makes an image's key: its uri (None or "uri"), "relative_path" to root, or "filename".

    Of IDS_OF_ROWS it is that of the image, without the row.

    Raises:
        InputError: If image_id_from is none of these: image files have no columns.
    """
    match image_id_from and image_id_from.removesuffix(ROW):
        case None | "uri":
            return uri
        case "relative_path":
            if uri.startswith("file:///"):  # A name that is not UTF-8: see uri_of_path.
                root = pathlib.PurePath(root).as_uri()
            return uri.removeprefix(root + "/")
        case "filename":
            return uri.rpartition("/")[2]
    raise InputError(
        f"--image_id_from {image_id_from!r}: image files have no columns; use one of "
        f"{', '.join(IDS_FROM_NAMES)}"
    )
