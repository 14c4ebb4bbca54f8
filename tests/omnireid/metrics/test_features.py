"""Streamed rankings: equal to the loop over float64 distances, whatever the block, type, order or ties."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructions.errors import InputError
from omnireid.metrics import (
    Ranking,
    comparison,
    counting,
    identities,
    keys,
    nearest_exactly,
    rank,
    rank_features,
    rank_protocols,
    ranked_lists,
    search,
    sweep,
    tiles,
)
from omnireid.protocols import PROTOCOLS
from tests import reference
from tests.pretend_gpu import pretend_gpu

MARKET = PROTOCOLS["market"]
ROOT = Path(__file__).parents[3]


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
@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize(
    "setting",
    [
        'torch.set_float32_matmul_precision("medium")',
        "torch.backends.cuda.matmul.allow_tf32 = True",
        'torch.backends.fp32_precision = "tf32"',
        'torch.backends.mkldnn.matmul.fp32_precision = "bf16"',
    ],
)
def test_reduced_matrix_precision_changes_no_bit(setting, tmp_path):
    sides = world(6, 30, 200, 64)
    torch.save(sides, tmp_path / "sides")
    program = f"""
import sys, torch
{setting}  # torch does not let old and new settings be mixed, so each has a process of its own
import numpy as np
from omnireid.metrics import rank_features, search
from omnireid.protocols import PROTOCOLS
sides = torch.load(sys.argv[1] + "/sides", weights_only=False)
market = PROTOCOLS["market"]
assert next(search(*sides, market)).distances.values.dtype == np.float64
torch.save(rank_features(*sides, market), sys.argv[1] + "/ranking")
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True)
    found = torch.load(tmp_path / "ranking", weights_only=False)
    assert_identical(found, rank_features(*sides, MARKET))


def test_the_order_of_the_images_changes_no_bit():
    query_features, gallery_features, query, gallery = world(7, 12, 300, 64)
    plain = rank_features(query_features, gallery_features, query, gallery, MARKET)
    order = np.random.default_rng(0).permutation(300)
    shuffled = identities.subset(gallery, order)
    moved = rank_features(query_features, gallery_features[torch.from_numpy(order)], query, shuffled, MARKET)
    assert_identical(plain, moved)


def test_a_zero_feature_has_similarity_zero_to_everything():
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


