"""Streamed rankings: equal to the loop over float64 distances, whatever the block, type, order or ties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructions.errors import InputError
from omnireid.metrics import Ranking, features, nearest_exactly, rank, rank_features, search
from omnireid.protocols import PROTOCOLS
from tests import reference

MARKET = PROTOCOLS["market"]


def world(seed, num_query=11, num_gallery=37, width=9, *, copies=False, scale=1.0):
    """Features around person centres, with their labels; copies puts exact duplicates into the gallery."""
    rng = np.random.default_rng(seed)
    query, gallery = reference.labels(num_query, rng), reference.labels(num_gallery, rng)
    centres = rng.standard_normal((6, width))
    sides = [
        torch.from_numpy(
            scale * (centres[side.pids + 1] + rng.standard_normal((len(side.pids), width)))
        ).float()
        for side in (query, gallery)
    ]
    if copies:
        sides[1] = sides[1][torch.from_numpy(rng.integers(0, 5, num_gallery))]
    return *sides, query, gallery


def exact_distances(query, gallery, metric):
    """Float64 distances, pair by pair."""
    query, gallery = query.double().numpy(), gallery.double().numpy()
    if metric == "euclidean":
        return np.array([[((q - g) ** 2).sum() for g in gallery] for q in query])
    lengths = np.sqrt((query**2).sum(axis=1)), np.sqrt((gallery**2).sum(axis=1))
    return np.array([[-(q * g).sum() for g in gallery] for q in query]) / np.outer(*lengths)


def assert_identical(one: Ranking, other: Ranking):
    for name in (
        "cmc",
        "average_precision",
        "inverse_negative_penalty",
        "first_match",
        "num_relevant",
        "num_kept",
    ):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.mean_ap, one.mean_inp) == (other.mean_ap, other.mean_inp)


@given(st.integers(0, 10_000), st.sampled_from(["cosine", "euclidean"]), st.booleans(), st.integers(1, 12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_streaming_gives_the_bits_of_float64_distances_for_any_block(seed, metric, copies, block):
    query_features, gallery_features, query, gallery = world(seed, copies=copies)
    distmat = exact_distances(query_features, gallery_features, metric)
    expected = rank(distmat, *MARKET.judge(query, gallery))
    actual = rank_features(
        query_features, gallery_features, query, gallery, MARKET, metric=metric, block=block
    )
    assert_identical(actual, expected)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_streams(name):
    query_features, gallery_features, query, gallery = world(4)
    relevant, keep = reference.judge(name, query, gallery)
    protocol = PROTOCOLS[name]
    identities = gallery.pids if protocol.cmc == "identity" else None
    distmat = exact_distances(query_features, gallery_features, "cosine")
    expected = reference.rank(distmat, relevant, keep, ap_topk=protocol.ap_topk, identities=identities)
    actual = rank_features(query_features, gallery_features, query, gallery, protocol, block=3)
    np.testing.assert_allclose(actual.average_precision, expected.average_precision, atol=1e-12)
    np.testing.assert_allclose(actual.cmc, expected.cmc, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_that_float32_cannot_tell_apart_are_ranked_exactly(metric):
    # Small steps away from one direction: in float32 products they are noise, in float64 an order.
    rng = np.random.default_rng(0)
    steps = rng.permutation(40)
    gallery_features = torch.tensor(np.stack([np.ones(40), 1e-4 + 1e-7 * steps], axis=1), dtype=torch.float32)
    query_features = torch.tensor([[1.0, 0.0]])
    query, gallery = reference.labels(1, rng), reference.labels(40, rng)
    query.pids[:] = 1
    gallery.pids[:] = steps < 7
    query.camids[:], gallery.camids[:] = 0, 1
    sides = query_features, gallery_features, query, gallery, MARKET
    assert rank_features(*sides, metric=metric).mean_ap == 1.0
    block = next(search(*sides, metric=metric))
    np.testing.assert_array_equal(nearest_exactly(block.distances, 0, 9), np.argsort(steps)[:9])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_searched_as_they_are(dtype):
    query_features, gallery_features, query, gallery = world(5)
    low, high = (side.to(dtype) for side in (query_features, gallery_features))
    expected = rank(exact_distances(low, high, "cosine"), *MARKET.judge(query, gallery))
    assert_identical(rank_features(low, high, query, gallery, MARKET), expected)


def test_float64_features_are_not_rounded():
    query, gallery = (reference.labels(num, np.random.default_rng(0)) for num in (1, 2))
    query.pids[:], gallery.pids[:] = 1, [2, 1]
    query.camids[:], gallery.camids[:] = 0, 1
    gallery_features = torch.tensor([[1 + 1e-9, 0.0], [1.0, 0.0]], dtype=torch.float64)
    sides = torch.tensor([[1.0, 0.0]]), gallery_features, query, gallery
    assert rank_features(*sides, MARKET, metric="euclidean").mean_ap == 1.0
    assert (
        rank_features(sides[0], gallery_features.float(), *sides[2:], MARKET, metric="euclidean").mean_ap
        == 0.5
    )


def test_numpy_features_are_features_too():
    query_features, gallery_features, query, gallery = world(5)
    assert_identical(
        rank_features(query_features.numpy(), gallery_features.numpy(), query, gallery, MARKET),
        rank_features(query_features, gallery_features, query, gallery, MARKET),
    )


def test_reduced_matrix_precision_changes_no_bit():
    sides = world(6, 30, 200, 64)
    expected = rank_features(*sides, MARKET)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert_identical(rank_features(*sides, MARKET), expected)
        assert next(search(*sides, MARKET)).distances.values.dtype == np.float64
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_order_of_the_images_changes_no_bit():
    query_features, gallery_features, query, gallery = world(7, 12, 300, 64)
    plain = rank_features(query_features, gallery_features, query, gallery, MARKET)
    order = np.random.default_rng(0).permutation(300)
    shuffled = features._rows(gallery, order)
    moved = rank_features(query_features, gallery_features[torch.from_numpy(order)], query, shuffled, MARKET)
    assert_identical(plain, moved)


def test_a_zero_feature_is_like_nothing_and_breaks_nothing():
    query_features, gallery_features, query, gallery = world(8)
    gallery_features[3] = 0
    query_features[0] = 0
    assert np.isfinite(rank_features(query_features, gallery_features, query, gallery, MARKET).mean_ap)
    block = next(search(query_features, gallery_features, query, gallery, MARKET))
    assert (block.distances.values[:, 3] == 0).all()


def test_large_features_keep_their_euclidean_order():
    query_features, gallery_features, query, gallery = world(9, scale=1e4)
    distmat = exact_distances(query_features, gallery_features, "euclidean")
    expected = rank(distmat, *MARKET.judge(query, gallery))
    assert_identical(
        rank_features(query_features, gallery_features, query, gallery, MARKET, metric="euclidean"), expected
    )


def test_the_head_of_a_list_is_that_of_the_exact_order():
    query_features, gallery_features, query, gallery = world(10, copies=True)
    distmat = exact_distances(query_features, gallery_features, "cosine")
    for block in search(query_features, gallery_features, query, gallery, MARKET, block=4):
        for row, query_row in enumerate(range(11)[block.rows]):
            kept = block.keep[row].nonzero()[0]
            expected = kept[np.argsort(distmat[query_row, kept], kind="stable")[:5]]
            head = nearest_exactly(block.distances, row, 5, block.keep[row])
            np.testing.assert_array_equal(head, expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda q, g: (q.index_fill(0, torch.tensor([2]), float("nan")), g), "query features of row 2"),
        (lambda q, g: (q, g.index_fill(0, torch.tensor([5]), float("inf"))), "gallery features of row 5"),
        (lambda q, g: (q, g[:, :4]), "one width"),
        (lambda q, g: (q, g[:4]), "labels"),
        (lambda q, g: (q[:0], g), "labels"),
    ],
)
def test_features_that_cannot_be_searched_are_refused(change, sentence):
    query_features, gallery_features, query, gallery = world(11)
    with pytest.raises(InputError, match=sentence):
        rank_features(*change(query_features, gallery_features), query, gallery, MARKET)


def test_an_unknown_metric_is_refused():
    with pytest.raises(InputError, match="cosine, euclidean"):
        rank_features(*world(12), MARKET, metric="manhattan")
