"""Manifests on a web server: the same rows, and each fault is told before any work."""

import gzip
import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.web import Answer, WebServer, redirect, run_web
from transforms.errors import InputError
from transforms.files.web import tries
from transforms.files.web.storage import web_storage
from transforms.inputs.manifests import manifest_schema, read_manifest
from transforms.records import ImageRef

LABELS = pa.schema([("label", pa.string())])
NOTHING = pa.schema([])
CSV = b"uri,label\na.png,3\n"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setattr(tries, "WAITS_SECONDS", (0.01,))
    with run_web() as server:
        yield server
    web_storage(allow_private_hosts=True).close()  # The process keeps it, with its connections.


def uris_in(manifest: str) -> list[str]:
    refs = read_manifest(manifest, NOTHING, None, allow_private_hosts=True)
    return [ref.uri for ref in refs]


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"url": ["a.png"], "label": ["3"]}), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", CSV),
        ("m.jsonl", b'{"uri": "a.png", "label": "3"}\n'),
        ("m.parquet", parquet()),
        ("m.csv.gz", gzip.compress(CSV, mtime=0)),
        ("m.csv.gz", Answer(gzip.compress(CSV, mtime=0), headers={"Content-Encoding": "gzip"})),
        (
            "m.csv.gz",
            Answer(
                gzip.compress(CSV[:10], mtime=0) + gzip.compress(CSV[10:], mtime=0),
                headers={"Content-Encoding": "gzip"},
            ),
        ),
        ("m.json", b'[{"uri": "a.png", "label": "3"}]'),
    ],
)
def test_each_format_is_read(web: WebServer, name: str, content: bytes | Answer) -> None:
    uri = web.put(f"/lists/{name}?sig=/x", content)
    assert manifest_schema(uri, ["label"], allow_private_hosts=True) == LABELS
    image = f"{web.url}/lists/a.png"
    assert list(read_manifest(uri, LABELS, None, allow_private_hosts=True)) == [
        ImageRef(image, image, carried=("3",))
    ]
    (ref,) = read_manifest(uri, NOTHING, "relative_path", allow_private_hosts=True)
    assert ref.image_id == "a.png"


def test_uris_are_relative_to_its_url(web: WebServer) -> None:
    given = [
        "a.png",
        "../b c.png",
        "/c.png",
        "//d.example/d",
        "?q",
        "https://e.example/",
        "gs://b/e",
    ]
    moved = web.put("/elsewhere/m.txt", "\n".join([*given, "//["]).encode())
    assert uris_in(web.put("/lists/x/m.txt", redirect(moved))) == [
        f"{web.url}/lists/x/a.png",
        f"{web.url}/lists/b c.png",
        f"{web.url}/c.png",
        "http://d.example/d",
        f"{web.url}/lists/x/?q",
        "https://e.example/",
        "gs://b/e",
        f"{web.url}/lists/x///[",
    ]


@pytest.mark.parametrize(
    "uri", ["file:///etc/a.png", "file:/etc/a.png", "FILE://localhost/a", "file:a", "x:/etc/a.png"]
)
def test_files_of_this_machine_cannot_be_named(web: WebServer, uri: str) -> None:
    manifest = web.put("/m.txt", f"b.png\n{uri}\n".encode())
    with pytest.raises(InputError, match=r"m\.txt:2: .* is on this machine; a list on the web may"):
        uris_in(manifest)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(status=404), "404 Not Found"),
        (Answer(status=403), "403 Forbidden"),
        (Answer(status=500), "500 Internal"),
        (Answer(b"a.png", fault="short"), "only 5 of 105 bytes came"),
        (
            Answer(b"a.png", headers={"Content-Length": "9999999999999"}),
            "more bytes than the 4,294",
        ),
        (redirect("file:///etc/passwd"), "leads to file:"),
    ],
)
def test_what_cannot_be_read_is_told(web: WebServer, answer: Answer, message: str) -> None:
    uri = web.put("/m.txt", answer)
    with pytest.raises(InputError, match=message):
        manifest_schema(uri, [], allow_private_hosts=True)


def test_a_server_that_fails_once_is_asked_again(web: WebServer) -> None:
    uri = web.put("/m.txt", Answer(status=503, headers={"Retry-After": "0"}), Answer(b"a.png"))
    assert uris_in(uri) == [f"{web.url}/a.png"]


def test_robots_txt_and_private_addresses_hold_for_lists(web: WebServer) -> None:
    uri = web.put("/m.txt", b"a.png")
    with pytest.raises(InputError, match="is no public address; a run reads it with --allow"):
        manifest_schema(uri, [])
    assert web.server.requests == []
    web.put("/robots.txt", b"User-agent: *\nDisallow: /")
    with pytest.raises(InputError, match=r"robots\.txt asks programs not to fetch it"):
        manifest_schema(uri, [], allow_private_hosts=True)
    assert web.requests == []


def test_one_that_has_lost_a_column_since_the_peek_is_refused(web: WebServer) -> None:
    uri = web.put("/m.csv", b"uri,label\na.png,3\n", b"uri\na.png\n")
    carried = manifest_schema(uri, ["label"], allow_private_hosts=True)
    with pytest.raises(InputError, match="no column 'label'"):
        list(read_manifest(uri, carried, None, allow_private_hosts=True))
