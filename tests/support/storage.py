"""gs:// on this machine, late and faulty: the benchmark's server, used by this process."""

import contextlib
import pathlib
from collections.abc import Iterator

import pytest
from apache_beam.internal.gcp import auth

from scripts.benchmarks.storage_server import RunningServer, run_storage_server
from transforms.files import google_client


@contextlib.contextmanager
def use_storage_server(*directories: pathlib.Path) -> Iterator[RunningServer]:
    """Serves directories as buckets, and sends this process, and those it starts, there."""
    with run_storage_server(*directories) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        patch.setattr(auth._Credentials, "_credentials_init", True)
        patch.setattr(auth._Credentials, "_credentials", None)
        google_client.kept_client.cache_clear()
        try:
            yield server
        finally:
            google_client.kept_client.cache_clear()
