"""Distance matrices against scipy, and the features that are refused."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from instructions.errors import InputError
from omnireid.metrics import cosine_distances, euclidean_distances, ranking


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    return rng.standard_normal((7, 5)), rng.standard_normal((11, 5))


@pytest.mark.parametrize("cells", [1, 20, 1 << 21])
def test_distances_are_those_of_scipy_for_any_block(sides, cells, monkeypatch):
    monkeypatch.setattr(ranking, "CELLS", cells)
    query, gallery = (torch.from_numpy(side) for side in sides)
    for actual, metric in (
        (cosine_distances(query, gallery), "cosine"),
        (euclidean_distances(query, gallery), "euclidean"),
        (euclidean_distances(query, gallery, squared=True), "sqeuclidean"),
    ):
        assert actual.dtype == torch.float32
        np.testing.assert_allclose(actual.numpy(), cdist(*sides, metric), atol=2e-6)


def test_distances_never_leave_their_range():
    one = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)).repeat(20, 1)
    assert cosine_distances(one, one).min() >= 0
    assert cosine_distances(one, -one).max() <= 2
    assert euclidean_distances(one, one).min() >= 0


def test_a_zero_feature_is_at_cosine_distance_one():
    assert cosine_distances(torch.zeros(1, 3), torch.ones(1, 3)).tolist() == [[1.0]]


def test_nan_and_empty_features_are_refused():
    good, bad = torch.ones(2, 3), torch.tensor([[1.0, 2, 3], [1, float("nan"), 3]])
    with pytest.raises(InputError, match="gallery features of row 1"):
        cosine_distances(good, bad)
    with pytest.raises(InputError, match="at least one image"):
        euclidean_distances(good, good[:0])
    with pytest.raises(InputError, match="of one width"):
        euclidean_distances(good, good[:, :2])
