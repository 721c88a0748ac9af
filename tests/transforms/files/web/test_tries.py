"""A file of the web is asked for a few times: tries are what was sent, and waits have an end."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.web import CONTENT, Answer, WebServer
from transforms.errors import NotFoundError, UnavailableError
from transforms.files.object_store import TransientError
from transforms.files.web import answers, hosts, tries
from transforms.files.web.storage import WebStorage
from transforms.files.web.tries import try_again

BUSY = Answer(status=429)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "WAITS_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(answers, "THROTTLED_SECONDS", 0.2)


def test_a_try_that_a_pause_kept_from_being_sent_is_none(web: WebServer, store: WebStorage) -> None:
    web.server.latency_seconds = 0.02
    urls = [web.put(f"/{place}", BUSY, BUSY, Answer(CONTENT)) for place in range(24)]
    with ThreadPoolExecutor(24) as threads:
        contents = list(threads.map(lambda url: try_again(lambda: store.read(url, 1 << 20)), urls))
    assert contents == [CONTENT] * 24
    assert len(web.requests) == 3 * 24


def test_a_file_waits_for_others_for_so_long_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "PAUSES_SECONDS", 0.25)
    asked = 0

    def is_left_alone() -> None:
        nonlocal asked
        asked += 1
        raise TransientError("asked to wait", retry_after_seconds=0.0625, is_sent=False)

    with pytest.raises(UnavailableError, match=r"^asked to wait$"):
        try_again(is_left_alone)
    assert asked == 5, "at once, and after each of four pauses"


def test_a_server_that_refuses_everything_counts_as_down(
    web: WebServer, store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(hosts, "FAILING_SECONDS", 0.0)
    busy = web.put("/busy", Answer(status=503, headers={"Retry-After": "0"}))
    absent = web.put("/absent", Answer(status=404))
    for url in (busy, busy, absent, busy, busy, busy):
        with contextlib.suppress(TransientError, NotFoundError):
            store.read(url, 1 << 20)
    assert len(web.requests) == 6, "one answer in between is one"
    with pytest.raises(UnavailableError, match=r"has refused all requests for 0 s; it is asked"):
        store.read(busy, 1 << 20)
    assert len(web.requests) == 6
