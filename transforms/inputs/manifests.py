"""Manifests: lists of images with columns, as text, csv, JSON or Parquet.

A manifest has a column `uri`, or `url`, or the one that is named; a txt manifest is a URI a line.
The column `image_id`, where there is one, holds the images' keys. The others may be carried to the
output.
"""

import contextlib
import io
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urljoin

import pyarrow as pa

from transforms.errors import ImageError, InputError
from transforms.files.file_uris import is_of_no_text, path_of_uri, uri_of_path, without_file_scheme
from transforms.files.unicode_forms import in_form_on_disk
from transforms.files.uris import is_local, open_buffered
from transforms.files.web.copies import open_copy
from transforms.files.web.urls import is_web_uri, parse_url, without_query
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.columns import FileColumns, image_id
from transforms.inputs.json_manifests import PEEK_ROWS
from transforms.inputs.manifest_format import ManifestFormat
from transforms.inputs.manifest_formats import MANIFEST_FORMATS, manifest_extension
from transforms.inputs.manifest_values import fitting, text, uri_text
from transforms.records import ImageRef
from transforms.schemas import IMAGE_ID, URI

_URI_COLUMNS = (URI, "url", "URL")
"""Columns that name the image, the first that is there; img2dataset has url, and LAION URL."""


def manifest_schema(
    uri: str,
    carry_columns: Sequence[str],
    *,
    uri_column: str | None = None,
    boxes: BoxColumns | None = None,
    allow_private_hosts: bool = False,
) -> pa.Schema:
    """Peeks at a manifest: checks it has a `uri`, returns the carried columns' names and types.

    Columns of csv are strings; those of JSON are string, bool, int64 or double by its first rows;
    those of Parquet are what its footer says. Null is the type of those that say nothing yet.

    Args:
        uri: The manifest.
        carry_columns: Names of columns.
        uri_column: Name of the column that holds the URIs; None means uri, url or URL.
        boxes: Columns of the boxes, which must be there.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.

    Raises:
        InputError: If it cannot be read, is of no known format, or lacks a column.
    """
    with _open_manifest(uri, allow_private_hosts=allow_private_hosts) as (handle, found):
        return _carried_schema(
            handle, found, uri, uri_column, carry_columns, boxes.names if boxes else ()
        )


def _carried_schema(
    handle: io.BufferedReader,
    found: ManifestFormat,
    uri: str,
    uri_column: str | None,
    carry_columns: Sequence[str],
    box_columns: Sequence[str] = (),
) -> pa.Schema:
    keys = _uri_columns(uri_column)
    schema = found.schema(handle, uri, keys)
    if not schema.names and found.names_are_in_rows:  # As the failures of a run without any.
        return schema
    key = _present(keys, schema.names)
    for name in (key, *carry_columns, *box_columns):
        if schema.get_field_index(name) < 0:
            cure = "; --uri_column says which one holds the URIs" if name == key else ""
            raise InputError(
                f"{uri}: no column {name!r}, or several; it has "
                f"{', '.join(schema.names) or 'none'}{cure}"
            )
    fields = (schema.field(name) for name in carry_columns)
    return pa.schema([field.with_nullable(True).remove_metadata() for field in fields])


def check_typed(manifests: Sequence[str], carried: pa.Schema) -> None:
    """Checks that a carried column has a type, which the first rows of some file said.

    Args:
        manifests: The manifests, of which none says more.
        carried: The carried columns of all files.

    Raises:
        InputError: If a column of the manifests has none.
    """
    untyped = [field.name for field in carried if pa.types.is_null(field.type)]
    if manifests and untyped:
        raise InputError(
            f"{manifests[0]}: column {untyped[0]!r} cannot be carried: its first {PEEK_ROWS} rows "
            "hold no value, lists or objects, or values of several kinds; wanted one of string, "
            "number, true or false"
        )


def read_manifest(
    uri: str,
    carried: pa.Schema,
    image_id_from: str | None,
    *,
    uri_column: str | None = None,
    boxes: BoxColumns | None = None,
    allow_private_hosts: bool = False,
) -> Iterator[ImageRef]:
    """Reads a manifest, a row at a time.

    A uri without a scheme is relative to the manifest's directory; on the web, to its URL, without
    redirects. The key is the column that image_id_from names; by default the column image_id where
    there is one and it is not empty, else the uri. Of /data/list.csv, with label carried as a
    string, the lines

        uri,image_id,label
        cats/1.jpg,cat-1,3
        gs://b/2.jpg,,4

    become

        ImageRef("cat-1", "/data/cats/1.jpg", 51_200, "1600000000500000000", carried=("3",))
        ImageRef("gs://b/2.jpg", "gs://b/2.jpg", None, None, carried=("4",))

    A local file that is there in another form of Unicode is found: see unicode_forms. The key is
    the manifest's then, and the uri the disk's.

    With one of IDS_OF_ROWS the key is the image's, and each row has its place in the manifest.

    Args:
        uri: The manifest.
        carried: Schema that manifest_schema gave, or of several manifests together.
        image_id_from: None, "uri", "relative_path", "filename", one of IDS_OF_ROWS, or a column.
        uri_column: Name of the column that holds the URIs; None means uri, url or URL.
        boxes: Columns of the boxes, each of which is an image then, whose `box` is its place among
            all boxes; a row that has none is an image without `box`.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.

    Raises:
        InputError: At a malformed row or a value that does not fit, naming file and line; of a
            manifest on the web also at a file of this machine.
    """
    folder = (os.path.abspath(uri) if is_local(uri) else without_query(uri)).rpartition("/")[0]
    ids = FileColumns(None, image_id_from, pa.schema([]))
    keys = _uri_columns(uri_column)
    own = pa.schema(list(carried)[: len(carried) - len(boxes.in_output) if boxes else None])
    others = [ids.id_column or IMAGE_ID, *own.names, *(boxes.names if boxes else ())]
    numbers = itertools.count()
    with _open_manifest(uri, allow_private_hosts=allow_private_hosts) as (handle, found):
        if is_web_uri(uri):  # It is fetched again since the peek, and may be another one.
            _carried_schema(handle, found, uri, uri_column, own.names)
            handle.seek(0)
        for row, (where, values) in enumerate(found.rows(handle, uri, keys, others)):
            image_uri = resolve_uri(uri_text(values, _present(keys, values), where), folder)
            if is_web_uri(uri) and is_local(path_of_uri(image_uri)):
                raise InputError(
                    f"{where}: {image_uri!r:.100} is on this machine; a list on the web may name "
                    "what is on the web, or in a store such as gs://"
                )
            if ids.id_column is not None or (
                image_id_from is None and values.get(IMAGE_ID) not in (None, "")  # An id may be 0.
            ):
                key = text(values, ids.id_column or IMAGE_ID, where)
            else:
                key = image_id(image_uri, folder, image_id_from)
            carried_values = tuple(fitting(values.get(field.name), field, where) for field in own)
            if boxes is None:
                place = row if ids.tells_rows_apart else None
                yield ImageRef(key, *_listing(image_uri), carried=carried_values, row=place)
            else:
                yield from _boxes(key, image_uri, carried_values, numbers, values, boxes, where)


