import numpy as np
import pytest

from omnireid.synthetic.canvas import Canvas, even
from omnireid.synthetic.palette import Paint

RED = Paint((1.0, 0.0, 0.0), 0.5)


def canvas() -> Canvas:
    return Canvas(80, 60, light=(0.0, 0.5, 0.8), ambient=0.5)


@pytest.mark.parametrize("end", [(30.0, 50.0), (45.0, 40.0), (12.5, 33.3)])
def test_a_flat_strip_covers_length_times_width(end):
    surface = canvas().strip((30, 20), end, even(6.0), flat="both")
    length = np.hypot(end[0] - 30, end[1] - 20)
    assert surface.coverage.sum() == pytest.approx(12 * length, rel=0.02)


def test_round_ends_add_a_disc():
    surface = canvas().strip((30, 20), (30, 50), even(6.0))
    assert surface.coverage.sum() == pytest.approx(12 * 30 + np.pi * 36, rel=0.02)


def test_a_tapered_strip_covers_a_trapezoid():
    profile = [(0, 0, 4.0), (1, 0, 12.0)]
    surface = canvas().strip((30, 20), (30, 60), profile, flat="both")
    assert surface.coverage.sum() == pytest.approx((8 + 24) / 2 * 40, rel=0.02)


def test_a_crooked_profile_moves_the_middle_to_the_right():
    profile = [(0, 0, 4.0), (0.5, 8, 4.0), (1, 8, 4.0)]
    surface = canvas().strip((30, 10), (30, 70), profile, flat="both")
    columns = np.arange(surface.columns.start, surface.columns.stop) + 0.5
    last_rows = surface.coverage[-20:-5].sum(axis=0)
    assert (columns * last_rows).sum() / last_rows.sum() == pytest.approx(38, abs=0.3)


def test_a_polygon_covers_its_area():
    surface = canvas().polygon([(10, 10), (40, 12), (30, 50)])
    area = 0.5 * abs((40 - 10) * (50 - 10) - (30 - 10) * (12 - 10))
    assert surface.coverage.sum() == pytest.approx(area, rel=0.03)


def test_shapes_outside_the_canvas_are_not_drawn():
    board = canvas()
    assert board.strip((-50, 10), (-40, 10), even(3.0)) is None
    assert board.polygon([(100, 10), (120, 10), (110, 30)]) is None
    board.cover(None, RED)
    assert not board.planes.any()


def test_a_shadow_on_the_body_spares_the_ground():
    board = canvas()
    board.planes[...] = 0.8
    board.cover(board.strip((20, 10), (20, 60), even(5.0)), RED, roundness=0)
    before = board.planes.copy()
    board.darken(board.strip((5, 40), (55, 40), even(5.0)), 0.5, body=True)
    assert np.array_equal(board.planes[:, 40, 45], before[:, 40, 45])
    assert board.planes[0, 40, 20] == pytest.approx(0.5 * before[0, 40, 20])


def test_the_side_towards_the_light_is_brighter():
    board = Canvas(60, 60, light=(0.8, 0.3, 0.7), ambient=0.4)
    board.cover(board.strip((30, 5), (30, 55), even(15.0)), Paint((0.5, 0.5, 0.5), 0.5))
    assert board.planes[0, 30, 40] > 1.15 * board.planes[0, 30, 20]


def test_an_infrared_canvas_has_one_plane_and_ignores_the_dye():
    board = Canvas(20, 20, light=(0, 0, 1), ambient=1.0, modality="ir")
    board.cover(board.polygon([(0, 0), (20, 0), (20, 20), (0, 20)]), RED, roundness=0)
    assert board.planes.shape == (1, 20, 20)
    assert board.planes[0, 10, 10] == pytest.approx(0.5)