def small_tiles(monkeypatch):
    """Tiles that a few images fill, and little that is held at a time."""
    for module, name, value in (
        (sweep, "BLOCK", 8),
        (sweep, "WIDTH", 16),
        (sweep, "LOOK", 5),
        (counting, "WIDTH", 16),
        (counting, "HELD", 128),
        (keys, "MAX_PLACES", 32),
        (tiles, "STRIPE", 4),
        (identities, "PEOPLE", 2),
    ):
        assert hasattr(module, name)
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("copies", [True, False])
def test_tiles_change_no_bit(metric, copies, monkeypatch):
    for seed in range(12):
        sides = world(seed, 23, 151, copies=copies)
        expected = rank(exact_distances(*sides[:2], metric), *MARKET.judge(*sides[2:]))
        with monkeypatch.context() as patched:
            small_tiles(patched)
            assert_identical(rank_features(*sides, MARKET, metric=metric, block=9), expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("head", [1, 6, 40, 200])
def test_the_heads_of_ranked_lists_are_those_of_a_stable_sort_without_junk(metric, copies, head, monkeypatch):
    for seed in range(4):
        sides = world(seed, 23, 151, copies=copies)
        distmat, (relevant, keep) = exact_distances(*sides[:2], metric), MARKET.judge(*sides[2:])
        with monkeypatch.context() as patched:
            small_tiles(patched)
            lists = ranked_lists(*sides, MARKET, head=head, metric=metric, block=9)
        assert_identical(lists.ranking, rank_features(*sides, MARKET, metric=metric))
        for row, found in enumerate(lists.head):
            kept = keep[row].nonzero()[0]
            nearest = kept[np.argsort(distmat[row, kept], kind="stable")[:head]]
            assert found.tolist() == [*nearest, *[-1] * (head - len(nearest))]
            assert lists.right[row].nonzero()[0].tolist() == relevant[row, nearest].nonzero()[0].tolist()


@pytest.mark.parametrize("name", ["market", "llcm"])
def test_a_query_without_an_answer_has_a_ranked_list_too(name):
    query_features, gallery_features, query, gallery = world(3)
    query.pids[:] = 99
    lists = ranked_lists(query_features, gallery_features, query, gallery, PROTOCOLS[name], head=5)
    assert lists.ranking.num_valid_queries == 0
    assert (lists.head >= 0).all()


@pytest.mark.parametrize("name", ["market", "llcm"])
def test_a_gallery_of_bad_detections_alone_answers_nobody(name):
    query_features, gallery_features, query, gallery = world(3)
    gallery.pids[:] = -1
    ranking = rank_features(query_features, gallery_features, query, gallery, PROTOCOLS[name])
    assert ranking.num_valid_queries == 0
    assert not ranking.num_kept.any()


def test_identical_features_are_ranked_by_the_gallery_index(monkeypatch):
    query, gallery = (reference.labels(num, np.random.default_rng(0)) for num in (5, 300))
    sides = torch.ones(5, 4), torch.ones(300, 4), query, gallery
    small_tiles(monkeypatch)
    expected = rank(np.zeros((5, 300)), *MARKET.judge(query, gallery))
    assert_identical(rank_features(*sides, MARKET), expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_device_ranks_in_the_bits_of_main_memory(metric, monkeypatch):
    # All that a GPU does but for the GPU: its tile, over several tiles, protocols and classes of images.
    for seed in range(4):
        sides = world(seed, 23, 151, copies=seed % 2 == 1)
        with monkeypatch.context() as patched:
            small_tiles(patched)
            patched.setattr(sweep, "make_tile", lambda made, rows: tiles.DeviceTile(made.query_rows(rows)))
            together = rank_protocols(*sides, list(PROTOCOLS.values()), metric=metric)
            lists = ranked_lists(*sides, MARKET, head=6, metric=metric)
        for protocol, ranking in zip(PROTOCOLS.values(), together, strict=True):
            assert_identical(ranking, rank_features(*sides, protocol, metric=metric))
        expected = ranked_lists(*sides, MARKET, head=6, metric=metric)
        np.testing.assert_array_equal(lists.head, expected.head)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_rounding_of_a_device_within_the_bound_changes_no_bit(metric, monkeypatch):
    """Processors add in orders of their own; here every product is off by up to all that is allowed."""

    class Rounded(tiles.DeviceTile):
        def __init__(self, query, slack):
            super().__init__(query)
            self.slack, self.rng = slack, np.random.default_rng(0)

        def near(self, rows, limits, blank, first):
            everything = np.full(len(limits), np.inf, dtype=np.float32)
            cells = super().near(rows, everything, blank, first)
            owners, values, columns = keys.rows_of(cells), keys.values_of(cells), keys.places_of(cells)
            allowed = self.slack[owners] * self.rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], len(owners))
            values = (values.astype(np.float64) + allowed).astype(np.float32)
            is_near = values <= limits[owners - rows.start]
            return keys.pack(owners[is_near], values[is_near], columns[is_near])

    for seed in range(4):
        sides = world(seed, 23, 151, copies=seed % 2 == 1)
        expected = ranked_lists(*sides, MARKET, head=6, metric=metric)
        with monkeypatch.context() as patched:
            small_tiles(patched)
            patched.setattr(
                sweep, "make_tile", lambda made, rows: Rounded(made.query_rows(rows), made.slack(rows))
            )
            lists = ranked_lists(*sides, MARKET, head=6, metric=metric)
        assert_identical(lists.ranking, expected.ranking)
        np.testing.assert_array_equal(lists.head, expected.head)


