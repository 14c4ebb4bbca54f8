"""Re-ranking against the authors' figures and a dense oracle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from instructions.errors import InputError
from omnireid.metrics import neighbours, rank, ranking, re_rank, re_rank_blocks
from tests import reference

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ranking.json").read_text())["rerank"]


def test_re_ranking_gives_the_authors_figures():
    final = re_rank(
        torch.tensor(GOLDEN["query"]), torch.tensor(GOLDEN["gallery"]), k1=6, k2=3, lambda_value=0.3
    )
    np.testing.assert_allclose(final.numpy(), GOLDEN["final_dist"], rtol=0, atol=1.1e-6)


@pytest.mark.parametrize(
    ("k1", "k2", "weight"), [(20, 6, 0.3), (5, 1, 0.0), (7, 4, 1.0), (1, 2, 0.5), (99, 99, 0.3)]
)
@pytest.mark.parametrize("seed", range(3))
def test_re_ranking_equals_the_dense_oracle(seed, k1, k2, weight, monkeypatch):
    monkeypatch.setattr(ranking, "CELLS", 200)
    monkeypatch.setattr(neighbours, "TILE", 9)
    rng = np.random.default_rng(seed)
    query, gallery = rng.standard_normal((7, 4)), rng.standard_normal((24, 4))
    gallery[7] = gallery[3]  # an exact copy: ties must be broken alike
    expected = reference.re_rank(query, gallery, k1, k2, weight)
    final = re_rank(torch.from_numpy(query), torch.from_numpy(gallery), k1, k2, weight)
    np.testing.assert_allclose(final.numpy(), expected, rtol=0, atol=1e-6)


def test_reciprocal_neighbours_come_nearer():
    rng = np.random.default_rng(3)
    pids = np.arange(120) % 12
    centres = rng.standard_normal((12, 16))
    pool = torch.from_numpy(centres[pids] + 0.9 * rng.standard_normal((120, 16)))
    relevant = pids[:24, None] == pids[24:]
    before = rank(torch.cdist(pool[:24], pool[24:]), relevant, np.ones_like(relevant))
    after = rank(re_rank(pool[:24], pool[24:], k1=8, k2=3), relevant, np.ones_like(relevant))
    assert after.mean_ap > before.mean_ap + 0.05


@pytest.mark.parametrize("bad", [{"k1": 0}, {"k2": 0}, {"lambda_value": 1.5}])
def test_parameters_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match="must be at least 1"):
        re_rank(torch.ones(2, 3), torch.ones(2, 3), **bad)


def test_features_whose_squares_overflow_are_refused():
    with pytest.raises(InputError, match="too large to be re-ranked"):
        re_rank(torch.rand(4, 3) * 1e25, torch.rand(5, 3))
    assert re_rank(torch.rand(4, 3) * 1e18, torch.rand(5, 3) * 1e18).isfinite().all()


def test_rows_by_blocks_are_those_of_the_matrix(monkeypatch):
    rng = np.random.default_rng(4)
    query, gallery = (torch.from_numpy(rng.standard_normal((num, 8))).float() for num in (20, 70))
    whole = re_rank(query, gallery, k1=8, k2=3)
    monkeypatch.setattr(ranking, "CELLS", 300)
    for rows, distmat in re_rank_blocks(query, gallery, k1=8, k2=3):
        torch.testing.assert_close(distmat, whole[rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize("tile", [7, 16, 1000])
def test_neighbours_are_those_of_a_stable_sort_of_exact_distances(tile, monkeypatch):
    monkeypatch.setattr(neighbours, "TILE", tile)
    rng = np.random.default_rng(5)
    features = torch.from_numpy(rng.standard_normal((90, 6)))
    features[50:70] = features[10:30]  # copies, whose distances tie
    features[70:80] = features[30:40] + 1e-9  # float32 cannot tell them apart
    pool = neighbours.Pool(features[:20], features[20:])
    squares = np.square(features[:, None].numpy() - features[None].numpy()).sum(axis=2)
    expected = squares.argsort(axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(neighbours.find_neighbours(pool, 9).images, expected)


def test_identical_features_are_re_ranked():
    final = re_rank(torch.ones(30, 4), torch.ones(300, 4), k1=5, k2=2)
    assert torch.isfinite(final).all()
