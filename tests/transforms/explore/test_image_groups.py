"""Images grouped for colours: by what their run carried, in either format."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import run_embed, solid
from transforms.explore.image_groups import group_images
from transforms.runs.rows import open_run


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_carried_text_is_text_in_either_format(
    tmp_path: pathlib.Path, mean_color: str, output_format: str
) -> None:
    images = [solid(number, 0, 0) for number in range(4)]
    table = pa.table({"image": images, "side": ["left", None, "right", "left"]})
    pq.write_table(table, tmp_path / "in.parquet")
    flags = ["--input", str(tmp_path / "in.parquet"), "--carry_columns", "side"]
    assert run_embed(mean_color, tmp_path / "run", *flags, "--output_format", output_format) == 0
    groups = group_images(open_run(str(tmp_path / "run")), np.arange(4))
    assert groups.meaning == "the column side"
    assert groups.names == ("left", "none", "right")
    assert groups.group_of == ("left", "none", "right", "left")