def test_one_pass_serves_all_protocols(monkeypatch):
    sides = world(13, 23, 151)
    small_tiles(monkeypatch)
    together = rank_protocols(*sides, list(PROTOCOLS.values()))
    for protocol, ranking in zip(PROTOCOLS.values(), together, strict=True):
        assert_identical(ranking, rank_features(*sides, protocol))


def test_zero_features_and_features_of_any_scale_are_ranked_alike():
    sides = world(14)
    expected = rank_features(*sides, MARKET)
    for scale in (2.0**-80, 2.0**-10, 2.0**70):
        scaled = [features.double() * scale for features in sides[:2]]
        assert_identical(rank_features(*scaled, *sides[2:], MARKET), expected)
        squared = rank_features(*scaled, *sides[2:], MARKET, metric="euclidean")
        assert_identical(squared, rank_features(*sides, MARKET, metric="euclidean"))


def test_a_protocol_that_judges_strangers_one_by_one_is_refused():
    class Odd:
        cmc, ap_topk = "image", None

        def judge(self, query, gallery):
            relevant, keep = MARKET.judge(query, gallery)
            return relevant, keep & (query.camids[:, None] != gallery.camids)

    with pytest.raises(InputError, match="pass it to rank"):
        rank_features(*world(15), Odd())


@pytest.mark.parametrize("num_threads", [1, 2])
def test_the_number_of_threads_changes_no_bit(num_threads):
    sides = world(16, 40, 400, 64)
    expected = rank(exact_distances(*sides[:2], "cosine"), *MARKET.judge(*sides[2:]))
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        assert_identical(rank_features(*sides, MARKET), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("width", [16, 40])
def test_without_a_compiler_the_bits_are_the_same(metric, width, monkeypatch):
    for seed in range(4):
        sides = world(seed, 23, 151, width, copies=seed % 2 == 1)
        with monkeypatch.context() as patched:
            small_tiles(patched)
            expected = ranked_lists(*sides, MARKET, head=6, metric=metric)
            patched.setattr(comparison, "library", lambda: None)
            lists = ranked_lists(*sides, MARKET, head=6, metric=metric)
        assert_identical(lists.ranking, expected.ranking)
        np.testing.assert_array_equal(lists.head, expected.head)


def test_a_device_tile_equals_a_host_tile():
    rng = np.random.default_rng(0)
    query, gallery = (torch.from_numpy(rng.standard_normal((num, 9))).float() for num in (64, 101))
    limits = rng.standard_normal(40).astype(np.float32)
    blank = np.array([3, 102, 3900])
    host, device = tiles.HostTile(query), tiles.DeviceTile(query)
    for addends in (None, torch.ones(101)):
        for tile in (host, device):
            tile.turn(gallery, addends)
        found, expected = (tile.near(slice(24, 64), limits, blank, 7) for tile in (device, host))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_device_that_rounds_products_in_another_way_gives_the_same_bits(monkeypatch, metric, dtype):
    with pretend_gpu(monkeypatch, rounding=2.0**-20):
        check_that_a_gpu_gives_the_same_bits(metric, dtype)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gpu_gives_the_same_bits(metric, dtype):
    check_that_a_gpu_gives_the_same_bits(metric, dtype)


def check_that_a_gpu_gives_the_same_bits(metric, dtype):
    query, gallery, *labels = world(17, 100, 3000, 64)
    here = query.to(dtype), gallery.to(dtype)
    there = [features.to("cuda") for features in here]
    for found, expected in zip(
        rank_protocols(*there, *labels, list(PROTOCOLS.values()), metric=metric),
        rank_protocols(*here, *labels, list(PROTOCOLS.values()), metric=metric),
        strict=True,
    ):
        assert_identical(found, expected)
    lists = [ranked_lists(*side, *labels, MARKET, head=9, metric=metric) for side in (here, there)]
    np.testing.assert_array_equal(lists[0].head, lists[1].head)
