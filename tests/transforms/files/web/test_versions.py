"""Versions of files on the web: a file is read again only if its server may have another one."""

import email.utils
import time
from collections.abc import Mapping

import pytest

from tests.support.web import CONTENT, Answer, WebServer, redirect
from transforms.errors import NotFoundError, PermissionDeniedError
from transforms.files.web.storage import WebStorage
from transforms.files.web.urls import parse_url
from transforms.files.web.versions import SETTLED_SECONDS, WebFile, condition

OLD = "Sun, 01 Mar 2026 08:00:00 GMT"


def read(store: WebStorage, uri: str, known: str | None = None) -> WebFile:
    return store.read_if_changed(uri, 1 << 20, known)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": '"33-a6"'}, '"33-a6"'),
        ({"ETag": '"33-a6"', "Last-Modified": OLD}, '"33-a6"'),
        ({"ETag": 'W/"33-a6"'}, None),
        ({"ETag": 'W/"33-a6"', "Last-Modified": OLD}, OLD),
        ({"ETag": "33-a6"}, None),
        ({"ETag": f'"{"1" * 300}"'}, None),
        ({"Last-Modified": OLD}, OLD),
        ({"Last-Modified": "Fri, 01 Mar 2199 08:00:00 GMT"}, None),
        ({"Last-Modified": "Sun, 99 Mar 2026 08:00:00 GMT"}, None),
        ({"Last-Modified": "yesterday"}, None),
        ({}, None),
    ],
)
def test_an_answer_tells_its_version_if_that_is_sure(
    web: WebServer, store: WebStorage, headers: Mapping[str, str], version: str | None
) -> None:
    uri = web.put("/a.jpg", Answer(CONTENT, headers=headers))
    assert read(store, uri) == WebFile(CONTENT, version)


def test_what_was_modified_a_moment_ago_may_be_again(web: WebServer, store: WebStorage) -> None:
    fresh = email.utils.formatdate(time.time() - SETTLED_SECONDS / 10, usegmt=True)
    uri = web.put("/a.jpg", Answer(CONTENT, headers={"Last-Modified": fresh}))
    assert read(store, uri) == WebFile(CONTENT, None)


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"ETag": '"33-a6"'}, {"If-None-Match": '"33-a6"'}),
        ({"Last-Modified": OLD}, {"If-Modified-Since": OLD}),
    ],
)
def test_a_file_that_is_as_it_was_is_not_read(
    web: WebServer, store: WebStorage, headers: Mapping[str, str], asked: dict[str, str]
) -> None:
    uri = web.put("/a.jpg", Answer(CONTENT, headers=headers))
    known = read(store, uri).version
    sent = web.server.bytes_sent
    assert read(store, uri, known) == WebFile(None, known)
    assert asked.items() <= web.server.headers[-1].items()
    assert web.server.bytes_sent == sent
    web.put("/a.jpg", Answer(b"other", headers={"ETag": '"34"'}))
    assert read(store, uri, known) == WebFile(b"other", '"34"')
    web.put("/a.jpg", b"third")
    assert read(store, uri, known) == WebFile(b"third", None)


def test_a_version_is_that_of_the_url_that_told_it(web: WebServer, store: WebStorage) -> None:
    of_one = {"ETag": '"1"'}
    first = web.put("/1.jpg", Answer(CONTENT, headers=of_one))
    uri = web.put("/a.jpg", redirect(first))
    known = read(store, uri).version
    assert known == f'"1" {web.url}/1.jpg'
    assert read(store, uri, known) == WebFile(None, known)
    assert "If-None-Match" not in web.server.headers[-2]
    # The same ETag at another URL is another file's.
    web.put("/a.jpg", redirect(web.put("/2.jpg", Answer(b"other", headers=of_one))))
    assert read(store, uri, known).content == b"other"
    web.put("/a.jpg", Answer(b"third", headers=of_one))
    assert read(store, uri, known) == WebFile(b"third", '"1"')


@pytest.mark.parametrize(
    "known", ["1600000000500000000", "abc", '"a"\r\nX: "b"', '"a" b', 'W/"a"', "", None]
)
def test_what_is_no_version_of_the_web_is_no_condition(known: str | None) -> None:
    url = parse_url("https://a.example/b.jpg")
    assert condition(known, url, url) == {}


def test_a_server_that_says_so_unasked_has_no_file(web: WebServer, store: WebStorage) -> None:
    with pytest.raises(NotFoundError, match="304 Not Modified"):
        read(store, web.put("/a.jpg", Answer(status=304)))


def test_an_owner_who_opts_out_is_heard_where_nothing_changed(
    web: WebServer, store: WebStorage
) -> None:
    headers = {"ETag": '"1"', "X-Robots-Tag": "noai"}
    uri = web.put("/a.jpg", Answer(CONTENT, headers=headers))
    with pytest.raises(PermissionDeniedError, match="noai"):
        read(store, uri, '"1"')
