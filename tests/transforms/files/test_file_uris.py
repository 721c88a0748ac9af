"""What URIs of local files mean."""

import pathlib

import pytest

from transforms.files.file_uris import without_file_scheme


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b", "/a b"),
        ("file:/a", "/a"),
        ("file:/a%20b", "/a b"),
        ("file://localhost/a", "/a"),
        ("FILE:///a", "/a"),
        ("file:///", "/"),
        ("file:////a", "//a"),
        ("file:///%C3%A4/%25.jpg", "/ä/%.jpg"),
        ("file:///100%/a.jpg", "/100%/a.jpg"),
        ("file:///%FF.jpg", "/%FF.jpg"),
        ("/a%20b", "/a%20b"),
        ("a%20b", "a%20b"),
        ("file:a", "file:a"),
        ("file://server/a", "file://server/a"),
        ("gs://bucket/a%20b", "gs://bucket/a%20b"),
        ("", ""),
    ],
)
def test_a_file_uri_is_the_path_that_it_encodes_and_all_else_is_itself(uri: str, path: str) -> None:
    assert without_file_scheme(uri) == path


@pytest.mark.parametrize("path", ["/a b/c#1.jpg", "/ä/%20.jpg", "/[1]/a?*.jpg", "/+&=;.jpg"])
def test_what_python_writes_comes_back(path: str) -> None:
    assert without_file_scheme(pathlib.Path(path).as_uri()) == path
