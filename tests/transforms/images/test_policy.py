import json
import pickle
import subprocess
import sys
from typing import Any

import pytest

from transforms.errors import FlagError
from transforms.images.placement import Box, crop_box, pad_box
from transforms.images.policy import LIMITS, Preprocessing


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size": (0, 5)}, "--image_size .* got 0x5"),
        ({"image_size": (5, 70_000)}, "--image_size .* got 5x70000"),
        ({"crop_fraction": 0.0}, "--crop_fraction .* got 0"),
        ({"crop_fraction": 1.5}, "--crop_fraction .* got 1.5"),
        ({"crop_fraction": float("nan")}, "--crop_fraction .* got nan"),
        ({"resize_mode": "stretch"}, "--resize_mode .*squash crop pad.* got stretch"),
        ({"interpolation": "cubic"}, "--interpolation .*bicubic.* got cubic"),
        ({"input_range": "0,2"}, "--input_range .*imagenet.* got 0,2"),
        ({"dtype": "int8"}, "--dtype .*float32.* got int8"),
        ({"color_profile": "p3"}, "--color_profile .*ignore srgb.* got p3"),
        ({"exif": "yes"}, "--exif .*apply ignore.* got yes"),
        ({"decode": "quick"}, "--decode .*exact fast.* got quick"),
        ({"decode": "fast", "interpolation": "area"}, "--decode fast .* --interpolation area"),
        ({"max_image_pixels": 0}, "--max_image_pixels .* got 0"),
        ({"max_image_bytes": -1}, "--max_image_bytes .* got -1"),
        ({"max_image_seconds": 0.0}, "--max_image_seconds .* got 0"),
        ({"max_image_seconds": float("nan")}, "--max_image_seconds .* got nan"),
        ({"antialias": True, "interpolation": "nearest"}, "--antialias .* --interpolation nearest"),
    ],
)
def test_a_policy_that_cannot_work_names_the_flag_and_the_value(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(FlagError, match=words):
        Preprocessing(**{"image_size": (224, 224), **values})


def test_policy_survives_pickling_and_json() -> None:
    policy = Preprocessing(image_size=(224, 320), resize_mode="pad")
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert json.loads(json.dumps(policy.to_dict())) == policy.to_dict()
    assert policy.to_dict()["image_size"] == [224, 320]


def test_the_time_limit_is_no_part_of_what_a_run_is_compared_by() -> None:
    quick, slow = (Preprocessing(image_size=(2, 2), max_image_seconds=n) for n in (0.5, 500))
    assert quick.to_dict() == slow.to_dict()


CHANGED: list[dict[str, Any]] = [
    {"image_size": (320, 224)},
    {"resize_mode": "crop"},
    {"crop_fraction": 0.9},
    {"interpolation": "area"},
    {"antialias": True},
    {"input_range": "-1,1"},
    {"dtype": "float16"},
    {"exif": "ignore"},
    {"decode": "fast"},
    {"color_profile": "srgb"},
    {"box_margin": 0.0},
]


def test_every_field_but_the_limits_changes_the_fingerprint() -> None:
    base: dict[str, Any] = {"image_size": (224, 320)}
    assert Preprocessing(**base).fingerprint() == Preprocessing(**base).fingerprint()
    prints = {Preprocessing(**{**base, **change}).fingerprint() for change in CHANGED}
    assert len(prints - {Preprocessing(**base).fingerprint()}) == len(CHANGED)
    limits: dict[str, Any] = dict.fromkeys([*LIMITS, "max_image_seconds"], 5)
    assert Preprocessing(**base, **limits).fingerprint() == Preprocessing(**base).fingerprint()
    tried = {*limits, *(name for change in CHANGED for name in change)}
    assert tried == set(Preprocessing.__annotations__)


def test_policy_and_header_import_no_tensorflow() -> None:
    program = (
        "import sys, transforms.images.policy, transforms.images.header; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("height", "width", "image_size", "fraction", "box"),
    [
        (256, 256, (224, 224), 0.875, Box(16, 16, 224, 224)),
        (256, 512, (224, 224), 0.875, Box(16, 144, 224, 224)),
        (512, 256, (224, 224), 1.0, Box(128, 0, 256, 256)),
        (100, 100, (50, 100), 1.0, Box(25, 0, 50, 100)),
        (101, 100, (100, 100), 1.0, Box(0, 0, 100, 100)),
        (1, 1, (224, 224), 0.875, Box(0, 0, 1, 1)),
        (1, 9000, (224, 224), 0.875, Box(0, 4499, 1, 1)),
        (3, 2, (300, 1), 0.1, Box(1, 0, 1, 1)),
    ],
)
def test_crop_keeps_the_centred_box(
    height: int, width: int, image_size: tuple[int, int], fraction: float, box: Box
) -> None:
    assert crop_box(height, width, image_size, fraction) == box


@pytest.mark.parametrize(
    ("height", "width", "image_size", "box"),
    [
        (100, 100, (224, 224), Box(0, 0, 224, 224)),
        (100, 200, (224, 224), Box(56, 0, 112, 224)),
        (300, 100, (30, 30), Box(0, 10, 30, 10)),
        (1, 9000, (224, 224), Box(111, 0, 1, 224)),
        (9000, 1, (224, 224), Box(0, 111, 224, 1)),
        (10, 10, (20, 41), Box(0, 10, 20, 20)),
    ],
)
def test_pad_places_the_whole_image_in_the_middle(
    height: int, width: int, image_size: tuple[int, int], box: Box
) -> None:
    assert pad_box(height, width, image_size) == box


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.875, 1.0])
@pytest.mark.parametrize("image_size", [(224, 224), (1, 7), (300, 13)])
def test_boxes_lie_inside(image_size: tuple[int, int], fraction: float) -> None:
    for height in (1, 2, 3, 7, 224, 1001):
        for width in (1, 2, 3, 7, 224, 1001):
            box = crop_box(height, width, image_size, fraction)
            assert 0 <= box.top <= height - box.height < height
            assert 0 <= box.left <= width - box.width < width
            box = pad_box(height, width, image_size)
            assert 0 <= box.top <= image_size[0] - box.height < image_size[0]
            assert 0 <= box.left <= image_size[1] - box.width < image_size[1]
