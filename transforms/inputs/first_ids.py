"""Ids that are not unique, found in the first images of each file before any is computed.

Writers of shards often count from 0 in each. Of shards/00000.tar and shards/00001.tar, each with
000000000.jpg, 000000001.jpg and so on, the first keys tell.
"""

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from transforms.errors import FileTooLargeError, ImageError, InputError
from transforms.inputs.columns import FileColumns
from transforms.inputs.kinds import FILE_KINDS
from transforms.records import InputFile
from transforms.schemas import IMAGE_ID, URI

IDS_OF_A_FILE = 4
FILES_AT_ONCE = 16
_SHOWN = 2


def check_first_ids(files: Sequence[InputFile], columns: FileColumns) -> None:
    """Compares the ids of the first few images of every file.

    A file that cannot be read is passed over: reading it again will say so.

    Args:
        files: Some files, each once.
        columns: Columns that say where ids come from.

    Raises:
        InputError: If an image_id occurs twice; names the places, and the cure.
    """
    if columns.image_id_from == "uri":  # file#index is of one image only.
        return
    look = functools.partial(
        _first_ids, columns=dataclasses.replace(columns, carried=pa.schema([]), carried_from=None)
    )
    seen: dict[str, str] = {}
    clashes: dict[str, str] = {}
    with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="first-ids") as threads:
        for found in threads.map(look, files):
            for image_id, uri in found:
                first = seen.setdefault(image_id, uri)
                if first != uri:
                    clashes.setdefault(image_id, f"{first} and {uri} both have it")
    if clashes:
        shown = [f"{key!r} is not unique: {where}" for key, where in list(clashes.items())[:_SHOWN]]
        raise InputError(
            f"image_id {'; '.join(shown)}; choose another key, such as --image_id_from uri (file "
            "and position), or name the column, feature or field that tells the images apart"
        )


def _first_ids(file: InputFile, columns: FileColumns) -> list[tuple[str, str]]:
    """Reads image_id and uri of a file's first images."""
    kind = FILE_KINDS[file.kind]
    try:
        if kind.first_ids is not None:
            return kind.first_ids(file, columns, IDS_OF_A_FILE)
        part = next(kind.read(file, columns, IDS_OF_A_FILE, 0), None)
    except (ImageError, OSError):
        return []
    if part is None:
        return []
    # No image is of 0 bytes at most: what is too large is there and has its id; what fails by
    # anything else may have none.
    too_large = FileTooLargeError("").error_type
    whole = [(f.image_id, f.uri) for f in part.failures if f.error_type == too_large]
    rows = (part.rows.column(name).to_pylist() for name in (IMAGE_ID, URI))
    return [*zip(*rows, strict=True), *whole]
