import json
import os
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.errors import InputError
from transforms.inputs.manifest_text import MAX_LINE_BYTES
from transforms.inputs.manifests import check_typed, manifest_schema, read_manifest, resolve_uri
from transforms.records import ImageRef

TEXT = pa.schema([("label", pa.string())])
NOTHING = pa.schema([])

STRAY_QUOTES = 'uri\tlabel\na.jpg\t1 "fine"\n\nb.jpg\t"Look\nc.jpg\tx\nd.jpg\tok"\ne.jpg\ty\n'
"""Of text that nobody put quotes around."""


def write(path: pathlib.Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_a_txt_manifest_is_a_uri_a_line(tmp_path: pathlib.Path) -> None:
    uri = write(tmp_path / "m.txt", "\ufeffa b.jpg\r\n\n  /abs/c.jpg \ngs://b/#d.jpg\n#e.jpg")
    assert manifest_schema(uri, []) == NOTHING
    expected = [f"{tmp_path}/a b.jpg", "/abs/c.jpg", "gs://b/#d.jpg", f"{tmp_path}/#e.jpg"]
    assert list(read_manifest(uri, NOTHING, None)) == [ImageRef(it, it) for it in expected]


def test_uris_of_local_files_are_paths_as_spark_and_python_write_them(
    tmp_path: pathlib.Path,
) -> None:
    uris = ["file:///My%20Photos/a%20b.jpg", "file:/c.jpg", "file://localhost/d.jpg", "e%20f.jpg"]
    manifest = write(tmp_path / "m.txt", "\n".join(uris))
    expected = ["/My Photos/a b.jpg", "/c.jpg", "/d.jpg", f"{tmp_path}/e%20f.jpg"]
    assert [ref.uri for ref in read_manifest(manifest, NOTHING, None)] == expected


def test_urls_of_the_web_stay_as_they_are_given(tmp_path: pathlib.Path) -> None:
    urls = ["HTTPS://example.com/a%20b.jpg?w=1&h=2#top", "http://b.example/photo"]
    manifest = write(tmp_path / "m.txt", "\n".join(urls))
    assert list(read_manifest(manifest, NOTHING, None)) == [ImageRef(it, it) for it in urls]


@pytest.mark.parametrize("name", ["url", "URL"])
def test_lists_of_img2dataset_and_laion_are_manifests(tmp_path: pathlib.Path, name: str) -> None:
    urls = ["https://a.example/1.jpg", "https://a.example/2"]
    table = pa.table({"SAMPLE_ID": [7, 8], name: urls, "TEXT": ["a cat", None]})
    pq.write_table(table, tmp_path / "m.parquet")
    manifest = str(tmp_path / "m.parquet")
    carried = manifest_schema(manifest, ["TEXT", name])
    assert list(read_manifest(manifest, carried, "SAMPLE_ID")) == [
        ImageRef("7", urls[0], carried=("a cat", urls[0])),
        ImageRef("8", urls[1], carried=(None, urls[1])),
    ]


def test_a_column_uri_goes_before_url(tmp_path: pathlib.Path) -> None:
    manifest = write(tmp_path / "m.csv", "url,uri\nhttps://a.example/1.jpg,/x/1.jpg\n")
    manifest_schema(manifest, [])
    assert [ref.uri for ref in read_manifest(manifest, NOTHING, None)] == ["/x/1.jpg"]


def test_a_csv_manifest_may_have_quotes_newlines_and_a_byte_order_mark(
    tmp_path: pathlib.Path,
) -> None:
    uri = write(
        tmp_path / "m.CSV",
        '\ufeffuri,label,other\r\na.jpg,"one, ""two""\r\nthree",x\r\n\r\nb/../c.jpg,,y\r\n',
    )
    assert manifest_schema(uri, ["label"]) == TEXT
    a, c = f"{tmp_path}/a.jpg", f"{tmp_path}/c.jpg"
    assert list(read_manifest(uri, TEXT, None)) == [
        ImageRef(a, a, carried=('one, "two"\r\nthree',)),
        ImageRef(c, c, carried=("",)),
    ]


def test_a_field_may_be_as_long_as_a_line(tmp_path: pathlib.Path) -> None:
    mask = "1 2 " * 200_000
    uri = write(tmp_path / "m.csv", f"uri,label\na.jpg,{mask}\n")
    assert [ref.carried for ref in read_manifest(uri, TEXT, None)] == [(mask,)]


def test_a_field_in_quotes_of_a_tsv_may_hold_line_ends_or_tabs(tmp_path: pathlib.Path) -> None:
    uri = write(tmp_path / "m.tsv", 'uri\tlabel\na.jpg\t"one\ntwo"\nb.jpg\t"one\ttwo"\n')
    assert [ref.carried for ref in read_manifest(uri, TEXT, None)] == [("one\ntwo",), ("one\ttwo",)]


def test_a_jsonl_manifest_has_the_types_of_its_first_rows(tmp_path: pathlib.Path) -> None:
    rows = [
        {"uri": "a.jpg", "s": "x", "i": 1, "f": 1, "b": True, "list": [1], "none": None},
        {"uri": "b.jpg", "s": None, "f": 2.5, "late": 7, "mixed": "x"},
        {"uri": "c.jpg", "mixed": 1},
    ]
    uri = write(tmp_path / "m.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    schema = manifest_schema(uri, ["s", "i", "f", "b", "late"])
    assert schema == pa.schema(
        [
            ("s", pa.string()),
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("b", pa.bool_()),
            ("late", pa.int64()),
        ]
    )
    assert [ref.carried for ref in read_manifest(uri, schema, None)] == [
        ("x", 1, 1, True, None),
        (None, None, 2.5, None, 7),
        (None, None, None, None, None),
    ]
    for name in ("list", "none", "mixed"):
        with pytest.raises(InputError, match=f"'{name}' cannot be carried"):
            check_typed([uri], manifest_schema(uri, [name]))


def test_a_parquet_manifest_keeps_its_types(tmp_path: pathlib.Path) -> None:
    uri = str(tmp_path / "m.parquet")
    table = pa.table(
        {
            "uri": [f"{n}.jpg" for n in range(2500)],
            "n": pa.array(range(2500), pa.int16()),
            "box": pa.array([[n, n + 1] for n in range(2500)], pa.list_(pa.int32(), 2)),
            "unused": ["x"] * 2500,
        }
    )
    pq.write_table(table, uri, row_group_size=300)
    schema = manifest_schema(uri, ["box", "n"])
    assert schema.types == [pa.list_(pa.int32(), 2), pa.int16()]
    refs = list(read_manifest(uri, schema, "filename"))
    assert [ref.image_id for ref in refs] == [f"{n}.jpg" for n in range(2500)]
    assert refs[2499] == ImageRef("2499.jpg", f"{tmp_path}/2499.jpg", carried=([2499, 2500], 2499))


def test_an_id_that_is_0_is_an_id(tmp_path: pathlib.Path) -> None:
    rows = [{"uri": f"/x/{n}.jpg", "image_id": n} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "m.parquet")
    write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows)))
    for name in ("m.parquet", "m.jsonl"):
        refs = read_manifest(str(tmp_path / name), NOTHING, None)
        assert [ref.image_id for ref in refs] == ["0", "1", "2"]


