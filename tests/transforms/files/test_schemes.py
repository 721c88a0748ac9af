"""Schemes of URIs: what is told of those that cannot work."""

import pathlib
import sys

import pytest

from tests.support.remote import OBJECTS
from transforms.errors import FlagError
from transforms.files.file_systems import FileSystems
from transforms.files.schemes import check_scheme, scheme_of
from transforms.runs.directory import absolute_output


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [("gs://b/a", "gs"), (" s3://b", "s3"), ("/a/b", None), ("c:/a", None), ("a/gs://b", None)],
)
def test_a_scheme_is_what_comes_before_the_slashes(uri: str, scheme: str | None) -> None:
    assert scheme_of(uri) == scheme


@pytest.mark.parametrize(
    ("uri", "module", "message"),
    [
        ("s3://b/a", "boto3", r"s3:// needs boto3, .*pip install '\.\[s3\]'$"),
        (
            "az://b/a",
            "azure.identity",
            r"az:// needs .*azure.identity, .*pip install '\.\[azure\]'$",
        ),
        ("azfs://b/c/a", "azure.storage.blob", r"azfs:// needs .*pip install '\.\[azure\]'$"),
        ("hdfs://b/a", "hdfs", r"hdfs:// needs hdfs, .*pip install 'apache-beam\[hadoop\]'"),
    ],
)
def test_a_store_says_what_it_wants_installed(
    uri: str, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for look in (check_scheme, FileSystems.exists):
        with pytest.raises(ValueError, match=message):
            look(uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3a://b/a", r"no file system is known for s3a://; wanted .*; write s3://$"),
        ("abfss://b/a", r"write az://$"),
        ("GS://b/a", r"write gs://$"),
        ("file://b/a", "the name of another machine, .*; wanted file:/// and an absolute path$"),
        ("foo://b/a", r"no file system is known for foo://; wanted a local path, gs://, s3://, "),
        (
            "HTTPS://b/a",
            r"on the web, from which only images, manifests, labels and models are read; wanted",
        ),
    ],
)
def test_a_scheme_that_is_none_says_which_there_are(uri: str, message: str) -> None:
    for look in (check_scheme, FileSystems.exists):
        with pytest.raises(ValueError, match=message):
            look(uri)


@pytest.mark.parametrize("scheme", ["gs", "S3A", "https"])
def test_a_uri_that_pathlib_took_for_a_path_is_refused(scheme: str) -> None:
    uri = str(pathlib.PurePosixPath(f"{scheme}://b/a"))
    message = f"a slash is missing; wanted {scheme}://, or ./{scheme}:/ of a directory here"
    with pytest.raises(ValueError, match=message):
        check_scheme(uri)
    with pytest.raises(FlagError, match=message):
        absolute_output(uri)
    check_scheme(f"./{uri}")
    check_scheme(f"file:/{uri}")


def test_a_file_system_that_was_added_to_beam_is_known() -> None:
    OBJECTS["memory://b/a"] = b"1"
    check_scheme("memory://b/a")
    assert FileSystems.exists("memory://b/a")
    check_scheme("gs://b/a")
    check_scheme("/a")
