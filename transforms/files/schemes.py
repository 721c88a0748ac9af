"""Schemes of URIs: which there are file systems for, and what these want installed.

Imports nothing large: a scheme that cannot work is refused at once.
"""

import importlib.util
import re
import sys
from typing import NamedTuple

_SCHEME = re.compile(r"([A-Za-z][-A-Za-z0-9+.]*)://")
"""As Beam reads it. (apache_beam/io/filesystems.py)"""
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9]*):/(?!/)")


class _Store(NamedTuple):
    """What a file system needs: modules, and the package and extra that bring them."""

    modules: tuple[str, ...]
    extra: str


_AZURE = _Store(("azure.storage.blob", "azure.identity"), ".[azure]")
_STORES = {
    "gs": _Store((), "."),
    "s3": _Store(("boto3",), ".[s3]"),
    "az": _AZURE,
    "azfs": _AZURE,
    "hdfs": _Store(("hdfs",), "apache-beam[hadoop]"),
}
_MEANT = {
    "gcs": "gs",
    "s3a": "s3",
    "s3n": "s3",
    "abfs": "az",
    "abfss": "az",
    "wasb": "az",
    "wasbs": "az",
}
"""What other programs call the same stores."""

_ON_THE_WEB = ("http", "https")


def scheme_of(uri: str) -> str | None:
    """Returns the scheme of a URI, as "gs"; None for a local path."""
    found = _SCHEME.match(uri.strip())
    return found and found[1]


def check_scheme(uri: str) -> None:
    """Checks that the file system of a URI is there; passes for a local path.

    Raises:
        ValueError: If it is not; says what to install, or which schemes there are.
    """
    scheme = scheme_of(uri)
    if scheme is None:
        check_slashes(uri)
        return
    store = _STORES.get(scheme)
    if store is None:
        if scheme not in _added_to_beam():
            raise ValueError(_unknown(scheme))
        return
    missing = [name for name in store.modules if not _is_there(name)]
    if missing:
        raise ValueError(
            f"{scheme}:// needs {' and '.join(missing)}, not installed here; "
            f"pip install '{store.extra}'"
        )


def check_slashes(uri: str) -> None:
    """Refuses gs:/bucket/x, as pathlib and os.path write a URI that they take for a path.

    Raises:
        ValueError: If a uri is of that kind.
    """
    found = _ONE_SLASH.match(uri)
    if found and found[1].lower() in {*_STORES, *_MEANT, *_ON_THE_WEB}:
        raise ValueError(
            f"a slash is missing; wanted {found[1]}://, or ./{found[1]}:/ of a directory here"
        )


def _unknown(scheme: str) -> str:
    if scheme.lower() in _ON_THE_WEB:
        return (
            "this is on the web, from which only images, manifests, labels and models are read; "
            "wanted a local path, or a store such as gs://"
        )
    if scheme.lower() == "file":
        return (
            "file:// is followed by the name of another machine, from which nothing is read; "
            "wanted file:/// and an absolute path"
        )
    known = ", ".join(f"{name}://" for name in _STORES)
    meant = _MEANT.get(scheme.lower(), scheme.lower())
    hint = f"; write {meant}://" if meant in _STORES else ""
    return f"no file system is known for {scheme}://; wanted a local path, {known}{hint}"


def _added_to_beam() -> set[str | None]:
    """Returns the schemes of all file systems in this process; none before Beam is imported."""
    beam = sys.modules.get("apache_beam.io.filesystem")
    return (
        set() if beam is None else {each.scheme() for each in beam.FileSystem.get_all_subclasses()}
    )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # Of the package that it would be in.
        return False
