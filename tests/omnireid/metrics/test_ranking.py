"""CMC, mAP and mINP against loops, scikit-learn, torchmetrics and the golden figures of public evaluators."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision

from instructions.errors import InputError
from omnireid.metrics import rank, ranking
from tests import reference

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ranking.json").read_text())


def random_search(seed, num_query=7, num_gallery=23, *, ties=False):
    rng = np.random.default_rng(seed)
    if ties:
        distmat = rng.integers(0, 4, (num_query, num_gallery)) / 8
    else:
        distmat = rng.permutation(num_query * num_gallery).reshape(num_query, num_gallery) / 1000
    relevant, keep = (rng.random(distmat.shape) < share for share in (0.3, 0.8))
    relevant[0] = keep[1] = False
    relevant[2], keep[2] = True, True
    return distmat, relevant, keep


def assert_agree(actual, expected):
    np.testing.assert_allclose(actual.cmc, expected.cmc, rtol=0, atol=1e-12)
    np.testing.assert_allclose(actual.average_precision, expected.average_precision, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(actual.first_match, expected.first_match)
    assert actual.mean_ap == pytest.approx(expected.mean_ap, abs=1e-12)
    assert actual.mean_inp == pytest.approx(expected.mean_inp, abs=1e-12)
    assert actual.num_valid_queries == expected.num_valid_queries


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([None, 1, 5, 12, 100]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_rank_equals_the_loop(seed, ties, ap_topk, dedup):
    distmat, relevant, keep = random_search(seed, ties=ties)
    identities = np.random.default_rng(seed).integers(0, 6, distmat.shape[1]) if dedup else None
    options = {"max_rank": 30, "ap_topk": ap_topk, "identities": identities}
    assert_agree(rank(distmat, relevant, keep, **options), reference.rank(distmat, relevant, keep, **options))


def test_average_precision_is_that_of_scikit_learn_and_torchmetrics():
    distmat, relevant, keep = random_search(3)
    result = rank(distmat, relevant, keep)
    for row in range(len(distmat)):
        kept = keep[row]
        if (relevant[row] & kept).any():
            scores, truth = 1 - distmat[row, kept], relevant[row, kept]  # torchmetrics wants them above 0
            learned = average_precision_score(truth, scores)
            measured = retrieval_average_precision(torch.from_numpy(scores), torch.from_numpy(truth))
            assert result.average_precision[row] == pytest.approx(learned, abs=1e-12)
            assert result.average_precision[row] == pytest.approx(float(measured), abs=1e-6)


def golden_search():
    data = GOLDEN["input_retrieval"]
    distmat = np.array(data["distmat"])
    # The stored digits made a tie of 15 and 43; the evaluators saw 43 first.
    assert distmat[0, 15] == distmat[0, 43]
    distmat[0, 43] -= 1e-9
    columns = ((data[f"q_{name}"], data[f"g_{name}"]) for name in ("pids", "camids", "clothes"))
    same = [np.array(query)[:, None] == np.array(gallery) for query, gallery in columns]
    return distmat, *same


def test_the_market_rule_gives_the_figures_of_torchreid_and_fast_reid():
    distmat, pid, camid, _ = golden_search()
    result = rank(distmat, pid, ~(pid & camid))
    expected = GOLDEN["market1501"]
    np.testing.assert_allclose(result.cmc[:20], expected["cmc20"], atol=1e-6)
    np.testing.assert_allclose(result.average_precision[:11], expected["per_query_AP"], atol=1e-12)
    assert result.mean_ap == pytest.approx(expected["mAP"], abs=1e-12)
    assert result.mean_inp == pytest.approx(expected["mINP"], abs=1e-12)
    assert result.num_valid_queries == expected["n_valid"] == 11


def test_the_clothes_rules_give_the_figures_of_simple_ccreid():
    distmat, pid, camid, clothes = golden_search()
    changed = rank(distmat, pid, ~(pid & (camid | clothes)))
    kept = rank(distmat, pid, ~(pid & (camid | ~clothes)))
    assert changed.mean_ap == pytest.approx(0.133255, abs=1e-6)
    assert kept.mean_ap == pytest.approx(0.152310, abs=1e-6)


def test_text_to_image_gives_the_figures_of_irra():
    data = GOLDEN["t2i"]
    relevant = np.array(data["q_pids"])[:, None] == np.array(data["g_pids"])
    result = rank(
        -torch.tensor(data["similarity"]), torch.from_numpy(relevant), torch.ones(8, 12, dtype=torch.bool)
    )
    np.testing.assert_allclose(100 * result.cmc[:10], data["cmc10"], atol=1e-5)
    assert 100 * result.mean_ap == pytest.approx(data["mAP"], abs=1e-5)
    assert 100 * result.mean_inp == pytest.approx(data["mINP"], abs=1e-5)


def test_equal_distances_rank_the_lower_gallery_index_first():
    distmat, everything = np.zeros((1, 4)), np.ones((1, 4), dtype=bool)
    relevant = np.array([[False, True, False, True]])
    result = rank(distmat, relevant, everything)
    assert result.first_match.tolist() == [2]
    assert result.average_precision.tolist() == [0.5 * (1 / 2 + 2 / 4)]


def test_a_query_without_an_answer_is_not_counted():
    distmat = np.array([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]])
    relevant = np.array([[True, False], [False, False], [True, False]])
    keep = np.array([[True, True], [True, True], [False, True]])
    result = rank(distmat, relevant, keep)
    assert (result.mean_ap, result.num_valid_queries) == (1.0, 1)
    assert result.cmc[0] == 1.0
    np.testing.assert_array_equal(np.isnan(result.average_precision), [False, True, True])
    np.testing.assert_array_equal(result.num_kept, [2, 2, 1])


def test_where_no_query_has_an_answer_there_is_no_score():
    result = rank(np.ones((2, 3)), np.zeros((2, 3), bool), np.ones((2, 3), bool))
    assert result.num_valid_queries == 0
    assert np.isnan(result.mean_ap)
    assert np.isnan(result.cmc).all()


def test_junk_never_changes_a_score():
    distmat, relevant, keep = random_search(5)
    moved = np.where(keep, distmat, np.random.default_rng(0).random(distmat.shape))
    before, after = rank(distmat, relevant, keep), rank(moved, relevant | ~keep, keep)
    np.testing.assert_array_equal(before.average_precision, after.average_precision)
    np.testing.assert_array_equal(before.cmc, after.cmc)


def test_the_order_of_queries_and_gallery_changes_no_bit_without_ties():
    distmat, relevant, keep = random_search(6)
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(distmat.shape[0]), rng.permutation(distmat.shape[1])
    plain = rank(distmat, relevant, keep)
    shuffled = rank(*(array[rows][:, columns] for array in (distmat, relevant, keep)))
    assert (plain.mean_ap, plain.mean_inp) == (shuffled.mean_ap, shuffled.mean_inp)
    np.testing.assert_array_equal(plain.cmc, shuffled.cmc)
    np.testing.assert_array_equal(plain.average_precision[rows], shuffled.average_precision)


def test_the_block_size_changes_no_bit(monkeypatch):
    search = random_search(7, ties=True)
    whole = rank(*search)
    monkeypatch.setattr(ranking, "CELLS", 1)
    rows = rank(*search)
    np.testing.assert_array_equal(whole.average_precision, rows.average_precision)
    assert whole.mean_ap == rows.mean_ap


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_every_numeric_type_is_compared_as_it_is(dtype):
    distmat, relevant, keep = random_search(8, ties=True)
    exact = torch.from_numpy(distmat * 8).to(dtype)
    expected = rank(distmat, relevant, keep)
    assert rank(exact, torch.from_numpy(relevant), torch.from_numpy(keep)).mean_ap == expected.mean_ap


def test_a_gallery_smaller_than_the_cmc_leaves_it_level():
    result = rank(np.array([[0.2, 0.1]]), np.array([[True, False]]), np.ones((1, 2), bool), max_rank=5)
    assert result.cmc.tolist() == [0, 1, 1, 1, 1]


def test_the_released_ap_is_cut_before_junk_is_removed():
    # Ranked: junk, wrong, right, right. The first three ranks hold one right answer, at kept rank 2.
    distmat = np.array([[0.1, 0.2, 0.3, 0.4]])
    relevant = np.array([[True, False, True, True]])
    keep = np.array([[False, True, True, True]])
    assert rank(distmat, relevant, keep, ap_topk=3).mean_ap == 1 / 2
    assert rank(distmat, relevant, keep, ap_topk=2).mean_ap == 0  # found none: a score of 0, still counted
    assert rank(distmat, relevant, keep, ap_topk=2).num_valid_queries == 1
    assert rank(distmat, relevant, keep).mean_ap == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_truncating_the_ap_raises_it_where_matches_rank_low():
    rng = np.random.default_rng(0)
    relevant = rng.random((50, 3000)) < 0.03
    distmat = rng.standard_normal(relevant.shape) - 1.5 * relevant
    keep = np.ones_like(relevant)
    full, cut = rank(distmat, relevant, keep), rank(distmat, relevant, keep, ap_topk=500)
    assert cut.mean_ap > full.mean_ap + 0.02


def test_an_identity_counts_once_in_the_identity_cmc():
    # Two images of stranger 7 stand before the right answer: rank 3 by image, rank 2 by identity.
    search = np.array([[0.1, 0.2, 0.3]]), np.array([[False, False, True]]), np.ones((1, 3), bool)
    assert rank(*search).first_match.tolist() == [3]
    by_identity = rank(*search, identities=np.array([7, 7, 4]))
    assert by_identity.first_match.tolist() == [2]
    assert by_identity.mean_ap == rank(*search).mean_ap


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_nan_distance_is_refused_with_its_query(bad):
    distmat = np.ones((3, 4))
    distmat[2, 1] = bad
    with pytest.raises(InputError, match="query 2"):
        rank(distmat, np.ones((3, 4), bool), np.ones((3, 4), bool))


@pytest.mark.parametrize(
    ("distmat", "relevant", "sentence"),
    [
        (np.ones((2, 3)), np.ones((3, 2), bool), "shapes"),
        (np.ones(3), np.ones(3, bool), "shapes"),
        (np.ones((0, 3)), np.ones((0, 3), bool), "nothing to rank"),
        (np.ones((2, 0)), np.ones((2, 0), bool), "nothing to rank"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(distmat, relevant, sentence):
    with pytest.raises(InputError, match=sentence):
        rank(distmat, relevant, relevant)


def test_a_rank_below_one_is_refused():
    with pytest.raises(InputError, match="max_rank is 0"):
        rank(np.ones((1, 1)), np.ones((1, 1), bool), np.ones((1, 1), bool), max_rank=0)
