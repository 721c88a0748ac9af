"""The forms in which people have lists of images, as their tools write them."""

import gzip
import io
import json
import pathlib
import tracemalloc

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cloud import Cloud
from transforms.errors import InputError
from transforms.inputs.manifest_text import MAX_LINE_BYTES
from transforms.inputs.manifests import manifest_schema, read_manifest
from transforms.records import ImageRef

NOTHING = pa.schema([])
FRAME = pd.DataFrame({"uri": ["/x/ä b.jpg", "/x/2.jpg"], "label": ['one; "two", | three', "é"]})
WANTED = [ImageRef(uri, uri, carried=(label,)) for uri, label in FRAME.itertuples(index=False)]
PLAIN = "/x/1.jpg\n/x/2.jpg\n"
GZIP_BOMB = gzip.compress((b" " * 9999 + b"\n") * 9000, 9)


def write(path: pathlib.Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def uris_in(manifest: str, uri_column: str | None = None) -> list[str]:
    manifest_schema(manifest, [], uri_column=uri_column)
    return [ref.uri for ref in read_manifest(manifest, NOTHING, None, uri_column=uri_column)]


def as_csv(encoding: str, **options: str) -> bytes:
    return FRAME.to_csv(index=False, **options).encode(encoding)


def as_json(**options: object) -> bytes:
    text = FRAME.to_json(orient="records", **options)
    assert isinstance(text, str)
    return text.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("excel.csv", as_csv("utf-8-sig", lineterminator="\r\n")),
        ("excel in German.csv", as_csv("utf-8-sig", sep=";", lineterminator="\r\n")),
        ("excel in Unicode.csv", as_csv("utf-16", sep="\t", lineterminator="\r\n")),
        ("big endian.csv", b"\xfe\xff" + as_csv("utf-16-be")),
        ("tabs.csv", as_csv("utf-8", sep="\t")),
        ("bars.csv", as_csv("utf-8", sep="|")),
        ("m.tsv", as_csv("utf-8", sep="\t")),
        ("m.csv.gz", gzip.compress(as_csv("utf-8"))),
        (
            "members.CSV.GZ",
            b"".join(gzip.compress(line) for line in as_csv("utf-8").splitlines(True)),
        ),
        ("m.tsv.gz", gzip.compress(as_csv("utf-16", sep="\t"))),
        ("unpacked by its server.csv.gz", as_csv("utf-8")),
        ("packed.csv", gzip.compress(as_csv("utf-8"))),
        ("m.jsonl", as_json(lines=True)),
        ("m.jsonl.gz", gzip.compress(as_json(lines=True))),
        ("m.ndjson", as_json(lines=True)),
        ("m.json", as_json()),
        ("indented.json", as_json(indent=4, force_ascii=False)),
        ("powershell.json", b"\xff\xfe" + as_json(indent=2).decode().encode("utf-16-le")),
        ("spark.json", as_json(lines=True)),
        ("m.json.gz", gzip.compress(as_json())),
    ],
)
def test_each_form_says_the_same(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    uri = write(tmp_path / name, content)
    carried = manifest_schema(uri, ["label"])
    assert carried == pa.schema([("label", pa.string())])
    assert list(read_manifest(uri, carried, None)) == WANTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.txt.gz", gzip.compress(PLAIN.encode())),
        ("m.txt", PLAIN.replace("\n", "\r\n").encode("utf-16")),
    ],
)
def test_text_may_be_packed_or_utf_16(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    assert uris_in(write(tmp_path / name, content)) == ["/x/1.jpg", "/x/2.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
)
def test_text_in_parquet_may_be_of_any_type(tmp_path: pathlib.Path, text: pa.DataType) -> None:
    uri = str(tmp_path / "m.parquet")
    columns = {name: pa.array(FRAME[name].to_list(), text) for name in FRAME}
    pq.write_table(pa.table(columns), uri)
    carried = manifest_schema(uri, ["label"])
    assert list(read_manifest(uri, carried, None)) == WANTED


def test_a_json_array_may_be_longer_than_a_piece_and_is_never_held_whole(
    tmp_path: pathlib.Path,
) -> None:
    rows = [{"uri": f"/x/{n}.jpg", "n": n, "text": "ä" * (n % 3000)} for n in range(5000)]
    wanted = [ImageRef(f"/x/{n}.jpg", f"/x/{n}.jpg", carried=(n,)) for n in range(5000)]
    uri = write(tmp_path / "m.json", json.dumps(rows, ensure_ascii=False))
    carried = manifest_schema(uri, ["n"])
    assert carried == pa.schema([("n", pa.int64())])
    tracemalloc.start()
    found = sum(
        ref == expected
        for ref, expected in zip(read_manifest(uri, carried, None), wanted, strict=True)
    )
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 5000
    assert peak_bytes < 4 << 20 < pathlib.Path(uri).stat().st_size


@pytest.mark.parametrize(
    ("name", "content"), [("m.json", "[]"), ("m.json", ""), ("m.jsonl", ""), ("m.json.gz", "[ ]\n")]
)
def test_a_list_in_json_may_be_empty(tmp_path: pathlib.Path, name: str, content: str) -> None:
    assert uris_in(write(tmp_path / name, content)) == []


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("uri;size, px", "uri, size, px"),
        ("uri,text (en|de)", "uri, text (en|de)"),
        ('"uri",a;b|c', "uri, a;b|c"),
        ("\r\nurl|a,b;c", "url, a,b;c"),
        ("uri", "uri"),
    ],
)
def test_where_several_may_separate_fields_it_is_the_one_beside_the_uri(
    tmp_path: pathlib.Path, header: str, columns: str
) -> None:
    uri = write(tmp_path / "m.csv", f"{header}\n")
    with pytest.raises(InputError) as caught:
        manifest_schema(uri, ["none"])
    assert str(caught.value) == f"{uri}: no column 'none', or several; it has {columns}"


