"""Configurations made in Python: values are what the parser makes of them, or refused."""

import pathlib
from typing import Any

import numpy as np
import pytest

from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.refresh_flags import RefreshConfig
from transforms.errors import FlagError

NEEDED: dict[str, Any] = {"input": ("photos/",), "model": "m", "output": "o"}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("image_size", 224, (224, 224)),
        ("image_size", "224x320", (224, 320)),
        ("image_size", [np.int64(224), 320], (224, 320)),
        ("image_size", np.array([224, 320]), (224, 320)),
        ("model", pathlib.Path("m"), "m"),
        ("input", [pathlib.Path("a"), "b"], ("a", "b")),
        ("batch_size", np.int64(8), 8),
        ("batch_size", "auto", "auto"),
        ("max_image_pixels", 1e8, 100_000_000),
        ("max_failed_fraction", np.float32(0.5), 0.5),
        ("antialias", None, None),
        ("deduplicate", np.True_, True),
        ("normalize", np.str_("l2"), "l2"),
    ],
)
def test_a_value_is_taken_as_the_parser_makes_it(name: str, value: object, wanted: object) -> None:
    found = getattr(EmbedConfig(**{**NEEDED, name: value}), name)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("normalize", "L2", r"--normalize must be one of none \| l2, got 'L2'"),
        ("embedding_dtype", "fp16", "--embedding_dtype must be one of .*, got 'fp16'"),
        ("output_format", "Parquet", "--output_format must be one of .*, got 'Parquet'"),
        ("output_format", None, "--output_format must be one of .*, got None"),
        ("input_format", "tar.gz", "--input_format must be one of .*, got 'tar.gz'"),
        ("input", "photos/", "--input must be a tuple of strings, got 'photos/'"),
        ("input", (b"photos/",), "--input must be a string, got b'photos/'"),
        ("model", None, "--model must be a string, got None"),
        ("image_size", (1, 2, 3), r"--image_size: got \(1, 2, 3\), wanted 224 or HEIGHTxWIDTH"),
        ("image_size", 0.5, "--image_size: got 0.5, wanted 224 or HEIGHTxWIDTH"),
        ("batch_size", "many", "--batch_size: got 'many', wanted a number or auto"),
        ("batch_size", None, "--batch_size must be a number or a string, got None"),
        ("calibration_images", True, "--calibration_images must be a number or a string, got True"),
        ("rows_per_file", "100", "--rows_per_file must be a whole number, got '100'"),
        ("rows_per_file", 0.5, "--rows_per_file must be a whole number, got 0.5"),
        ("canary_threshold", "1", "--canary_threshold must be a number, got '1'"),
        ("antialias", "false", "--antialias must be True or False, got 'false'"),
        ("resume", 1, "--resume must be True or False, got 1"),
    ],
)
def test_a_value_that_no_command_line_says_is_refused(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(FlagError, match=message):
        EmbedConfig(**{**NEEDED, name: value})


def test_classify_and_refresh_refuse_such_values_too() -> None:
    with pytest.raises(FlagError, match=r"--activation must be one of .*, got 'Softmax'"):
        ClassifyConfig(**NEEDED, activation="Softmax")
    with pytest.raises(FlagError, match=r"--program must be one of embed \| classify, got 'Embed'"):
        RefreshConfig(input=("photos/",), model="m", output_root="r", program="Embed")
