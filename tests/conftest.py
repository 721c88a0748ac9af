"""Fixtures shared by the suite."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.permissions import drop_rights_beyond_modes

if TYPE_CHECKING:
    from tests.support.azure import AzureBucket, AzureServer
    from tests.support.buckets import Bucket
    from tests.support.cloud import Cloud, Emulator
    from tests.support.s3 import S3Bucket, S3Server

# Quiet start-up, and no GPU grab, before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Beam makes parsers of flags at every step, and each looks on disk for translations, in vain.
os.environ.setdefault("LANGUAGE", "C")

# Tests that close a file expect it closed.
drop_rights_beyond_modes()


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The optional folder of real photos, models and golden outputs."""
    default = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    path = pathlib.Path(os.environ.get("IMAGE_INFERENCE_TEST_DATA", default))
    if not path.is_dir():
        pytest.skip("no shared test data: set IMAGE_INFERENCE_TEST_DATA to a copy")
    return path


@pytest.fixture(scope="session")
def mean_color(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A feature-vector model: the mean red, green and blue of a 24x24 image."""
    from tests.support.models import save_mean_color  # TensorFlow: most tests do without.

    directory = str(tmp_path_factory.mktemp("models") / "mean_color")
    save_mean_color(directory)
    return directory


@pytest.fixture(scope="session")
def logits(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A classification model of three classes."""
    from tests.support.models import save_logits  # TensorFlow: most tests do without.

    directory = str(tmp_path_factory.mktemp("models") / "logits")
    save_logits(directory)
    return directory


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Writes a SavedModel of tests.support.models.MODELS, once a session; returns its directory."""
    from tests.support.models import MODELS  # TensorFlow: most tests do without.

    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: MODELS[name](str(root / name)))


@pytest.fixture(scope="session")
def storage_emulator() -> "Iterator[Emulator]":
    """Runs a storage emulator, once a session."""
    from tests.support.cloud import run_emulator  # Beam and a server: most tests do without.

    with run_emulator() as emulator:
        yield emulator


@pytest.fixture
def cloud(storage_emulator: "Emulator") -> "Iterator[Cloud]":
    """Makes an empty bucket, and gs:// mean the emulator."""
    from tests.support.cloud import use_emulator

    with use_emulator(storage_emulator) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[S3Server]":
    """Runs a server of s3://, once a session."""
    from tests.support.s3 import run_s3

    with run_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: "S3Server") -> "Iterator[S3Bucket]":
    """Makes an empty bucket, and s3:// mean the server."""
    from tests.support.s3 import use_s3

    with use_s3(s3_server) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def azure_server() -> "Iterator[AzureServer]":
    """Runs a server of az://, once a session."""
    from tests.support.azure import run_azure

    with run_azure() as server:
        yield server


@pytest.fixture
def azure(azure_server: "AzureServer") -> "Iterator[AzureBucket]":
    """Makes an empty container, and az:// mean the server."""
    from tests.support.azure import use_azure

    with use_azure(azure_server) as bucket:
        yield bucket


@pytest.fixture(params=["cloud", "s3", "azure"])
def bucket(request: pytest.FixtureRequest) -> "Bucket":
    """Makes an empty bucket, in each store in turn."""
    found: Bucket = request.getfixturevalue(request.param)
    return found
