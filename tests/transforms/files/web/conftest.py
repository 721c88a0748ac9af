"""Fixtures of the tests that read from the web."""

from collections.abc import Iterator

import pytest

from tests.support.web import WebServer, open_store, run_web
from transforms.files.web import connections, storage
from transforms.files.web.storage import WebStorage


@pytest.fixture
def web() -> Iterator[WebServer]:
    with run_web() as server:
        yield server


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStorage]:
    monkeypatch.setattr(connections, "STALL_SECONDS", 3.0)
    monkeypatch.setattr(storage, "REQUEST_SECONDS", 5.0)
    with open_store() as opened:
        yield opened
