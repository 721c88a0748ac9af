import datetime
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tfx_bsl.coders import example_coder

from transforms.errors import OutputError
from transforms.files import protobuf_examples, tf_examples
from transforms.files.tf_examples import BYTES, FLOATS, INTEGERS, ExampleDecoder, encode_examples

CODERS = {"tfx-bsl": example_coder, "protobuf": protobuf_examples}
NAMES = ("ExamplesToRecordBatchDecoder", "RecordBatchToExamplesEncoder")

FEATURES = {"image": BYTES, "size": INTEGERS, "weight": FLOATS}


@pytest.fixture(params=CODERS, autouse=True)
def coder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Takes each of the two coders in turn."""
    chosen = CODERS[request.param]
    for name in NAMES:
        monkeypatch.setattr(tf_examples, name, getattr(chosen, name))
    return chosen


def example(**features: list[bytes] | list[int] | list[float]) -> bytes:
    made = tf.train.Example()
    for name, values in features.items():
        feature = made.features.feature[name]
        match values[0]:
            case bytes():
                feature.bytes_list.value.extend(values)
            case int():
                feature.int64_list.value.extend(values)
            case float():
                feature.float_list.value.extend(values)
    return made.SerializeToString()


def to_dict(serialized: bytes) -> dict[str, list]:
    features = tf.train.Example.FromString(serialized).features.feature
    return {
        name: list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value)
        for name, feature in features.items()
    }


def test_features_become_lists_and_missing_ones_null() -> None:
    table, errors = ExampleDecoder(FEATURES).decode(
        [
            example(image=[b"x", b"y"], size=[-1, 2**62], weight=[0.5], other=[b"z"]),
            example(size=[3]),
            b"",
        ]
    )
    assert errors == {}
    assert table.to_pylist() == [
        {"image": [b"x", b"y"], "size": [-1, 2**62], "weight": [0.5]},
        {"image": None, "size": [3], "weight": None},
        {"image": None, "size": None, "weight": None},
    ]


@pytest.mark.parametrize("bad", [[0], [6], [2, 3], [0, 2, 4, 6], list(range(7)), []])
def test_a_bad_record_costs_itself_alone(bad: list[int]) -> None:
    records = [example(size=[n]) for n in range(7)]
    for position in bad:
        records[position] = b"\xff garbage"
    table, errors = ExampleDecoder(FEATURES).decode(records)
    assert sorted(errors) == bad
    assert all("Unable to parse" in error for error in errors.values())
    expected = [None if n in bad else [n] for n in range(7)]
    assert table["size"].to_pylist() == expected


def test_a_feature_of_another_kind_costs_its_record() -> None:
    table, errors = ExampleDecoder(FEATURES).decode([example(size=[1]), example(size=[b"1"])])
    assert table["size"].to_pylist() == [[1], None]
    assert '"size"' in errors[1]


def test_no_records_make_no_rows() -> None:
    table, errors = ExampleDecoder(FEATURES).decode([])
    assert (table.num_rows, table.column_names, errors) == (0, list(FEATURES), {})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["é", None]), [["é".encode()], []]),
        (pa.array([b"x", b""]), [[b"x"], [b""]]),
        (pa.array([b"xy", None], pa.large_binary()), [[b"xy"], []]),
        (pa.array([3, None], pa.int32()), [[3], []]),
        (pa.array([True, False]), [[1], [0]]),
        (pa.array([0.5, None], pa.float16()), [[0.5], []]),
        (pa.array([0.1, None]), [[float(np.float32(0.1))], []]),
        (pa.array([np.inf, 2.0**24]), [[np.inf], [2.0**24]]),
        (pa.array([[1, 2], []], pa.list_(pa.int32())), [[1, 2], []]),
        (pa.array([["a", "b"], None], pa.large_list(pa.string())), [[b"a", b"b"], []]),
        (pa.array([[0.5, 1], [2, 4]], pa.list_(pa.float16(), 2)), [[0.5, 1], [2, 4]]),
        (pa.array(["a", "b"]).dictionary_encode(), [[b"a"], [b"b"]]),
        (pa.nulls(2), [[], []]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_column_becomes_a_feature(column: pa.Array, expected: list[list]) -> None:
    rows = pa.record_batch({"first": ["x", "y"], "c": column})
    for part in (rows, pa.concat_batches([rows, rows]).slice(2)):
        examples = encode_examples(part)
        assert [to_dict(item) for item in examples] == [
            {"first": [b"x"], "c": expected[0]},
            {"first": [b"y"], "c": expected[1]},
        ]


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        (pa.array([datetime.datetime(2026, 1, 1)]), "timestamp"),
        (pa.array([{"a": 1}]), "struct"),
        (pa.array([[[1]]]), "list<item: list"),
        (pa.array([2**63], pa.uint64()), "cannot hold"),
        (pa.array([None, 123456789.0]), "123456789 would be rounded"),
        (pa.array([[0.5], [1e300]]), "would be rounded"),
    ],
    ids=str,
)
def test_a_column_that_no_feature_holds_is_named(column: pa.Array, complaint: str) -> None:
    with pytest.raises(OutputError, match=complaint) as caught:
        encode_examples(pa.record_batch({"odd": column}))
    assert "'odd'" in str(caught.value)
    assert "--output_format=parquet" in str(caught.value)


def test_the_same_rows_always_give_the_same_bytes() -> None:
    rows = pa.record_batch({f"feature {n}": [n, n * 2**20] for n in range(12)})
    encoded = {tuple(encode_examples(rows)) for _ in range(30)}
    assert len(encoded) == 1
    (examples,) = encoded
    assert to_dict(examples[1]) == {f"feature {n}": [n * 2**20] for n in range(12)}


def test_long_features_survive_the_ordering() -> None:
    vector = np.arange(5000, dtype=np.float32)
    rows = pa.record_batch({"z": [vector], "a": ["x" * 300], "m": [b"y" * 20_000]})
    (encoded,) = encode_examples(rows)
    assert to_dict(encoded) == {"z": vector.tolist(), "a": [b"x" * 300], "m": [b"y" * 20_000]}


def test_no_columns_make_empty_examples() -> None:
    rows = pa.record_batch({"a": ["x"]}).select([])
    assert encode_examples(rows) in ([b""], [])


def test_the_features_of_one_record_are_told(coder: ModuleType) -> None:
    found = coder.ExampleToNumpyDict(example(i=[1, -(2**63)], f=[0.5], b=[b"x", b""]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "i": [1, -(2**63)],
        "f": [0.5],
        "b": [b"x", b""],
    }
    assert {name: values.dtype.kind for name, values in found.items()} == {
        "i": "i",
        "f": "f",
        "b": "O",
    }
    empty = tf.train.Example()
    empty.features.feature["nothing"].SetInParent()
    assert coder.ExampleToNumpyDict(empty.SerializeToString()) == {"nothing": None}
    with pytest.raises(RuntimeError, match="parse"):
        coder.ExampleToNumpyDict(b"\xff garbage")


def test_all_features_of_records_are_found(coder: ModuleType) -> None:
    decoder = coder.ExamplesToRecordBatchDecoder()
    found = decoder.DecodeBatch([example(b=[b"x"]), example(i=[1]), b""])
    assert found.to_pydict() == {"b": [[b"x"], None, None], "i": [None, [1], None]}
    with pytest.raises(RuntimeError, match="bytes_list"):
        decoder.DecodeBatch([example(b=[b"x"]), example(b=[1])])


def test_both_coders_write_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.record_batch(
        {
            "id": ["a", "é", None],
            "vector": pa.array([[0.5, -1e30], [], None], pa.list_(pa.float32())),
            "label": [-1, 2**40, None],
        }
    )
    written = []
    for chosen in CODERS.values():
        monkeypatch.setattr(
            tf_examples, "RecordBatchToExamplesEncoder", chosen.RecordBatchToExamplesEncoder
        )
        written.append(encode_examples(rows))
    assert written[0] == written[1]
