"""Products of 16-bit codes: equal to a loop within their slack, and never beyond 32 bits."""

import numpy as np
import pytest
import torch

from omnireid.metrics import coded, keys
from omnireid.metrics.coded import CodedTile, Coding, is_plain, pair_products
from omnireid.metrics.comparison import Comparison

pytestmark = pytest.mark.skipif(coded.library() is None, reason="no C compiler here")

NOTHING = np.zeros(0, np.int64)


def unit(num, dim, seed=0):
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((num, dim))).float()
    return drawn / drawn.norm(dim=1, keepdim=True)


def by_cell(found, shape):
    """Values by query and place; nan where a cell is not among those found."""
    values = np.full(shape, np.nan, np.float32)
    values[keys.rows_of(found), keys.places_of(found)] = keys.values_of(found)
    return values


def whole_tile(query, gallery, addends=None):
    """Every cell of a tile, and the coding that made it."""
    coding = Coding(lambda: iter([query, gallery]), query.shape[1])
    tile = CodedTile(query, coding, block=len(query), width=len(gallery))
    tile.turn(gallery, addends)
    found = tile.near(slice(0, len(query)), np.full(len(query), 9, np.float32), NOTHING, 0)
    return by_cell(found, (len(query), len(gallery))), coding


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 63, 768])
@pytest.mark.parametrize("threads", [1, 3])
def test_products_lie_within_the_slack(dim, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    query, gallery = unit(70, dim), unit(37, dim, 1)
    for addends in (None, torch.linspace(0, 0.5, 37)):
        values, coding = whole_tile(query, gallery, addends)
        expected = query.double() @ gallery.double().T + (0 if addends is None else addends.double())
        assert abs(values - expected.numpy()).max() <= coding.slack


@pytest.mark.parametrize("dim", [1, 2, 100, 5000])
@pytest.mark.parametrize("kind", ["alike", "opposite", "one number", "two numbers"])
def test_the_largest_products_fit(dim, kind):
    # All numbers alike fill the sum of 32 bits; one number alone fills a code of 16.
    query = torch.zeros(2, dim)
    if kind in ("alike", "opposite"):
        query[:] = dim**-0.5
    else:
        query[:, : 1 + (kind == "two numbers")] = 1
        query /= query.norm(dim=1, keepdim=True)
    gallery = (-query if kind == "opposite" else query).repeat(5, 1)
    values, coding = whole_tile(query, gallery)
    expected = (query.double() @ gallery.double().T).numpy()
    assert abs(values - expected).max() <= coding.slack
    assert coding.slack < 2e-3 if dim <= 100 else coding.slack < 1e-2


def test_cells_are_those_of_a_loop():
    query, gallery = unit(200, 20), unit(50, 20, 1)
    values, coding = whole_tile(query, gallery)
    tile = CodedTile(query, coding, block=130, width=60)
    tile.turn(gallery, None)
    limits = np.random.default_rng(2).standard_normal(130).astype(np.float32) / 4
    limits[0] = values[60, 3]  # a cell at the limit is near
    blank = np.array([0, 51, 130 * 50 - 1])
    expected = [
        int(keys.pack(np.array([row]), values[row, [column]], column + 1000)[0])
        for row in range(60, 190)
        for column in range(50)
        if values[row, column] <= limits[row - 60] and (row - 60) * 50 + column not in blank
    ]
    assert sorted(tile.near(slice(60, 190), limits, blank, 1000).tolist()) == sorted(expected)
    # What was blank is so for one call.
    everything = tile.near(slice(60, 190), np.full(130, 9, np.float32), NOTHING, 0)
    assert len(everything) == 130 * 50


def test_a_smaller_tile_keeps_nothing_of_the_previous_one():
    query, gallery = unit(9, 12), unit(40, 12, 1)
    coding = Coding(lambda: iter([query, gallery]), 12)
    tile = CodedTile(query, coding, block=9, width=40)
    limits = np.full(9, 9, np.float32)
    tile.turn(gallery, torch.ones(40))
    tile.near(slice(0, 9), limits, NOTHING, 0)
    tile.turn(gallery[30:33], None)
    found = by_cell(tile.near(slice(0, 9), limits, NOTHING, 0), (9, 3))
    assert abs(found - (query @ gallery[30:33].T).numpy()).max() <= coding.slack


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [2.0**-12, 1.0, 300.0])
def test_keys_lie_within_the_slack_of_the_exact_scores(metric, dtype, scale):
    query, gallery = (scale * (1 + unit(num, 37, num)) for num in (5, 31))
    query[0] = gallery[3]
    compared = Comparison(query.to(dtype), gallery.to(dtype), metric=metric)
    assert compared.coding is not None
    rows, columns = np.arange(5), slice(0, 31)
    tile = CodedTile(compared.query_rows(rows), compared.coding, block=5, width=31)
    tile.turn(compared.gallery_rows(columns), compared.addends(columns))
    found = tile.near(slice(0, 5), np.full(5, 9, np.float32), NOTHING, 0)
    exact = compared.exact(rows, columns)
    scores = np.stack([compared.scores(np.full(31, row), exact[row]) for row in rows])
    assert (abs(by_cell(found, (5, 31)) - scores) <= compared.key_slack(rows)[:, None]).all()


@pytest.mark.parametrize("dim", [1, 8, 37])
def test_products_of_pairs_are_those_of_float64(dim):
    query, gallery = unit(5, dim), unit(31, dim, 1)
    rows, columns = np.array([4, 0, 2, 2]), np.array([9, 1, 30, 7])
    expected = (query.double()[rows] * gallery.double()[columns]).sum(dim=1).numpy()
    np.testing.assert_allclose(pair_products(query, gallery, rows, columns), expected, rtol=0, atol=1e-15)
    assert is_plain(query)
    assert not is_plain(query.double())
    assert not is_plain(unit(dim + 1, 5).T)
