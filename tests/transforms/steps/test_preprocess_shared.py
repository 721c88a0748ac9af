"""PreprocessShared: which models the images of several runs go to."""

from collections.abc import Mapping

import numpy as np
import pytest

from tests.support.batches import encoded_images
from tests.support.images import encode
from transforms.batches import SharedImages
from transforms.images.policy import Preprocessing
from transforms.steps.preprocess_shared import RunPixels, _PreprocessShared

IMAGES = {"a": encode(np.zeros((6, 4, 3), np.uint8), "PNG")}


@pytest.mark.parametrize(
    ("images", "models"),
    [
        ({0: IMAGES}, [0]),
        ({1: IMAGES}, [1]),
        ({0: {}, 2: IMAGES}, [1]),
        ({0: IMAGES, 1: IMAGES, 2: IMAGES}, [0, 1]),
        ({0: {}, 1: {}, 2: {}}, []),
    ],
)
def test_models_are_those_of_the_runs_that_have_work(
    images: Mapping[int, dict[str, bytes]], models: list[int]
) -> None:
    run = RunPixels(Preprocessing(image_size=(24, 24)), "/staging")
    step = _PreprocessShared([run] * 3, [[0], [1, 2]], None, [])
    shared = SharedImages({run: encoded_images(batch) for run, batch in images.items()})
    assert step.models_of(shared) == models