def _boxes(
    key: str,
    image_uri: str,
    carried: tuple[object, ...],
    numbers: Iterator[int],
    values: dict[str, object],
    boxes: BoxColumns,
    where: str,
) -> Iterator[ImageRef]:
    """Yields the boxes of a row, each with the row's carried values and its own four numbers."""
    try:
        found = boxes.read([values.get(name) for name in boxes.names])
    except ValueError as error:
        raise InputError(f"{where}: --boxes: {error}") from error
    if not found:
        yield ImageRef(key, image_uri)
        return
    uri, size_bytes, version = _listing(image_uri)
    for box in found:
        yield ImageRef(key, uri, size_bytes, version, (*carried, *box), box=next(numbers))


def manifest_format(uri: str) -> ManifestFormat:
    """Tells the format of a manifest from its name; opens nothing.

    Raises:
        InputError: If that tells none, or is a URL that cannot be one.
    """
    try:
        if is_web_uri(uri):
            parse_url(uri)
    except ValueError as error:
        raise InputError(f"--manifest is no URL that can be read: {error}") from error
    extension = manifest_extension(without_query(uri))
    if extension not in MANIFEST_FORMATS:
        raise InputError(
            f"--manifest {uri!r}: unknown format {extension!r}; wanted "
            f"{', '.join(MANIFEST_FORMATS)}, where all but Parquet may be .gz, too; save it as one "
            "of these"
        )
    return MANIFEST_FORMATS[extension]


@contextlib.contextmanager
def _open_manifest(
    uri: str, *, allow_private_hosts: bool
) -> Iterator[tuple[io.BufferedReader, ManifestFormat]]:
    found = manifest_format(uri)
    try:
        with _open(uri, allow_private_hosts=allow_private_hosts) as handle:
            yield handle, found
    except ImageError as error:
        raise InputError(f"--manifest {uri!r}: {error}") from error


def _open(uri: str, *, allow_private_hosts: bool) -> io.BufferedReader:
    if is_web_uri(uri):
        return open_copy(uri, allow_private_hosts=allow_private_hosts)
    return open_buffered(uri)


def resolve_uri(uri: str, folder: str) -> str:
    """Returns where an image is: cats/1.jpg in gs://b/lists is gs://b/lists/cats/1.jpg.

    There ./1.jpg is gs://b/lists/1.jpg, and ../1.jpg is gs://b/1.jpg. In https://a.example/lists it
    is https://a.example/lists/cats/1.jpg; /1.jpg is there https://a.example/1.jpg. (RFC 3986, 5.2)
    """
    if is_web_uri(folder) and is_local(uri):
        return _joined(folder, uri)
    if is_of_no_text(uri):
        return uri
    uri = without_file_scheme(uri)
    if not is_local(uri) or os.path.isabs(uri):
        return uri
    return os.path.normpath(f"{folder}/{uri}") if is_local(folder) else _below(folder, uri)


def _below(folder: str, path: str) -> str:
    """Joins as RFC 3986, 5.2.4 does; the names of objects keep their empty parts, as in a//1.jpg.

    What leads out of a bucket is in it.
    """
    *bucket, start = f"{folder}/".split("/", 3)
    parts = start.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join([*bucket, *parts])


def _joined(folder: str, uri: str) -> str:
    try:
        return urljoin(f"{folder}/", uri)
    except ValueError:  # As of "//[". Reading it says that it cannot be one.
        return f"{folder}/{uri}"


def _uri_columns(uri_column: str | None) -> tuple[str, ...]:
    return _URI_COLUMNS if uri_column is None else (uri_column,)


def _present(keys: Sequence[str], names: Collection[str]) -> str:
    return next((key for key in keys if key in names), keys[0])


def _listing(uri: str) -> tuple[str, int | None, str | None]:
    """Returns a local file's URI, size and version; one in a store would cost a request each."""
    path = path_of_uri(uri)
    if not is_local(path):
        return uri, None, None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        found = in_form_on_disk(path)
        # Opening what is in no form says what is wrong.
        return (uri, None, None) if found is None else _listing(uri_of_path(found))
    return uri, status.st_size, str(status.st_mtime_ns)
