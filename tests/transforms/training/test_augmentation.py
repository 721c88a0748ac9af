import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from transforms.training.augmentation import cut_out, draw_boxes


def draw(kind: str, count: int = 2000) -> npt.NDArray[np.float32]:
    return draw_boxes(count, kind, np.random.default_rng(0))


def test_the_whole_image_comes_back_as_it_is_and_mirrored() -> None:
    images = tf.random.stateless_uniform([2, 7, 5, 3], (1, 2))
    whole = tf.constant([[0.0, 0, 1, 1], [0, 1, 1, 0]])
    found = cut_out(images, whole)
    np.testing.assert_allclose(found[0], images[0], atol=1e-6)
    np.testing.assert_allclose(found[1], images[1, :, ::-1], atol=1e-6)


@pytest.mark.parametrize(("kind", "mirrored"), [("flip_and_crop", 0.5), ("crop", 0.0)])
def test_boxes_are_inside_of_mild_sizes_and_mirrored_as_asked(kind: str, mirrored: float) -> None:
    boxes = draw(kind)
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    top, left, bottom, right = boxes.T
    height, width = bottom - top, np.abs(right - left)
    area = height * width
    assert 0.66 < area.min() < 0.72  # A side that would be over 1 is cut.
    assert 0.95 < area.max() <= 1
    aspect = width / height
    assert 1 / 1.26 < aspect.min() < 0.85
    assert 1.18 < aspect.max() < 1.26
    assert (right < left).mean() == pytest.approx(mirrored, abs=0.03)
    # The place is as random as the size.
    assert np.corrcoef(top, np.minimum(left, right))[0, 1] < 0.2
    assert top.max() > 0.2


def test_a_box_shows_that_part_of_the_image() -> None:
    rows = tf.reshape(tf.range(9, dtype=tf.float32), [1, 9, 1, 1])
    image = tf.broadcast_to(rows, [1, 9, 9, 3])
    found = cut_out(image, tf.constant([[0.25, 0, 0.75, 1]]))
    np.testing.assert_allclose(found[0, :, 0, 0], np.linspace(2, 6, 9), atol=1e-6)


def test_the_same_seed_draws_the_same() -> None:
    np.testing.assert_array_equal(draw("crop"), draw("crop"))
