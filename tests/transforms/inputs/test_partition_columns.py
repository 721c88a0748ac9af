"""What the names of directories say of the images in them."""

import pyarrow as pa
import pytest

from transforms.inputs.partition_columns import carried_values, partition_values


@pytest.mark.parametrize(
    ("uri", "values"),
    [
        ("/d/label=cat/a.jpg", {"label": "cat"}),
        ("s3://b/label=cat/year=2019/x/a.jpg", {"label": "cat", "year": "2019"}),
        ("/d/label=sea%2Flake%20%3D/a.jpg", {"label": "sea/lake ="}),
        ("/d/label=M%C3%BCnchen/a.jpg", {"label": "München"}),
        ("/d/label=München/a.jpg", {"label": "München"}),
        ("/d/a%3Ab=1/a.jpg", {"a:b": "1"}),
        ("/d/label=__HIVE_DEFAULT_PARTITION__/a.jpg", {"label": None}),
        ("/d/label=100%/a.jpg", {"label": "100%"}),
        ("/d/label=/a=b=c/a.jpg", {"label": "", "a": "b=c"}),
        ("/label=cat/label=dog/a.jpg", {"label": "dog"}),
        ("/d/label=cat.jpg", {}),
        ("file:///d/label=caf%E9/a.jpg", {"label": "caf\ufffd"}),
    ],
)
def test_values_are_read_as_spark_writes_them(uri: str, values: dict[str, str | None]) -> None:
    assert partition_values(uri) == values


def test_only_columns_of_strings_are_filled() -> None:
    carried = pa.schema([("n", pa.int64()), ("label", pa.string()), ("x", pa.string())])
    assert carried_values("/label=cat/n=3/a.jpg", carried) == (None, "cat", None)
    assert carried_values("/n=3/a.jpg", carried) == ()
    assert carried_values("/label=cat/a.jpg", pa.schema([])) == ()
