"""What figures are made of: bars, lines and points in a box."""

import numpy as np

from transforms.explore.plots import COLOURS, bin_values, draw_shares, place_points


def test_a_histogram_has_a_bar_where_there_are_values() -> None:
    figure = bin_values(np.array([0, 0, 0, 30, 60], np.float32), "length", mark=15)
    assert [round(bar.left) for bar in figure.bars] == [0, 50, 98]
    assert [round(bar.height) for bar in figure.bars] == [100, 33, 33]
    assert figure.bars[0].text == "0 to 1: 3 images"
    assert figure.ticks == ["0", "15", "30", "45", "60"]
    assert figure.mark == 25


def test_a_mark_that_is_not_there_is_not_drawn() -> None:
    values = np.array([1, 2], np.float32)
    assert bin_values(values, "length", mark=3).mark is None
    assert bin_values(values, "length").mark is None
    assert bin_values(np.array([-1, 1], np.float32), "cosine", mark=0).mark == 50
    assert len(bin_values(np.array([5], np.float32), "length").bars) == 1


def test_shares_are_on_a_logarithmic_scale() -> None:
    figure = draw_shares(np.array([0.9, 0.09, 0.009, 1e-12]), "share")
    assert figure.points == "0.00,1.53 50.00,34.86 100.00,68.19"
    assert (figure.top, figure.bottom) == ("100%", "0.1%")
    assert figure.ticks == ["1", "2", "3"]
    assert draw_shares(np.array([1.0]), "share").points == "0.00,-0.00"


def test_points_fill_the_box_and_keep_their_distances() -> None:
    places = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    figure = place_points(places, [5, 6, 7], ["a", "b", "c"], ["x", "y", "x"], ["x", "y"])
    assert [point.row for point in figure.points] == [5, 6, 7]
    assert figure.points[1].text == "b, y"
    assert [point.colour for point in figure.points] == [COLOURS[0], COLOURS[1], COLOURS[0]]
    (a, b, c) = figure.points
    assert b.x - a.x == c.y - a.y == figure.height - 16
    assert all(0 <= point.x <= figure.width for point in figure.points)
    one = place_points(places[:1], [5], ["a"], [""], [])
    assert (one.points[0].x, one.points[0].y) == (figure.width / 2, figure.height / 2)
    assert one.legend == []
    assert place_points(places[:0], [], [], [], []).points == []
