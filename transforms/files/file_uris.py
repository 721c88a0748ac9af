"""URIs of local files, as other programs write them. Imports nothing large."""

import os
import pathlib
import re
import urllib.parse

_FILE_URI = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/(?!/)))", re.IGNORECASE)


def without_file_scheme(uri: str) -> str:
    """Returns the path that a URI of a local file means; others, and paths, as they are.

    Source: RFC 8089. Python's Path.as_uri, Spark's input_file_name, Hadoop and Arrow write

        file:///a%20b/c.jpg          /a b/c.jpg
        file:/a/c.jpg                /a/c.jpg
        file://localhost/a/c.jpg     /a/c.jpg

    What is no percent-encoded UTF-8 stays as it is: no name is lost that could be read.
    """
    scheme = _FILE_URI.match(uri)
    if scheme is None:
        return uri
    path = uri[scheme.end() :]
    try:
        return urllib.parse.unquote(path, errors="strict")
    except UnicodeDecodeError:
        return path


def uri_of_path(path: str) -> str:
    r"""Returns a local path as text that can be stored: itself, or a file: URI if it is not UTF-8.

    Python has the name caf\xe9 of Latin-1 as "caf\udce9", which no file of text can hold:

        "/n/日本.jpg"       -> "/n/日本.jpg"
        "/n/caf\udce9.jpg" -> "file:///n/caf%E9.jpg"
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return pathlib.PurePath(path).as_uri()
    return path


def path_of_uri(uri: str) -> str:
    """Returns the local path that uri_of_path was given; any other URI as it is."""
    if not uri.startswith("file:///"):
        return uri
    return os.fsdecode(urllib.parse.unquote_to_bytes(uri.removeprefix("file://")))


def is_of_no_text(uri: str) -> bool:
    """Tells whether a URI is what uri_of_path makes of a name that is not UTF-8."""
    path = path_of_uri(uri)
    return path != uri and uri_of_path(path) == uri
