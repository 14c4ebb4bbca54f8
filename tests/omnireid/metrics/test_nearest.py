"""The head of a ranked list: ties go to the lower index."""

import numpy as np
import pytest
import torch

from omnireid.metrics import ExactDistances, nearest, nearest_exactly


@pytest.mark.parametrize("k", [1, 3, 8, 30])
def test_the_head_is_that_of_a_stable_sort(k):
    distances = np.random.default_rng(0).integers(0, 4, (50, 20)).astype(np.float32)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(nearest(torch.from_numpy(distances), k).numpy(), expected)
    for row in range(50):
        np.testing.assert_array_equal(nearest_exactly(ExactDistances(distances), row, k), expected[row])


def test_junk_is_skipped():
    distances = ExactDistances(np.array([[0.1, 0.2, 0.3, 0.4]]))
    keep = np.array([False, True, False, True])
    assert nearest_exactly(distances, 0, 3, keep).tolist() == [1, 3]


class Vague:
    """Distances that are off by up to their slack, and exact on demand."""

    def __init__(self, exact, slack):
        self.truth = exact
        self.bound = slack
        self.values = exact + np.random.default_rng(1).uniform(-slack, slack, exact.shape)

    def slack(self, row):  # noqa: ARG002
        return self.bound

    def exact(self, row, columns):
        return self.truth[row, columns]


@pytest.mark.parametrize("slack", [0.001, 0.05, 2.0])
def test_a_head_of_vague_distances_is_exact(slack):
    exact = np.random.default_rng(0).random((40, 60))
    for row in range(40):
        head = nearest_exactly(Vague(exact, slack), row, 7)
        np.testing.assert_array_equal(head, exact[row].argsort()[:7])
