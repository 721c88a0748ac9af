"""Text files that are named as images."""

import gzip
from pathlib import Path

import pytest

from tests.support.images import encode, photo
from transforms.errors import InputError
from transforms.inputs.listing import classify_input


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "list.txt",
            b"cats/1.jpg\ncats/2.jpg\n",
            r"begins 'cats/1.jpg'; wanted images.*given by --manifest .*list.txt$",
        ),
        ("list.csv", "uri,n\r\nä.jpg,3\r\n".encode(), r"begins 'uri,n'; .*--manifest .*list.csv$"),
        ("list.csv", "ä".encode() * 5000, r"begins 'ä{80}'; "),
        ("list.csv", b"x" + "ä".encode() * 5000, r"begins 'xä{79}'; "),
        ("images", b"a.jpg\n", r"--manifest, in a file that ends in \.txt, \.csv, \.tsv, \.jsonl"),
        (
            "list.csv.gz",
            gzip.compress(b"uri\n", mtime=0),
            r"in gzip; wanted images, .*--manifest .*csv\.gz$",
        ),
        ("page.html", b"<html>", r"begins '<html>'"),
    ],
)
def test_a_text_file_is_no_input_of_images(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        classify_input(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo", encode(photo(9, 9), "JPEG")),
        ("photo.bin", encode(photo(9, 9))),
        ("empty.dat", b""),
        ("page.jpg", b"<html>the web says no</html>"),
    ],
)
def test_what_may_be_an_image_is_left_to_the_run(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert classify_input(str(tmp_path / name)).pattern == str(tmp_path / name)
