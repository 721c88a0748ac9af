"""Labels in a file: csv, JSON or Parquet with the columns image_id, or uri, and label.

labels.csv                 labels.jsonl
image_id,label             {"image_id": "pets/1.jpg", "label": "cat"}
pets/1.jpg,cat             {"image_id": "pets/2.jpg", "label": 3}
pets/2.jpg,3
"""

import os
from typing import NamedTuple

from transforms.errors import ImageError, InputError, brief
from transforms.files.uris import is_local, open_buffered
from transforms.inputs.manifest_formats import MANIFEST_FORMATS, manifest_extension
from transforms.inputs.manifests import resolve_uri
from transforms.schemas import IMAGE_ID, URI

LABEL = "label"

_FORMATS = tuple(extension for extension in MANIFEST_FORMATS if extension != ".txt")


class FileLabels(NamedTuple):
    """The labels that a file gives.

    Attributes:
        key: Name of the column that says which image: "image_id" or "uri".
        labels: The label of each image; empty where the file leaves it open.
    """

    key: str
    labels: dict[str, str]


def read_label_file(uri: str) -> FileLabels:
    """Reads labels; a uri without a scheme is relative to the file's directory, as in a manifest.

    Args:
        uri: The file; any scheme that file_systems knows.

    Raises:
        InputError: If it cannot be read, lacks a column, or gives an image two labels.
    """
    extension = manifest_extension(uri)
    if extension not in _FORMATS:
        raise InputError(f"labels {uri}: got a file in {extension!r}, wanted {', '.join(_FORMATS)}")
    manifest_format = MANIFEST_FORMATS[extension]
    folder = (os.path.abspath(uri) if is_local(uri) else uri).rpartition("/")[0]
    labels: dict[str, str] = {}
    try:
        with open_buffered(uri) as handle:
            names = manifest_format.schema(handle, uri, (IMAGE_ID, URI)).names
            key = IMAGE_ID if IMAGE_ID in names else URI
            if key not in names or LABEL not in names:
                raise InputError(
                    f"labels {uri} have the columns {', '.join(names) or 'none'}; wanted "
                    f"{IMAGE_ID} (or {URI}) and {LABEL}"
                )
            handle.seek(0)
            for where, values in manifest_format.rows(handle, uri, (IMAGE_ID, URI), (LABEL,)):
                image = _text(values.get(key), where, key)
                label = _text(values.get(LABEL), where, LABEL)
                if key == URI:
                    image = resolve_uri(image, folder)
                if labels.setdefault(image, label) != label:
                    raise InputError(
                        f"{where}: {image} is labelled {label!r}, and {labels[image]!r} before; "
                        "wanted one right class an image"
                    )
    # Beam wraps a failed open in BeamIOError, an OSError; an unknown scheme is a ValueError.
    except (ImageError, OSError, ValueError) as error:
        raise InputError(f"cannot read labels {uri}: {brief(error)}") from error
    if not labels:
        raise InputError(f"labels {uri} have no rows")
    return FileLabels(key, labels)


def _text(value: object, where: str, name: str) -> str:
    """Returns a value as the text that an id or label is; nothing as empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()  # As a carried column of booleans is read.
    if isinstance(value, str | int):
        return str(value)
    raise InputError(f"{where}: {name} is {str(value)[:80]!r}; wanted text or a whole number")
