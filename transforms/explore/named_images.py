"""Images by uri, for someone to look at: one that is out of reach is told of, and is no error."""

import collections
import contextlib
from collections.abc import Iterable, Iterator

from transforms.errors import ImageError
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.members import file_of, is_member, read_members, stored_bytes
from transforms.records import ImageRef
from transforms.schemas import URI

MAX_SCAN_BYTES = 4 << 30
"""Files of many images are read from their start; beyond this many bytes looking takes too long."""

_FILES_AT_A_TIME = 16


def read_named_images(
    uris: Iterable[str], columns: FileColumns, max_image_bytes: int
) -> Iterator[tuple[str, bytes | str]]:
    """Reads images, each once: files first, and then what is in files of many.

    Args:
        uris: URIs as in the column `uri` of a run.
        columns: Columns that images are in, in files of many.
        max_image_bytes: Larger ones are not read.

    Yields:
        Each uri and the encoded image, or what is wrong with it.
    """
    files: list[str] = []
    members: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
    for uri in dict.fromkeys(uris):
        if is_member(uri):
            members[file_of(uri)].append(uri)
        else:
            files.append(uri)
    with contextlib.closing(ImageFiles(columns, max_image_bytes)) as reader:
        for start in range(0, len(files), _FILES_AT_A_TIME):
            yield from _read_files(reader, files[start : start + _FILES_AT_A_TIME])
    left_bytes = MAX_SCAN_BYTES
    for file, wanted in members.items():
        try:
            left_bytes -= stored_bytes(file)
            if left_bytes < 0:
                note = f"not looked for: its file and those before pass {MAX_SCAN_BYTES >> 30} GiB"
                yield from ((uri, note) for uri in wanted)
                continue
            for uri, image in read_members(wanted, columns, max_image_bytes):
                yield uri, str(image) if isinstance(image, ImageError) else image
        except (ImageError, OSError) as error:
            yield from ((uri, f"cannot be read: {error}") for uri in wanted)


def _read_files(reader: ImageFiles, uris: list[str]) -> Iterator[tuple[str, bytes | str]]:
    try:
        part = reader.read([ImageRef(uri, uri) for uri in uris])
    except OSError as error:
        yield from ((uri, f"cannot be read: {error}") for uri in uris)
        return
    yield from zip(part.rows.column(URI).to_pylist(), part.encoded, strict=True)
    yield from ((failure.uri, failure.message) for failure in part.failures)
