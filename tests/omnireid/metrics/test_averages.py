"""Averages that do not depend on the order of addition, and those of public evaluators."""

import math
from fractions import Fraction

import numpy as np
import pytest

from instructions.errors import InputError
from omnireid.metrics import rank
from omnireid.metrics.averages import average_precisions, mean


def drawn(seed, num_query=8, num_gallery=200):
    """Distances with many ties, and masks that leave one query without an answer."""
    rng = np.random.default_rng(seed)
    shape = num_query, num_gallery
    relevant, keep = rng.random(shape) < 0.2, rng.random(shape) < 0.9
    relevant[3] = False
    return rng.integers(0, 60, shape) / 64, relevant, keep


def walk(distances, relevant, keep):
    """The right answers down a list that a stable sort made of what is kept."""
    order = np.argsort(distances, kind="stable")
    return relevant[order][keep[order]]


@pytest.mark.parametrize("seed", range(5))
def test_torchreid_compat_is_numpys_sum_down_a_stable_list(seed):
    distmat, relevant, keep = drawn(seed)
    expected, firsts = [], []
    for row in range(len(distmat)):
        hits = walk(distmat[row], relevant[row], keep[row]).astype(np.int64)
        if hits.any():
            precisions = hits.cumsum() / (np.arange(len(hits)) + 1.0) * hits
            expected.append(precisions.sum() / hits.sum())
            firsts.append(hits.cumsum()[:20].clip(max=1))
    found = rank(distmat, relevant, keep, max_rank=20, compat="torchreid")
    assert found.average_precision[found.num_relevant > 0].tolist() == expected
    assert found.mean_ap == np.mean(expected)
    assert found.cmc.tolist() == (np.asarray(firsts, np.float32).sum(axis=0) / len(firsts)).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_an_average_is_rounded_like_its_fractions_sum(seed):
    distmat, relevant, keep = drawn(seed)
    found = rank(distmat, relevant, keep)
    for row in found.num_relevant.nonzero()[0]:
        ranks = walk(distmat[row], relevant[row], keep[row]).nonzero()[0] + 1
        total = sum(Fraction(hit / int(place)) for hit, place in enumerate(ranks, start=1))
        assert found.average_precision[row] == float(total) / len(ranks)


def test_a_query_without_an_answer_has_no_average():
    nothing, none = np.zeros(0, np.int64), np.zeros(2, np.int64)
    assert np.isnan(average_precisions(nothing, none, none, np.array([4, 0]), compat=None)).all()
    assert math.isnan(mean(np.array([np.nan])))
    assert mean(np.array([0.5, np.nan, 0.25])) == 0.375


def test_an_unknown_evaluator_is_refused():
    with pytest.raises(InputError, match="torchreid, torchreid_cython"):
        rank(*drawn(0), compat="fastreid")