def test_the_column_of_uris_may_be_named(tmp_path: pathlib.Path) -> None:
    manifest = write(tmp_path / "m.csv", "file_name;label,2;uri\n1.jpg;x;y\n")
    assert uris_in(manifest, "file_name") == [f"{tmp_path}/1.jpg"]
    assert uris_in(manifest) == [f"{tmp_path}/y"]


@pytest.mark.parametrize(
    ("name", "content", "uri_column", "complaint"),
    [
        ("m.csv", "a,b\n", None, "no column 'uri', .* it has a, b; --uri_column says which one"),
        ("m.csv", "uri,b\n", "path", "no column 'path', .* it has uri, b; --uri_column says"),
        ("m.txt", PLAIN, "path", "no column 'path', or several; it has uri"),
        ("m.csv", "uri;a,url\n", None, "separated by a comma or by a semicolon, as either gives"),
        ("m.parquet.gz", "", None, "unknown format '.gz'; wanted .txt, .*all but Parquet may be"),
        ("m.csv.zst", "", None, "unknown format '.zst'; wanted .txt, "),
        ("m.txt", "a.jpg\n".encode("utf-32"), None, "as UTF-32 has, .* save it as UTF-8"),
        (
            "m.csv",
            "uri\nä".encode("utf-16") + b"\0",
            None,
            "none after byte 13: truncated data; save",
        ),
        ("m.csv", b"uri\ncaf\xe9.jpg", None, "m.csv:2: not UTF-8: .*; save it as UTF-8"),
        ("m.json", b'[{"uri": "caf\xe9.jpg"}]', None, "m.json: not UTF-8: .*; save it as UTF-8"),
        ("m.txt.gz", gzip.compress(PLAIN.encode())[:-9], None, "damaged gzip: .*put the whole"),
        ("m.txt.gz", gzip.compress(PLAIN.encode())[:12] + b"\xff" * 9, None, "damaged gzip: "),
        ("m.txt.gz", gzip.compress(PLAIN.encode()) + b"more", None, "damaged gzip: "),
        ("m.txt.gz", GZIP_BOMB, None, "its gzip gives more than 200 times its bytes"),
        ("m.txt.gz", gzip.compress(bytes(9 << 20)), None, "begins with zero bytes"),
        ("m.csv.gz", gzip.compress(b"x" * (9 << 20)), None, "m.csv.gz:1: longer than 1,048,576"),
        ("m.json", "7", None, "row 0: not a JSON object: begins with '7'; wanted an array of"),
        ("m.json", '["a.jpg"]', None, "row 0: not a JSON object: begins with '\"'; wanted an arr"),
        ("m.json", '[{"uri": "a"} {"uri": "b"}]', None, "row 1: not JSON: got '{', wanted , or ]"),
        ("m.json", '[{"uri": "a"},', None, "row 1: not a JSON object: begins with ''"),
        ("m.json", '[{"uri": "a"}', None, "row 1: not JSON: got 'the end', wanted , or ]"),
        ("m.json", '[{"uri": "a"}, {"uri": ', None, "row 1: not JSON: Expecting value"),
        ("m.json", '[{"uri": "a"}]]', None, "not JSON: got ']' after the array"),
        ("m.json", '{"images": [{"file_name": "a"}]}', None, "no column 'uri', .* it has images"),
        ("m.json", '{"a": "' + "x" * (2 << 20) + '"}', None, "row 0: no JSON object in 1,048,576"),
        ("m.json", '[{"a": ' * 100_000, None, "row 0: (no JSON object in|not JSON)"),
        ("m.json", '[{"a": ' + "9" * 9999 + "}]", None, "row 0: not JSON: Exceeds the limit"),
    ],
)
def test_what_stays_refused_is_told(
    tmp_path: pathlib.Path,
    name: str,
    content: str | bytes,
    uri_column: str | None,
    complaint: str,
) -> None:
    manifest = write(tmp_path / name, content)
    with pytest.raises(InputError, match=complaint) as caught:
        uris_in(manifest, uri_column)
    assert manifest in str(caught.value)


