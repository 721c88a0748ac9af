"""URLs of the web: what of one is sent, and what is refused."""

import pytest

from transforms.files.web.urls import WebUrl, follow, is_web_uri, parse_url


@pytest.mark.parametrize(
    ("uri", "is_web"),
    [
        ("http://a/b", True),
        ("HTTPS://a/b", True),
        ("https:/a/b", False),
        ("/http://a", False),
        ("gs://a/b", False),
        ("ftp://a/b", False),
    ],
)
def test_the_web_is_http_and_https(uri: str, is_web: bool) -> None:
    assert is_web_uri(uri) is is_web


A = ("https", "a.example", 443)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("https://a.example", ("https", "a.example", 443, "/")),
        ("HTTP://A.Example:8080/x", ("http", "a.example", 8080, "/x")),
        ("https://a.example?w=1", ("https", "a.example", 443, "/?w=1")),
        ("https://a.example/x#top", ("https", "a.example", 443, "/x")),
        ("https://a.example/%41%2f%zz", ("https", "a.example", 443, "/%41%2f%zz")),
        ("https://a.example/a b/ä?q=ü|", ("https", "a.example", 443, "/a%20b/%C3%A4?q=%C3%BC%7C")),
        ("https://a.example/a\u3000\u00a0\u200b", (*A, "/a%E3%80%80%C2%A0%E2%80%8B")),
        ("https://Bücher.example/", ("https", "xn--bcher-kva.example", 443, "/")),
        ("https://straße.example/", ("https", "xn--strae-oqa.example", 443, "/")),
        ("https://日本.example/", ("https", "xn--wgv71a.example", 443, "/")),
        ("http://[2606:4700::1111]:81/x", ("http", "2606:4700::1111", 81, "/x")),
    ],
)
def test_a_url_is_sent_as_it_is_given(uri: str, parts: tuple[str, str, int, str]) -> None:
    assert parse_url(uri) == WebUrl(*parts)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("https://me:secret@a.example/x", "credentials, which are sent to nobody"),
        ("https://secret@a.example/x", "credentials"),
        ("https://good.example\\@secret.example/x", "credentials"),
        ("https://a.example:secret/x", "host or port"),
        ("https://a.example:99999/x", "host or port"),
        ("https://a.example:0/x", "port 0"),
        ("https:///x", "names no host"),
        ("https://a..b/x", "names no host"),
        ("https://a b/x", "names no host"),
        ("https://a%00b/x", "names no host"),
        ("https://[::1/x", "host or port"),
        ("https://me:secret@a\u2100b/x", "host or port"),
        ("https://a.example/\r\nHost: b", "control character"),
        ("https://a.example/\0", "control character"),
        ("https://a.example/\x85", "control character"),
        ("https://a.example/\ud800", "control character"),
        ("https://a.example/" + "x" * 9000, "longer than 8,192 characters"),
        ("https://" + "ü" * 70 + ".example/", "cannot be one"),
        ("file:///etc/passwd", "wanted http or https"),
    ],
)
def test_what_is_no_url_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_url(uri)


def test_credentials_are_not_repeated() -> None:
    with pytest.raises(ValueError, match="credentials") as raised:
        parse_url("https://me:secret@a.example/x")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "wanted"),
    [
        ("b.jpg", "https://a.example:443/x/b.jpg"),
        ("/b?c#d", "https://a.example:443/b?c"),
        ("//b.example/c", "https://b.example:443/c"),
        ("https://b.example:444/c", "https://b.example:444/c"),
        ("/\u00c3\u00a4", "https://a.example:443/%C3%A4"),
    ],
)
def test_a_redirect_may_be_relative(location: str, wanted: str) -> None:
    found = follow(parse_url("https://a.example/x/a.jpg"), location)
    assert found.origin + found.target == wanted


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://a.example/x", "from https to http"),
        ("file:///etc/passwd", "leads to file:"),
        ("gopher://a.example/x", "leads to gopher:"),
        ("https://me:pw@a.example/", "credentials"),
    ],
)
def test_a_redirect_stays_on_the_web(location: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        follow(parse_url("https://a.example/x/a.jpg"), location)