def test_an_id_may_be_a_uuid(tmp_path: pathlib.Path) -> None:
    keys = [uuid.UUID(int=n) for n in range(2)]
    table = pa.table({"uri": ["/x/0.jpg", "/x/1.jpg"], "image_id": pa.array(keys, pa.uuid())})
    pq.write_table(table, tmp_path / "m.parquet")
    refs = read_manifest(str(tmp_path / "m.parquet"), NOTHING, None)
    assert [ref.image_id for ref in refs] == [str(key) for key in keys]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.jpg", "gs://b/lists/a.jpg"),
        ("./a.jpg", "gs://b/lists/a.jpg"),
        ("../images/a.jpg", "gs://b/images/a.jpg"),
        ("../../../a.jpg", "gs://b/a.jpg"),
        ("d/./e/../a.jpg", "gs://b/lists/d/a.jpg"),
        ("d//a.jpg", "gs://b/lists/d//a.jpg"),
        ("..a.jpg", "gs://b/lists/..a.jpg"),
        ("gs://c/./a.jpg", "gs://c/./a.jpg"),
    ],
)
def test_a_path_in_a_store_is_relative_to_the_manifest(path: str, expected: str) -> None:
    assert resolve_uri(path, "gs://b/lists") == expected
    assert resolve_uri("../a.jpg", "gs://b") == "gs://b/a.jpg"


