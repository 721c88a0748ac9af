"""Where pixels go, in numbers small enough to be drawn."""

import numpy as np
import pytest
import tensorflow as tf

from transforms.images.pixel_graphs import PlacementRow
from transforms.images.placement import RATIOS, Box, Flips, Placement, crop_box, pad_box, place
from transforms.images.policy import Preprocessing

PHOTO = Preprocessing(image_size=(224, 224), resize_mode="crop", decode="fast")


def test_the_crop_of_a_turned_photo_is_said_of_what_is_stored() -> None:
    stored = np.array([list("abcdef"), list("ghijkl"), list("mnopqr"), list("stuvwx")])
    policy = Preprocessing(image_size=(2, 2), resize_mode="crop", crop_fraction=1.0)
    placement = place(4, 6, 6, policy)
    assert placement == Placement(1, Flips.ROWS, True, Box(0, 1, 4, 4), (2, 2), (0, 0))
    assert crop_box(6, 4, (2, 2), 1.0) == Box(1, 0, 4, 4)
    kept = stored[0:4, 1:5][::-1].T
    np.testing.assert_array_equal(kept, np.rot90(stored, -1)[1:5])
    assert "".join(kept[0]) == "tnhb"


def test_a_padded_image_has_its_corner_in_the_target() -> None:
    assert pad_box(4, 6, (6, 6)) == Box(1, 0, 4, 6)
    placement = place(4, 6, 1, Preprocessing(image_size=(6, 6), resize_mode="pad"))
    assert placement == Placement(1, Flips.NONE, False, Box(0, 0, 4, 6), (4, 6), (1, 0))


def test_a_large_photo_is_decoded_at_an_eighth_around_its_region() -> None:
    placement = place(3024, 4032, 6, PHOTO, may_shrink=True)
    assert placement.ratio == 8
    assert placement.region == Box(23, 86, 332, 332)
    assert place(3024, 4032, 6, PHOTO).region == Box(189, 693, 2646, 2646)


@pytest.mark.parametrize("may_shrink", [True, False])
def test_a_row_of_integers_says_what_the_placement_does(may_shrink: bool) -> None:
    placement = place(3024, 4032, 6, PHOTO, may_shrink=may_shrink)
    numbers = tf.constant(PlacementRow.of(placement), tf.int32)
    row = PlacementRow(*(int(value) for value in PlacementRow.unpack(numbers)))
    assert RATIOS[row.ratio_index] == placement.ratio
    assert (row.flips, row.is_turned) == (Flips.ROWS, 1)
    assert Box(row.top, row.left, row.height, row.width) == placement.region
    assert (row.resized_height, row.resized_width) == placement.size
    assert (row.corner_top, row.corner_left) == placement.corner
