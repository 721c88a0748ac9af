"""URIs of local files, as other programs write them. Imports nothing large."""

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