@pytest.mark.parametrize(
    ("image_id_from", "expected"),
    [
        (None, ["k1", "{folder}/b.jpg"]),
        ("uri", ["{folder}/d/a.jpg", "{folder}/b.jpg"]),
        ("relative_path", ["d/a.jpg", "b.jpg"]),
        ("filename", ["a.jpg", "b.jpg"]),
        ("label", ["7", "x"]),
    ],
)
def test_a_key_comes_from_image_id_or_where_it_is_told(
    tmp_path: pathlib.Path, image_id_from: str | None, expected: list[str]
) -> None:
    rows = [
        {"uri": "d/a.jpg", "image_id": "k1", "label": 7},
        {"uri": "b.jpg", "image_id": "", "label": "x"},
    ]
    uri = write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows)))
    refs = read_manifest(uri, NOTHING, image_id_from)
    assert [ref.image_id for ref in refs] == [it.format(folder=tmp_path) for it in expected]


def test_a_failures_file_is_a_manifest(tmp_path: pathlib.Path) -> None:
    failure = {
        "image_id": "cat",
        "uri": "/photos/cat.jpg",
        "step": "read",
        "error_type": "NotFound",
        "message": 'no such file: "cat.jpg"\n…',
    }
    uri = write(tmp_path / "_failures.jsonl", json.dumps(failure) + "\n")
    schema = manifest_schema(uri, ["error_type"])
    assert list(read_manifest(uri, schema, None)) == [
        ImageRef("cat", "/photos/cat.jpg", carried=("NotFound",))
    ]


@pytest.mark.parametrize(
    ("name", "content", "carry", "complaint"),
    [
        ("m.csv", "path,label\nx,y\n", [], "no column 'uri', or several; it has path, label"),
        ("m.csv", "uri,label\nx,y\n", ["size"], "no column 'size'"),
        ("m.csv", "uri,label,label\nx,y,z\n", ["label"], "or several"),
        ("m.csv", "", [], "it has none"),
        ("m.txt", "x.jpg\n", ["label"], "no column 'label'"),
        ("m.jsonl", '{"path": "x"}\n', [], "no column 'uri'"),
        ("m.jsonl", "[1]\n", [], "m.jsonl:1: not a JSON object"),
        ("m.jsonl", '{"uri": "x"}\n{"uri\n', [], "m.jsonl:2: not JSON"),
        ("m.jsonl", "[" * 100_000, [], "m.jsonl:1: not JSON"),
        ("m.parquet", "uri\nx.jpg\n", [], "damaged Parquet"),
        ("m.xlsx", "", [], r"unknown format '.xlsx'; wanted .txt, .csv, .tsv, .*save it as one"),
        ("m.csv", b"u\x00r\x00i\x00\n\xff", [], "UTF-16 without a byte order mark; wanted UTF-8"),
        ("m.csv", b"ur\xed\n", [], "m.csv:1: not UTF-8: .*; save it as UTF-8"),
    ],
)
def test_a_manifest_that_cannot_work_is_refused_at_launch(
    tmp_path: pathlib.Path, name: str, content: str | bytes, carry: list[str], complaint: str
) -> None:
    uri = write(tmp_path / name, content)
    with pytest.raises(InputError, match=complaint) as caught:
        manifest_schema(uri, carry)
    assert uri in str(caught.value)


def test_a_missing_manifest_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        manifest_schema(f"{tmp_path}/m.csv", [])


