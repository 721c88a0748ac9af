"""What a shard reuses, phase by phase: the worked example of transforms/lifecycle/reuse."""

import dataclasses
import pathlib

import pyarrow as pa
import pytest

from tests.support.batches import NOTHING_CARRIED, read_rows
from transforms.batches import ReusedRows
from transforms.inputs.part import ReadPart
from transforms.lifecycle.gathered_rows import gather_rows
from transforms.lifecycle.refill import Refill
from transforms.lifecycle.reuse import DUPLICATE_OF, ShardReuse
from transforms.records import (
    Change,
    ImageRef,
    Predecessor,
    Shard,
    ShardKey,
    ShardKind,
    WrittenFile,
)
from transforms.runs.data_writer import OutputFile
from transforms.runs.inputs_file import write_inputs
from transforms.schemas import computed_columns, embedding_schema, read_schema

KEY = ShardKey(0, 1)
OUTPUT = embedding_schema(1, "float32", NOTHING_CARRIED, {})


def listed(image_id: str, version: int) -> ImageRef:
    return ImageRef(image_id, f"/photos/{image_id}", 9, str(version))


def output_rows(rows: dict[str, tuple[str, float]]) -> pa.RecordBatch:
    """Makes rows of the output: by image_id, content_sha256 and a vector of one number."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "image_id": image_id, "uri": f"/photos/{image_id}", "content_sha256": content,
                "embedding": [number], "width": 20, "height": 10,
            }
            for image_id, (content, number) in rows.items()
        ],
        schema=OUTPUT,
    )  # fmt: skip


def predecessor(folder: pathlib.Path) -> Predecessor:
    """Writes the run before of the example."""
    rows = output_rows({"a": ("A", 1.0), "b": ("B", 2.0), "c": ("C", 3.0)})
    data = OutputFile(str(folder / "data.parquet"), rows.schema, "parquet")
    data.write(rows)
    refs = tuple(listed(image_id, 1) for image_id in "abc")
    shard = Shard(KEY, ShardKind.IMAGES, refs)
    inputs = write_inputs(str(folder / "inputs.arrow"), shard, (), NOTHING_CARRIED)
    return Predecessor((WrittenFile(data.path, *data.close()),), (inputs,))


def as_read(contents: dict[str, str]) -> ReadPart:
    """Makes what a reader gives, by image_id and content_sha256."""
    rows = pa.RecordBatch.from_pylist(
        [
            {"image_id": image_id, "uri": f"/photos/{image_id}", "content_sha256": content}
            for image_id, content in contents.items()
        ],
        schema=read_schema(NOTHING_CARRIED),
    )
    return ReadPart(rows, tuple(f"bytes of {c}".encode() for c in contents.values()), ())


def kept(part: ReadPart) -> dict[str, list[float]]:
    assert part.reused is not None
    table = part.reused.completed()
    return dict(zip(table["image_id"].to_pylist(), table["embedding"].to_pylist(), strict=True))


def twins(part: ReadPart) -> dict[str, str]:
    assert part.reused is not None
    table = part.reused.duplicates
    return dict(zip(table["image_id"].to_pylist(), table[DUPLICATE_OF].to_pylist(), strict=True))


def changes(part: ReadPart) -> dict[Change, int]:
    assert part.reused is not None
    return dict(part.reused.changes)


def ids(part: ReadPart) -> list[str]:
    return part.rows.column("image_id").to_pylist()


def test_the_example_of_the_module(tmp_path: pathlib.Path) -> None:
    refs = (listed("a", 1), listed("b", 2), listed("d", 1), listed("e", 1))
    shard = Shard(KEY, ShardKind.IMAGES, refs, predecessor=predecessor(tmp_path))
    computed = computed_columns("embeddings")
    reuse = ShardReuse(shard, NOTHING_CARRIED, computed, deduplicate=True)

    to_read, known = reuse.before_reading()
    assert [ref.image_id for ref in to_read.refs] == ["b", "d", "e"]
    assert (ids(known), kept(known), twins(known)) == ([], {"a": [1.0]}, {})
    assert changes(known) == {Change.UNCHANGED: 1, Change.REUSED: 1}

    sifted = reuse.after_reading(as_read({"b": "B", "d": "D", "e": "D"}))
    assert (ids(sifted), sifted.encoded) == (["d"], (b"bytes of D",))
    assert (kept(sifted), twins(sifted)) == ({"b": [2.0]}, {"e": "d"})
    assert changes(sifted) == {
        Change.UNCHANGED: 1, Change.REUSED: 1, Change.NEW: 2, Change.DUPLICATE: 1,
    }  # fmt: skip

    last = reuse.after_the_last()
    assert (ids(last), kept(last), twins(last)) == ([], {}, {})
    assert changes(last) == {Change.DELETED: 1}

    (batch,) = refilled([known, sifted, last], 8)
    assert batch.matched == 4
    assert batch.reused is not None
    rows, failures = gather_rows(
        pa.Table.from_batches([output_rows({"d": ("D", 4.0)})]),
        batch.reused.completed(),
        batch.reused.duplicates,
        (),
        ShardKind.IMAGES,
    )
    expected = {"a": ("A", 1.0), "b": ("B", 2.0), "d": ("D", 4.0), "e": ("D", 4.0)}
    assert rows.to_pylist() == output_rows(expected).to_pylist()
    assert failures == ()


def test_a_run_that_lacks_a_column_gives_no_row_and_is_still_compared(
    tmp_path: pathlib.Path,
) -> None:
    shard = Shard(
        KEY, ShardKind.IMAGES, (listed("a", 1), listed("b", 2)), predecessor=predecessor(tmp_path)
    )
    computed = (*computed_columns("embeddings"), "class_index")
    reuse = ShardReuse(shard, NOTHING_CARRIED, computed, deduplicate=False)
    to_read, known = reuse.before_reading()
    assert [ref.image_id for ref in to_read.refs] == ["a", "b"]
    sifted = reuse.after_reading(as_read({"a": "A", "b": "another"}))
    assert ids(sifted) == ["a", "b"]
    assert changes(sifted) == {Change.UNCHANGED: 1, Change.CHANGED: 1}
    assert changes(reuse.after_the_last()) == {Change.DELETED: 1}
    assert (known.matched, sifted.matched) == (0, 2)


def refilled(parts: list[ReadPart], batch_size: int) -> list[ReadPart]:
    refill = Refill(batch_size)
    return [*(batch for part in parts for batch in refill.add(part)), *refill.rest()]


def part(computed: str, known: str = "") -> ReadPart:
    """Makes a sifted part: letters that need the model, and letters that are known."""
    rows = pa.Table.from_batches([read_rows(*known)])
    return ReadPart(
        read_rows(*computed),
        tuple(letter.encode() for letter in computed),
        (),
        ReusedRows(rows, rows.slice(0, 0), {Change.REUSED: len(known)} if known else {}),
    )


@pytest.mark.parametrize(
    ("batch_size", "full"),
    [
        (3, [("ADE", "bc"), ("FI", "gh")]),
        (2, [("AD", "bc"), ("EF", "gh"), ("I", "")]),
        (9, [("ADEFI", "bcgh")]),
    ],
)
def test_what_is_left_of_parts_is_given_to_the_model_in_full_batches(
    batch_size: int, full: list[tuple[str, str]]
) -> None:
    parts = [part("A", "bc"), part("DE"), part("F", "gh"), part("I")]
    batches = list(refilled(parts, batch_size))
    reused = [batch.reused for batch in batches]
    assert [
        ("".join(ids(batch)), "".join(r.kept["image_id"].to_pylist()))
        for batch, r in zip(batches, reused, strict=True)
        if r is not None
    ] == full
    assert [batch.encoded for batch in batches] == [
        tuple(letter.encode() for letter in letters) for letters, _ in full
    ]
    assert [r.changes.get(Change.REUSED, 0) for r in reused if r] == [len(k) for _, k in full]


def test_what_no_listing_tells_is_known_from_the_run_before(tmp_path: pathlib.Path) -> None:
    before = predecessor(tmp_path)
    refs = tuple(
        ImageRef(image_id, uri)
        for image_id, uri in {"a": "/photos/a", "b": "/moved/b", "d": "/photos/d"}.items()
    )
    shard = Shard(KEY, ShardKind.IMAGES, refs, predecessor=before)
    reuse = ShardReuse(shard, NOTHING_CARRIED, computed_columns("embeddings"), deduplicate=False)
    to_read, _ = reuse.before_reading()
    assert to_read.refs == (ImageRef("a", "/photos/a", None, "1", (), "A"), *refs[1:])
    assert reuse.kept_versions == {}
    completed = dataclasses.replace(
        shard, predecessor=dataclasses.replace(before, keeps_all=True, changes={})
    )
    reuse = ShardReuse(
        completed, NOTHING_CARRIED, computed_columns("embeddings"), deduplicate=False
    )
    to_read, _ = reuse.before_reading()
    assert to_read.refs == (refs[2],)
    assert reuse.kept_versions == {"a": "1", "b": None}
    other = dataclasses.replace(
        shard, predecessor=dataclasses.replace(before, has_same_recipe=False)
    )
    reuse = ShardReuse(other, NOTHING_CARRIED, computed_columns("embeddings"), deduplicate=False)
    assert reuse.before_reading()[0].refs == refs
