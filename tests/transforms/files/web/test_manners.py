"""A web server is asked as a good guest asks: robots.txt, opt-outs, limits, pauses."""

import contextlib
import email.utils
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from tests.support.web import CONTENT, Answer, WebServer, redirect, run_web
from transforms.errors import (
    PermissionDeniedError,
    UnavailableError,
)
from transforms.files.object_store import TransientError
from transforms.files.web import connections, hosts
from transforms.files.web.storage import WebStorage


def test_a_file_is_read_with_one_request_a_connection_and_one_robots_txt(
    web: WebServer, store: WebStorage
) -> None:
    url = web.put("/a%20b/%41.jpg?w=1", CONTENT)
    for _ in range(3):
        assert store.read(f"{url}#top", len(CONTENT)) == CONTENT
    assert web.requests == ["GET /a%20b/%41.jpg?w=1"] * 3
    assert web.robots_requests == 1
    assert web.server.connections == 1
    for name, value in web.server.headers[-1].items():
        assert name in ("Host", "User-Agent", "Accept", "Accept-Encoding"), (name, value)
    assert web.server.headers[-1]["User-Agent"].startswith("image-batch-inference")
    assert web.server.headers[-1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("tags", "is_read"),
    [
        ("noindex", False),
        ("all, NoImageAI", False),
        ("none", False),
        ("nofollow, noarchive", True),
        ("otherbot: noindex, noai", True),
        ("image-batch-inference: noai", False),
        ("max-image-preview: large, noai", False),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST", True),
    ],
)
def test_an_owner_keeps_images_out(
    web: WebServer, store: WebStorage, tags: str, is_read: bool
) -> None:
    url = web.put("/a.jpg", Answer(CONTENT, headers={"X-Robots-Tag": tags}))
    refused = pytest.raises(PermissionDeniedError, match="its owner says X-Robots-Tag: no")
    with contextlib.nullcontext() if is_read else refused:
        assert store.read(url, 1 << 20) == CONTENT


def test_robots_txt_is_honoured_also_behind_a_redirect(web: WebServer, store: WebStorage) -> None:
    web.put("/robots.txt", b"User-agent: *\nDisallow: /private\nAllow: /private/open")
    web.put("/private/a.jpg", CONTENT)
    with pytest.raises(PermissionDeniedError, match=r"robots\.txt asks programs not to fetch it"):
        store.read(f"{web.url}/private/a.jpg", 1 << 20)
    with pytest.raises(PermissionDeniedError, match=r"robots\.txt asks"):
        store.read(web.put("/a", redirect("/private/a.jpg")), 1 << 20)
    assert store.read(web.put("/private/open/a.jpg", CONTENT), 1 << 20) == CONTENT
    assert web.requests == ["GET /a", "GET /private/open/a.jpg"]
    assert web.robots_requests == 1


@pytest.mark.parametrize(
    ("answer", "is_read"),
    [
        (Answer(status=404), True),
        (Answer(status=403), True),
        (redirect("/robots.txt"), True),
        (redirect("/elsewhere.txt"), False),
        (Answer(b"User-agent: *\nDisallow: /\n" + b"#" * (1 << 20)), False),
        (Answer(status=500), False),
        (Answer(status=429), False),
        (Answer(b"User-agent: *\n", fault="short"), False),
        (Answer(fault="reset"), False),
    ],
)
def test_what_no_robots_txt_says(
    web: WebServer, store: WebStorage, answer: Answer, is_read: bool
) -> None:
    web.put("/elsewhere.txt", b"User-agent: *\nDisallow: /")
    web.put("/robots.txt", answer)
    url = web.put("/a.jpg", CONTENT)
    if is_read:
        assert store.read(url, 1 << 20) == CONTENT
        return
    for _ in range(2):
        with pytest.raises((TransientError, PermissionDeniedError), match=r"robots\.txt"):
            store.read(url, 1 << 20)
    assert "GET /a.jpg" not in web.requests
    assert web.robots_requests == 1