def test_a_bomb_costs_little_memory(tmp_path: pathlib.Path) -> None:
    objects = gzip.compress(b"[" + b" " * (80 << 20), 9)
    for name, content in (("m.jsonl.gz", GZIP_BOMB), ("m.json.gz", objects)):
        manifest = write(tmp_path / name, content)
        tracemalloc.start()
        with pytest.raises(InputError, match="if you trust it, unpack it"):
            uris_in(manifest)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < 2 * MAX_LINE_BYTES


def test_a_packed_list_is_read_from_a_store(cloud: Cloud) -> None:
    manifest = cloud.put("lists/m.csv.gz", gzip.compress(b"url;n\na.jpg;3\n"))
    image = f"{cloud.uri}/lists/a.jpg"
    schema = manifest_schema(manifest, ["n"])
    assert list(read_manifest(manifest, schema, None)) == [ImageRef(image, image, carried=("3",))]


def test_parquet_of_bytes_is_refused_by_its_value(tmp_path: pathlib.Path) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"uri": [b"a.jpg"]}), file)
    manifest = write(tmp_path / "m.parquet", file.getvalue())
    with pytest.raises(InputError, match=r"row 0: 'uri' is b'a.jpg'; wanted a string"):
        uris_in(manifest)


@pytest.mark.parametrize(
    ("uri_column", "column"),
    [
        ("image", [{"bytes": None, "path": "a.jpg"}, {"bytes": None, "path": "/b.jpg"}]),
        ("image.path", [{"bytes": None, "path": "a.jpg"}, {"bytes": None, "path": "/b.jpg"}]),
        ("image.at.url", [{"at": {"url": "a.jpg"}}, {"at": {"url": "/b.jpg"}}]),
        ("uri", [{"id": 1}, {"id": 2}]),
    ],
)
def test_uris_may_be_inside_of_columns_of_parquet(
    tmp_path: pathlib.Path, uri_column: str, column: list
) -> None:
    table = pa.table({"image": column, "meta": [{"label": "x"}] * 2, "uri": ["a.jpg", "/b.jpg"]})
    pq.write_table(table, tmp_path / "m.parquet")
    manifest = str(tmp_path / "m.parquet")
    carried = manifest_schema(manifest, ["meta.label"], uri_column=uri_column)
    assert carried == pa.schema([("meta.label", pa.string())])
    refs = list(read_manifest(manifest, carried, None, uri_column=uri_column))
    assert [ref.uri for ref in refs] == [f"{tmp_path}/a.jpg", "/b.jpg"]
    assert [ref.carried for ref in refs] == [("x",), ("x",)]
    with pytest.raises(InputError, match=r"no column 'image.x', .* it has image, meta, uri, image"):
        manifest_schema(manifest, [], uri_column="image.x")


def test_a_manifest_that_holds_images_is_told_from_one_of_paths(tmp_path: pathlib.Path) -> None:
    pq.write_table(pa.table({"image": [{"bytes": b"x", "path": "a.jpg"}]}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match=r"row 0: 'image' holds the image's bytes; .* as --input"):
        list(read_manifest(str(tmp_path / "m.parquet"), pa.schema([]), None, uri_column="image"))


def test_rows_of_one_image_have_their_place_in_the_list(tmp_path: pathlib.Path) -> None:
    (tmp_path / "m.csv").write_text("uri,image_id\na.jpg,x\nb.jpg,y\na.jpg,z\n")
    refs = list(read_manifest(str(tmp_path / "m.csv"), pa.schema([]), "filename#row"))
    assert [(ref.image_id, ref.row) for ref in refs] == [("a.jpg", 0), ("b.jpg", 1), ("a.jpg", 2)]
    by_default = list(read_manifest(str(tmp_path / "m.csv"), pa.schema([]), None))
    assert [(ref.image_id, ref.row) for ref in by_default] == [
        ("x", None),
        ("y", None),
        ("z", None),
    ]
