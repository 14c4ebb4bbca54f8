"""Chance equals the mean over all orders."""

from itertools import permutations

import numpy as np
import pytest

from omnireid.metrics import chance_average_precision, chance_mean_ap, chance_rank_1, rank


@pytest.mark.parametrize(("num_relevant", "num_kept"), [(1, 1), (1, 4), (2, 5), (4, 6), (6, 6)])
def test_chance_is_the_mean_over_every_order(num_relevant, num_kept):
    relevant = np.arange(num_kept) < num_relevant
    orders = np.array(list(permutations(range(num_kept))), dtype=np.float64)
    every = rank(orders, np.tile(relevant, (len(orders), 1)), np.ones(orders.shape, bool))
    expected = chance_average_precision(np.array([num_relevant]), np.array([num_kept]))
    assert every.mean_ap == pytest.approx(float(expected[0]), abs=1e-12)
    assert every.cmc[0] == pytest.approx(num_relevant / num_kept)
    assert (chance_mean_ap(every), chance_rank_1(every)) == pytest.approx((every.mean_ap, every.cmc[0]))


def test_a_query_without_an_answer_has_no_chance():
    assert np.isnan(chance_average_precision(np.array([0]), np.array([5]))).all()
    nothing = rank(np.ones((1, 2)), np.zeros((1, 2), bool), np.ones((1, 2), bool))
    assert np.isnan([chance_mean_ap(nothing), chance_rank_1(nothing)]).all()
