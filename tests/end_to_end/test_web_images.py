"""Runs on URLs: of a list with every fault, each URL is a row or a failure with a reason."""

import gzip
import pathlib
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import classify, embed
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
)
from tests.support.web import Answer, WebServer, run_web
from transforms.files.web import connections, storage, tries
from transforms.files.web.storage import web_storage

LIMIT_BYTES = 200_000
GOOD = 22
NO_HOST = "a" * 70 + ".example"
"""A name of too long a label, of which no name server is asked."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setattr(connections, "STALL_SECONDS", 3.0)
    monkeypatch.setattr(storage, "REQUEST_SECONDS", 5.0)
    monkeypatch.setattr(tries, "WAITS_SECONDS", (0.1,))
    with run_web() as server:
        yield server
    web_storage(allow_private_hosts=True).close()  # The process keeps it, with its connections.


def to(place: str) -> Answer:
    return Answer(b"moved", 302, {"Location": place})


def good_urls(web: WebServer) -> list[str]:
    """Puts images there that are read in the end."""
    image = [solid(n, 2 * n, 255 - n) for n in range(100)]
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(image[1]), image[1])
    packed = {"Content-Encoding": "gzip"}
    busy = Answer(status=503, headers={"Retry-After": "0"})
    web.put("/moved.png", image[2])
    return [
        *(web.put(f"/good/{n}.png", image[10 + n]) for n in range(GOOD - 12)),
        web.put("/chunked", Answer(chunked, headers={"Transfer-Encoding": "chunked"})),
        web.put("/no_length", Answer(image[3], fault="no length")),
        web.put("/packed", Answer(gzip.compress(image[4]), headers=packed)),
        web.put("/redirected", to("/again")),
        web.put("/again", to("moved.png")),
        web.put("/a%20b%41.png?w=1&h=%2f", image[5]),
        web.put("/shown", image[6]) + "#top",
        web.put("/otherbot", Answer(image[7], headers={"X-Robots-Tag": "otherbot: noai"})),
        web.put("/busy", busy, Answer(image[8])),
        web.put("/reset_once", Answer(fault="reset"), Answer(image[9])),
        web.put("/short_once", Answer(image[9], fault="short"), Answer(image[9])),
        web.put("/broken_once", Answer(status=500), Answer(image[9])),
    ]


def bad_urls(web: WebServer, closed: WebServer, busy: WebServer) -> dict[str, tuple[str, str]]:
    """Puts everything else there; returns the reason and the words of each failure."""
    image = solid(1, 2, 3)
    closed.put("/robots.txt", Answer(status=500))
    hour = {"Retry-After": "3600"}
    bomb = Answer(gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"})
    web.put("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    for place in range(6):
        web.put(f"/far/{place}", to(f"/far/{place + 1}"))
    denied, gone, later = "PermissionDenied", "NotFound", "Unavailable"
    return {
        web.put("/404", Answer(status=404)): (gone, "the server answers 404 Not Found"),
        web.put("/410", Answer(status=410)): (gone, "410 Gone"),
        web.put("/400", Answer(status=400)): (gone, "400 Bad Request"),
        web.put("/401", Answer(status=401)): (denied, "401 Unauthorized"),
        web.put("/403", Answer(status=403)): (denied, "403 Forbidden"),
        web.put("/451", Answer(status=451)): (denied, "451 Unavailable For Legal Reasons"),
        web.put("/500", Answer(status=500)): (later, "500 Internal Server Error"),
        web.put("/502", Answer(status=502)): (later, "502 Bad Gateway"),
        web.put("/short", Answer(image, fault="short")): (later, "only .* bytes came"),
        web.put("/reset", Answer(fault="reset")): (later, "connection reset by peer"),
        web.put("/hang", Answer(fault="hang up")): (later, "closed connection without response"),
        web.put("/stall", Answer(image, fault="stall")): (later, "it stopped coming"),
        web.put("/drip", Answer(bytes(LIMIT_BYTES), fault="drip")): (
            later,
            "no whole answer in 5 s",
        ),
        web.put("/junk", Answer(fault="junk")): (later, "no proper answer"),
        web.put("/noai", Answer(image, headers={"X-Robots-Tag": "noai"})): (denied, "its owner"),
        web.put("/private/a", image): (denied, r"robots\.txt asks programs not to fetch it"),
        web.put("/loop", to("/loop")): (gone, "more than 5 redirects"),
        web.put("/far/0", to("/far/1")): (gone, "more than 5 redirects"),
        web.put("/file", to("file:///etc/passwd")): (denied, "leads to file:"),
        web.put("/html", b"<!doctype html>sorry"): ("UnsupportedFormat", "an HTML page"),
        web.put("/br", Answer(image, headers={"Content-Encoding": "br"})): (
            *("UnsupportedFormat", "which nobody asked for"),
        ),
        web.put("/huge", bytes(LIMIT_BYTES + 1)): ("FileTooLarge", f"bytes={LIMIT_BYTES}"),
        web.put("/endless", Answer(bytes(9_999), fault="endless")): ("FileTooLarge", "more bytes"),
        web.put("/bomb", bomb): ("FileTooLarge", "more bytes"),
        closed.put("/a.png", image): (later, r"robots\.txt cannot be read: .* 500"),
        busy.put("/a.png", Answer(status=429, headers=hour)): (later, "429 .* after 3600 s"),
        f"http://{NO_HOST}/a.png": (gone, rf"there is no host {NO_HOST}"),
    } | {"http://127.0.0.1:0/a.png": (gone, "port 0 is none")}


def run_on(manifest: pathlib.Path, model: str, output: pathlib.Path, *flags: str) -> int:
    all_may_fail = ["--max_failed_fraction", "1"]
    return run_embed(model, output, "--manifest", str(manifest), *all_may_fail, *flags)


def test_each_url_is_a_row_or_a_failure_with_a_reason(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    with run_web() as closed, run_web() as busy:
        web.server.latency_seconds = 0.02  # For several to be there at once.
        good, bad = good_urls(web), bad_urls(web, closed, busy)
        assert len(good) == GOOD
        assert len(good) + len(bad) == 50
        manifest = tmp_path / "list.parquet"
        urls = [*good, *bad]
        pq.write_table(
            pa.table({"url": urls, "caption": [f"no. {n}" for n in range(50)]}), manifest
        )
        flags = ["--allow_private_hosts", "--carry_columns", "caption", "--max_image_bytes"]
        flags.append(str(LIMIT_BYTES))
        assert run_on(manifest, mean_color, tmp_path / "out", *flags) == 0
        rows = read(tmp_path / "out")
        assert rows["image_id"].to_pylist() == sorted(good)
        captions = dict(zip(urls, range(50), strict=True))
        assert rows["caption"].to_pylist() == [f"no. {captions[url]}" for url in sorted(good)]
        failures = {failure["image_id"]: failure for failure in read_failures(tmp_path / "out")}
        assert failures.keys() == bad.keys()
        for url, (error_type, message) in bad.items():
            failure = failures[url]
            assert (failure["error_type"], failure["uri"]) == (error_type, url), failure
            assert re.search(message, failure["message"]), failure
        assert "GET /private/a" not in web.requests
        assert "GET /a.png" not in closed.requests
        assert busy.requests == ["GET /a.png"]
        assert web.server.most_at_once <= 8
        assert web.robots_requests == 1

        for path in ("/500", "/short", "/reset", "/404", "/html"):
            web.put(path, solid(9, 9, 9))
        before = len(web.requests)
        again = ["--retry_failed", str(tmp_path / "out"), "--model", mean_color, *flags]
        again += ["--output", str(tmp_path / "again"), "--max_failed_fraction", "1"]
        assert embed.main(again) == 0
        asked = web.requests[before:]
        assert not any("/good/" in request for request in asked)
        rows = read(tmp_path / "again")
        mended = [web.url + path for path in ("/500", "/short", "/reset", "/404", "/html")]
        assert rows["image_id"].to_pylist() == sorted([*good, *mended])
        assert len(read_failures(tmp_path / "again")) == len(bad) - len(mended)


def test_a_private_host_is_a_failure_unless_it_is_allowed(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    url = web.put("/a.png", solid(1, 2, 3))
    (tmp_path / "list.txt").write_text(url)
    assert run_on(tmp_path / "list.txt", mean_color, tmp_path / "out") == 0
    (failure,) = read_failures(tmp_path / "out")
    assert failure["error_type"] == "PermissionDenied"
    assert failure["message"].endswith(
        "is no public address; a run reads it with --allow_private_hosts"
    )
    assert web.server.requests == []


def test_a_manifest_of_the_web_names_what_lies_beside_it(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    images = [web.put(f"/lists/images/{n}.png", solid(n, n, n)) for n in range(3)]
    other = web.put("/4.png", solid(4, 4, 4))
    lines = ["uri,label", *(f"images/{n}.png,{n}" for n in range(3)), "/4.png,4"]
    moved = web.put("/moved.csv", "\n".join(lines).encode())
    manifest = web.put("/lists/all.csv?v=2", to(moved))
    flags = ["--allow_private_hosts", "--carry_columns", "label"]
    assert run_embed(mean_color, tmp_path / "out", "--manifest", manifest, *flags) == 0
    rows = read(tmp_path / "out")
    assert rows["uri"].to_pylist() == sorted([*images, other])
    assert rows["label"].to_pylist() == ["4", "0", "1", "2"]
    assert web.requests.count("GET /moved.csv") == 2, "for its columns, and for its rows"
    assert run_embed(mean_color, tmp_path / "no", "--manifest", manifest, "--plan", *flags[:1]) == 0


def test_a_manifest_that_is_not_there_is_one_line(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for allowed, words in (([], "is no public address"), (["--allow_private_hosts"], "404 Not")):
        argv = ["--manifest", f"{web.url}/none.csv", *allowed]
        assert run_embed(mean_color, tmp_path / "out", *argv) == 2
        error = capsys.readouterr().err
        assert f"--manifest '{web.url}/none.csv': " in error
        assert words in error
        assert len(error.splitlines()) == 1


def test_class_names_of_the_web_are_those_of_the_run(
    web: WebServer, logits: str, tmp_path: pathlib.Path
) -> None:
    labels = web.put("/names.json?v=1", b'["a", "b", "c"]')
    url = web.put("/a.png", solid(1, 2, 3))
    argv = ["--input", url, "--model", logits, "--output", str(tmp_path / "out"), "--top_k", "3"]
    assert classify.main([*argv, "--labels", labels, "--allow_private_hosts"]) == 0
    (names,) = read(tmp_path / "out")["class_label"].to_pylist()
    assert sorted(names) == ["a", "b", "c"]
    assert web.requests.count("GET /names.json?v=1") == 1


def test_one_url_is_an_input(web: WebServer, mean_color: str, tmp_path: pathlib.Path) -> None:
    url = web.put("/photo?id=1&w=2", solid(1, 2, 3))
    flags = ["--allow_private_hosts", "--image_id_from", "filename"]
    assert run_embed(mean_color, tmp_path / "out", "--input", url, *flags) == 0
    row = read(tmp_path / "out").to_pylist()[0]
    assert (row["image_id"], row["uri"]) == ("photo?id=1&w=2", url)
    assert web.requests == ["GET /photo?id=1&w=2"]
    web.put("/1.png", solid(1, 1, 1))
    web.put("/2.png", solid(2, 2, 2))
    both = f"{web.url}/{{1..2}}.png"
    assert run_embed(mean_color, tmp_path / "both", "--input", both, *flags) == 0
    assert read(tmp_path / "both")["image_id"].to_pylist() == ["1.png", "2.png"]


def test_a_refresh_reads_urls_again_and_keeps_the_rows_of_equal_bytes(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    urls = [web.put(f"/{n}.png", solid(n, n, n)) for n in range(3)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    flags = ["--manifest", str(tmp_path / "list.txt"), "--allow_private_hosts"]
    assert run_refresh(mean_color, tmp_path / "runs", *flags) == 0
    web.put("/1.png", solid(99, 99, 99))
    before = len(web.requests)
    assert run_refresh(mean_color, tmp_path / "runs", *flags) == 0
    assert len(web.requests) - before == 3
    changes = read_record(latest(tmp_path / "runs"))["changes"]
    assert (changes["changed"], changes["unchanged"]) == (1, 2)


def test_a_refresh_reads_only_what_its_server_has_another_version_of(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    def put(name: str, version: int, content: bytes) -> str:
        return web.put(f"/{name}", Answer(content, headers={"ETag": f'"{version}"'}))

    urls = [put(f"{n}.png", 1, solid(n, n, n)) for n in range(4)]
    urls += [put("broken.png", 1, b"no image"), web.put("/plain.png", solid(9, 9, 9))]
    urls.append(web.put("/moved.png", to(urls[0])))
    (tmp_path / "list.txt").write_text("\n".join(urls))
    flags = ["--manifest", str(tmp_path / "list.txt"), "--allow_private_hosts"]
    flags += ["--max_failed_fraction", "0.5"]
    root = tmp_path / "runs"

    def sent_by_refresh(*more: str) -> int:
        before = web.server.bytes_sent
        assert run_refresh(mean_color, root, *flags, *more) == 0
        return web.server.bytes_sent - before

    sent_by_refresh()
    always = len(b"no image") + len(solid(9, 9, 9)) + len(b"moved")
    put("1.png", 2, solid(99, 99, 99))  # Another image.
    put("2.png", 2, solid(2, 2, 2))  # The same bytes again.
    changed = len(solid(99, 99, 99)) + len(solid(2, 2, 2))
    assert sent_by_refresh() == always + changed
    changes = read_record(latest(root))["changes"]
    assert {name: count for name, count in changes.items() if count} == {
        "changed": 1, "unchanged": 5, "retried": 1, "reused": 5,
    }  # fmt: skip
    rows = read(latest(root))
    assert rows["image_id"].to_pylist() == sorted(url for url in urls if "broken" not in url)
    before = contents(latest(root))
    assert sent_by_refresh() == always, "what was not read stays known"
    assert contents(latest(root)) == before
    all_again = sum(len(solid(n, n, n)) for n in (0, 99, 2, 3, 0)) + always
    assert sent_by_refresh("--exif", "ignore") == all_again, "another recipe needs them"
    assert run_embed(mean_color, tmp_path / "full", *flags, "--exif", "ignore") == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def test_equal_images_of_the_web_are_given_to_the_model_once(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    urls = [web.put(f"/{n}", solid(7, 7, 7)) for n in range(4)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    flags = ["--allow_private_hosts", "--deduplicate"]
    assert run_on(tmp_path / "list.txt", mean_color, tmp_path / "out", *flags) == 0
    assert read(tmp_path / "out")["image_id"].to_pylist() == sorted(urls)


def test_an_image_of_several_rows_is_asked_for_once(
    web: WebServer, mean_color: str, tmp_path: pathlib.Path
) -> None:
    image = solid(7, 7, 7)
    url = web.put("/a.png", Answer(image, headers={"ETag": '"1"'}))
    rows = [f"{url},{caption}" for caption in ("one", "two", "three")]
    (tmp_path / "list.csv").write_text("\n".join(["url,caption", *rows]))
    flags = ["--manifest", str(tmp_path / "list.csv"), "--allow_private_hosts"]
    flags += ["--image_id_from", "uri#row", "--carry_columns", "caption"]
    root, sent = tmp_path / "runs", []
    for _ in range(3):
        before = web.server.bytes_sent
        assert run_refresh(mean_color, root, *flags) == 0
        sent.append(web.server.bytes_sent - before)
        assert read(latest(root))["image_id"].to_pylist() == [f"{url}#{n}" for n in range(3)]
    assert len(image) <= sent[0] < 2 * len(image), "and robots.txt"
    assert sent[1:] == [0, 0]
    assert read(latest(root))["caption"].to_pylist() == ["one", "two", "three"]