def test_a_robots_txt_that_could_not_be_read_is_asked_for_again(
    web: WebServer, store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ROBOTS_AGAIN_SECONDS", 0.0)
    web.put("/robots.txt", Answer(status=500), Answer(status=404))
    url = web.put("/a.jpg", CONTENT)
    with pytest.raises(TransientError, match=r"robots\.txt"):
        store.read(url, 1 << 20)
    assert store.read(url, 1 << 20) == CONTENT


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone(
    web: WebServer, store: WebStorage, status: int
) -> None:
    busy = Answer(status=status, headers={"Retry-After": "2"})
    url = web.put("/a.jpg", busy, Answer(CONTENT))
    for _ in range(3):
        with pytest.raises(TransientError) as raised:
            store.read(url, 1 << 20)
        assert raised.value.is_throttled
        assert 0 < cast(float, raised.value.retry_after_seconds) <= 2
    assert len(web.requests) == 1
    time.sleep(2)
    assert store.read(url, 1 << 20) == CONTENT


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("120", 120, 120), (None, 5, 5), ("soon", 5, 5), ("-3", 5, 5), ("9" * 40, 5, 5)],
)
def test_how_long_to_wait_is_read(
    web: WebServer, store: WebStorage, value: str | None, low: float, high: float
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    with pytest.raises(TransientError) as raised:
        store.read(web.put("/a", Answer(status=429, headers=headers)), 10)
    assert low <= cast(float, raised.value.retry_after_seconds) <= high


def test_a_date_to_wait_for_is_read(web: WebServer, store: WebStorage) -> None:
    headers = {"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)}
    with pytest.raises(TransientError) as raised:
        store.read(web.put("/a", Answer(status=503, headers=headers)), 10)
    assert 50 < cast(float, raised.value.retry_after_seconds) <= 60


def test_a_server_is_asked_eight_times_at_once(web: WebServer, store: WebStorage) -> None:
    web.server.latency_seconds = 0.05
    urls = [web.put(f"/{place}", CONTENT) for place in range(64)]
    with ThreadPoolExecutor(32) as threads:
        contents = list(threads.map(lambda url: store.read(url, 1 << 20), urls))
    assert contents == [CONTENT] * 64
    assert web.server.most_at_once == 8
    assert web.robots_requests == 1


def test_a_server_that_is_down_is_not_asked_for_ever(
    store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ROBOTS_AGAIN_SECONDS", 0.0)
    with run_web() as web:
        url = web.put("/a", CONTENT)
    errors: list[type[Exception]] = []
    for place in range(15):
        with pytest.raises((TransientError, UnavailableError)) as raised:
            store.read(url, 10)
        errors.append(raised.type)
        if place == 11:
            monkeypatch.setattr(hosts, "FAILING_SECONDS", 0.0)
    assert errors == [TransientError] * 13 + [UnavailableError] * 2


def test_a_server_that_stalls_again_and_again_counts_as_down(
    web: WebServer, store: WebStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.read(web.put("/", CONTENT), 1 << 20) == CONTENT  # And robots.txt, in good time.
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(hosts, "FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(hosts, "FAILING_SECONDS", 0.0)
    tarpit = web.put("/a", Answer(CONTENT, fault="stall"))
    for _ in range(3):
        with pytest.raises(TransientError, match="stopped coming"):
            store.read(tarpit, 1 << 20)
    with pytest.raises(
        UnavailableError, match=r"has not answered for \d s; it is asked again in 60 s"
    ):
        store.read(web.put("/b", CONTENT), 1 << 20)


def test_a_server_that_answers_after_all_is_not_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "FAILURES_IN_A_ROW", 1)
    monkeypatch.setattr(hosts, "FAILING_SECONDS", 0.0)
    host = hosts.Host("http://photos.example")
    host.failed()
    with pytest.raises(UnavailableError, match="it is asked again in 60 s"), host.asked():
        pass
    host.answered()  # To another request, which was under way.
    with host.asked():
        pass


def test_a_server_of_many_errors_is_not_down(web: WebServer, store: WebStorage) -> None:
    broken = web.put("/a", Answer(status=500))
    for _ in range(12):
        with pytest.raises(TransientError):
            store.read(broken, 1 << 20)
    assert store.read(web.put("/b", CONTENT), 1 << 20) == CONTENT


def test_memory_of_servers_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MOST_HOSTS", 3)
    kept = hosts.Hosts()
    first = kept.at("http://0")
    assert kept.at("http://0") is first
    for place in range(1, 4):
        kept.at(f"http://{place}")
    assert kept.at("http://0") is not first
