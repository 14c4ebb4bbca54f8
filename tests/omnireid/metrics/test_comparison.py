"""Exact distances do not depend on the method, and products stay within their slack."""

import numpy as np
import pytest
import torch

from omnireid.metrics import comparison
from omnireid.metrics.comparison import Comparison

ROWS, COLUMNS = np.array([4, 0, 2, 2]), np.array([9, 1, 30, 7])


def drawn(dtype, *, width=37):
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.standard_normal((num, width))).to(dtype) for num in (5, 31)]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("cells", [1, 100, 1 << 17])
def test_the_exact_distance_of_a_pair_does_not_depend_on_the_method(metric, dtype, cells, monkeypatch):
    monkeypatch.setattr(comparison, "CELLS", cells)
    compared = Comparison(*drawn(dtype), metric=metric)
    whole = compared.exact(slice(None), slice(None))
    np.testing.assert_array_equal(compared.exact(ROWS, COLUMNS), whole[ROWS[:, None], COLUMNS])
    np.testing.assert_array_equal(compared.exact_pairs(ROWS, COLUMNS), whole[ROWS, COLUMNS])
    groups = [(slice(0, 1), slice(0, 3)), (slice(2, 4), slice(3, 4))]
    grouped = compared.exact_groups(ROWS, COLUMNS, groups)
    expected = np.full(grouped.shape, np.nan)
    for group in groups:
        expected[group] = whole[ROWS[:, None], COLUMNS][group]
    np.testing.assert_array_equal(grouped, expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [2.0**-80, 1.0, 300.0, 2.0**70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_lie_within_the_slack_of_the_exact_scores(metric, scale, dtype):
    compared = Comparison(*(scale * side for side in drawn(dtype)), metric=metric)
    rows, columns = np.arange(5), slice(0, 31)
    products = compared.query_rows(rows) @ compared.gallery_rows(columns).T
    addends = compared.addends(columns)
    products = (products if addends is None else products + addends).double().numpy()
    exact = compared.exact(rows, columns)
    scores = np.stack([compared.scores(np.full(31, row), exact[row]) for row in rows])
    assert (abs(products - scores) <= compared.slack(rows)[:, None]).all()
    assert (abs(scores) <= 2).all()


def test_the_callers_features_are_not_changed():
    query, gallery = drawn(torch.float32)
    before = query.clone(), gallery.clone()
    for metric in ("cosine", "euclidean"):
        compared = Comparison(query, gallery, metric=metric)
        compared.query_rows(slice(0, 5))
        compared.gallery_rows(slice(0, 31))
    assert torch.equal(query, before[0])
    assert torch.equal(gallery, before[1])
