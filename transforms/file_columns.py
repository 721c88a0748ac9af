"""What to take from a TFRecord or Parquet file, decided once at launch."""

import dataclasses

import pyarrow as pa

IDS_FROM_NAMES = ("uri", "relative_path", "filename")
"""Values of --image_id_from that come from names; any other value names a column or feature."""


@dataclasses.dataclass(frozen=True)
class FileColumns:
    """The features or columns that one run reads from every file of a kind.

    Attributes:
        image_key: The feature or column that holds the encoded image; None means the kind's usual
            one: "image/encoded" in TFRecord, "image" in Parquet.
        image_id_from: "uri", "relative_path", "filename", or the feature or column that holds the
            image_id; None means the kind's usual one.
        carried: Schema of the features or columns that travel to the output untouched.
    """

    image_key: str | None
    image_id_from: str | None
    carried: pa.Schema

    @property
    def id_column(self) -> str | None:
        """The feature or column that the user named for the image_id, or None."""
        return None if self.image_id_from in IDS_FROM_NAMES else self.image_id_from
