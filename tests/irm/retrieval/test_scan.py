"""The 8-bit scan names every image that float64 brute force finds, whatever the vectors are like."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from irm.retrieval import native
from irm.retrieval import scan as scan_module
from irm.retrieval.native import Coded, Tiles, dot_rows, largest_factor, library
from irm.retrieval.scan import Scan, quantise
from irm.retrieval.vector_store import settle


def brute_force(queries, vectors, k, keep=None):
    """Nearest rows by float64 cosine; the lower row first where two are equally near."""
    query, gallery = (
        side.double() / side.double().norm(dim=1, keepdim=True).clamp_min(1e-300)
        for side in (queries, vectors)
    )
    scores = query @ gallery.T
    if keep is not None:
        scores[:, torch.from_numpy(~keep)] = -torch.inf
    count = len(vectors) if keep is None else int(keep.sum())
    return (-scores).argsort(dim=1, stable=True)[:, : min(k, count)].numpy()


def filled(vectors):
    rows = range(len(vectors))
    parts = [(rows[at : at + 1000], vectors[at : at + 1000].numpy()) for at in rows[::1000]]
    return Scan.of(parts, vectors.shape[1], len(vectors))


def spread(count, dim, generator):
    return torch.randn(count, dim, generator=generator)


def clustered(count, dim, generator):
    centres = torch.randn(20, dim, generator=generator)
    rows = torch.randint(20, (count,), generator=generator)
    return centres[rows] + 0.01 * torch.randn(count, dim, generator=generator)


def spiky(count, dim, generator):
    return torch.randn(count, dim, generator=generator) ** 5 * 10 ** torch.randn(
        count, 1, generator=generator
    )


def doubled(count, dim, generator):
    half = torch.randn((count + 1) // 2, dim, generator=generator)
    return torch.cat([half, half])[:count]


@pytest.mark.parametrize("kind", [spread, clustered, spiky, doubled])
@pytest.mark.parametrize("dim", [7, 96])
def test_one_query_finds_what_brute_force_finds(kind, dim):
    generator = torch.Generator().manual_seed(dim)
    vectors, queries = kind(6000, dim, generator), kind(5, dim, generator)
    scan = filled(vectors)
    expected = brute_force(queries, vectors, 10)
    for query, wanted in zip(queries, expected, strict=True):
        rows = scan.candidates(query, 10)
        assert (np.diff(rows) > 0).all()
        assert set(wanted) <= set(rows)
        assert settle(query.numpy(), rows, vectors[rows].numpy(), 10).ids.tolist() == wanted.tolist()


@pytest.mark.parametrize("way", ["bytes", "16 bits", "floats"])
@pytest.mark.parametrize("kind", [spread, clustered, spiky, doubled])
def test_many_queries_find_what_one_by_one_finds(kind, way, monkeypatch):
    if way == "16 bits" and library() is None:
        pytest.skip("no C compiler here")
    monkeypatch.setattr(scan_module, "multiplies_bytes", lambda: way == "bytes")
    if way == "floats":
        monkeypatch.setattr(scan_module, "library", lambda: None)
    generator = torch.Generator().manual_seed(1)
    vectors, queries = kind(9500, 64, generator), kind(150, 64, generator)
    scan = filled(vectors)
    expected = brute_force(queries, vectors, 10)
    for query, rows, wanted in zip(queries, scan.candidates_of_many(queries, 10), expected, strict=True):
        assert settle(query.numpy(), rows, vectors[rows].numpy(), 10).ids.tolist() == wanted.tolist()


def test_few_candidates_are_left_for_the_slow_comparison():
    generator = torch.Generator().manual_seed(2)
    scan = filled(spread(20000, 256, generator))
    queries = spread(8, 256, generator)
    one_by_one = [len(scan.candidates(query, 10)) for query in queries]
    together = [len(rows) for rows in scan.candidates_of_many(queries, 10)]
    assert max(one_by_one + together) < 400


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3])
def test_rows_that_do_not_count_are_never_named(share):
    generator = torch.Generator().manual_seed(3)
    vectors, queries = spread(5000, 32, generator), spread(4, 32, generator)
    keep = np.random.default_rng(0).random(5000) < share
    scan = filled(vectors)
    expected = brute_force(queries, vectors, 10, keep)
    for many in (False, True):
        found = (
            scan.candidates_of_many(queries, 10, keep)
            if many
            else [scan.candidates(query, 10, keep) for query in queries]
        )
        for query, rows, wanted in zip(queries, found, expected, strict=True):
            assert keep[rows].all()
            assert settle(query.numpy(), rows, vectors[rows].numpy(), 10).ids.tolist() == wanted.tolist()


def test_the_slack_bounds_what_eight_bits_leave_out():
    generator = torch.Generator().manual_seed(4)
    vectors = spiky(500, 48, generator)
    vectors[3] = 0
    codes, scales, slack = quantise(vectors)
    lengths = vectors.double().norm(dim=1, keepdim=True)
    unit = vectors.double() / torch.where(lengths > 0, lengths, 1.0)
    left_out = (unit - codes.double() * scales.double()[:, None]).norm(dim=1)
    assert (left_out <= slack.double()).all()
    assert codes[3].abs().sum() == 0


def test_following_a_write_equals_filling_anew():
    generator = torch.Generator().manual_seed(5)
    vectors = spread(300, 16, generator)
    scan = filled(vectors)
    fresh = spread(3, 16, generator)
    followed = scan.replace(np.array([7, 8, 20]), np.array([20, 300, 301]), fresh)
    kept = [row for row in range(300) if row not in (7, 8, 20)]
    anew = torch.cat([vectors[kept], fresh])
    ids = np.array([*kept, 20, 300, 301])
    order = ids.argsort()
    codes, scales, slack = quantise(anew[torch.from_numpy(order)])
    assert followed.ids.tolist() == ids[order].tolist()
    assert torch.equal(followed.codes, codes)
    assert torch.equal(followed.scales, scales)
    assert torch.equal(followed.slack, slack)


def test_an_empty_scan_finds_nothing():
    scan = Scan(8)
    assert len(scan.candidates(torch.ones(8), 5)) == 0
    assert [len(rows) for rows in scan.candidates_of_many(torch.ones(3, 8), 5)] == [0, 0, 0]


def test_without_a_compiler_the_same_rows_are_named(monkeypatch):
    generator = torch.Generator().manual_seed(6)
    scan, queries = filled(spread(3000, 40, generator)), spread(6, 40, generator)
    expected = [scan.candidates(query, 10).tolist() for query in queries]
    for module in (native, scan_module):
        monkeypatch.setattr(module, "library", lambda: None)
    assert [scan.candidates(query, 10).tolist() for query in queries] == expected


def test_without_a_compiler_products_are_the_same(monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)
    codes = torch.arange(-60, 60, dtype=torch.int8).reshape(12, 10)
    assert torch.equal(dot_rows(codes, codes[3]).long(), codes.long() @ codes[3].long())


@pytest.mark.parametrize("dim", [1, 16, 63, 768])
def test_the_compiled_product_gives_the_integers_of_torch(dim):
    if library() is None:
        pytest.skip("no C compiler here")
    generator = torch.Generator().manual_seed(dim)
    codes = torch.randint(-127, 128, (50, dim), dtype=torch.int8, generator=generator)
    query = torch.randint(-127, 128, (dim,), dtype=torch.int8, generator=generator)
    assert torch.equal(dot_rows(codes, query).long(), codes.long() @ query.long())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("count", "dim"), [(1, 1), (8, 16), (21, 768), (50, 4096)])
def test_a_compiled_tile_gives_the_products_of_torch_up_to_the_largest(count, dim, threads, monkeypatch):
    if library() is None:
        pytest.skip("no C compiler here")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    largest = largest_factor(dim)
    generator = torch.Generator().manual_seed(dim)
    codes = torch.randint(-127, 128, (count, dim), dtype=torch.int8, generator=generator)
    queries = torch.randint(-largest, largest + 1, (5, dim), dtype=torch.int16, generator=generator)
    codes[0], queries[0], queries[1] = 127, largest, -largest
    scales, weights = torch.rand(count, generator=generator), torch.rand(5, generator=generator)
    with ThreadPoolExecutor(threads) as pool:
        tiles = Tiles(Coded(queries, weights), count, pool)
        for part in (slice(None), slice(0, count // 2 + 1), slice(None)):  # memory is used again
            values = tiles.multiply(Coded(codes[part], scales[part]))
            expected = (queries.long() @ codes[part].long().T).float() * scales[part] * weights[:, None]
            assert torch.equal(torch.from_numpy(values), expected)