@pytest.mark.parametrize(
    ("name", "content", "carried", "complaint"),
    [
        ("m.csv", "uri,label\na.jpg,x\nb.jpg\n", TEXT, "m.csv:3: 1 fields; the header has 2"),
        ("m.csv", "uri,label\na.jpg,x,y\n", TEXT, "m.csv:2: 3 fields"),
        ("m.csv", 'uri,label\na.jpg,"x\nb.jpg,y\n', TEXT, "m.csv:3: unexpected end of data"),
        ("m.csv", 'uri,label\na.jpg,"x"y\n', TEXT, "m.csv:2: "),
        ("m.csv", "uri,label\n,x\n", TEXT, "m.csv:2: 'uri' is ''"),
        ("m.tsv", STRAY_QUOTES, TEXT, "m.tsv:4: a quote that opens here closes in line 6, behind"),
        ("m.csv", STRAY_QUOTES, TEXT, "m.csv:4: a quote that opens here closes in line 6, behind"),
        ("m.csv", "uri,label\n" + "x" * (MAX_LINE_BYTES + 1), TEXT, "m.csv:2: longer than"),
        ("m.csv", 'uri,label\n"' + ("x" * 2**19 + "\n") * 3, TEXT, "m.csv:3: field larger"),
        ("m.txt", b"a.jpg\n\xff.jpg\n", NOTHING, "m.txt:2: not UTF-8"),
        ("m.txt", "x" * (MAX_LINE_BYTES + 1), NOTHING, "m.txt:1: longer than"),
        ("m.jsonl", '{"uri": 1.5}', NOTHING, "m.jsonl:1: 'uri' is 1.5"),
        ("m.jsonl", '{"uri": "\\ud800.jpg"}', NOTHING, "m.jsonl:1: 'uri' is .*surrogates"),
        ("m.jsonl", '{"uri": "x", "label": 1}', TEXT, "m.jsonl:1: 'label' is 1; wanted string"),
    ],
)
def test_a_malformed_row_is_named_by_file_and_line(
    tmp_path: pathlib.Path, name: str, content: str | bytes, carried: pa.Schema, complaint: str
) -> None:
    uri = write(tmp_path / name, content)
    with pytest.raises(InputError, match=complaint):
        list(read_manifest(uri, carried, None))


@pytest.mark.parametrize("value", ["x", 1.5, True, 2**70, [1]])
def test_a_value_that_does_not_fit_an_integer_column_is_named(
    tmp_path: pathlib.Path, value: object
) -> None:
    rows = [{"uri": "a", "n": 1}, {"uri": "b", "n": None}, {"uri": "c", "n": value}]
    uri = write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=r"m\.jsonl:3: 'n' is .*; wanted int64"):
        list(read_manifest(uri, pa.schema([("n", pa.int64())]), None))


def test_a_named_id_column_must_be_there(tmp_path: pathlib.Path) -> None:
    uri = write(tmp_path / "m.csv", "uri\na.jpg\n")
    with pytest.raises(InputError, match="'key' is None"):
        list(read_manifest(uri, NOTHING, "key"))


def test_a_file_whose_name_is_written_in_another_form_of_unicode_is_found(
    tmp_path: pathlib.Path,
) -> None:
    given, stored = "caf\u00e9.jpg", "cafe\u0301.jpg"
    (tmp_path / stored).write_bytes(b"123")
    (tmp_path / "both\u00e9.jpg").write_bytes(b"1")
    (tmp_path / "bothe\u0301.jpg").write_bytes(b"12")
    names = [given, stored, "both\u00e9.jpg", "bothe\u0301.jpg", "absent\u00e9.jpg"]
    manifest = write(tmp_path / "m.txt", "\n".join(names))
    refs = list(read_manifest(manifest, NOTHING, None))
    assert [ref.image_id for ref in refs] == [f"{tmp_path}/{name}" for name in names]
    on_disk = [stored, stored, *names[2:]]
    assert [ref.uri for ref in refs] == [f"{tmp_path}/{name}" for name in on_disk]
    assert [ref.size_bytes for ref in refs] == [3, 3, 1, 2, None]
    version = str((tmp_path / stored).stat().st_mtime_ns)
    assert [ref.version for ref in refs[:2]] == [version, version]


def test_a_file_in_another_form_below_a_name_that_is_not_utf8_stays_one_of_a_file_uri(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "e\u0301.jpg").write_bytes(b"123")
    uri = (folder / "\u00e9.jpg").as_uri()
    (ref,) = read_manifest(write(tmp_path / "m.txt", uri), NOTHING, None)
    assert (ref.image_id, ref.uri) == (uri, (folder / "e\u0301.jpg").as_uri())
