"""QAConv equals loops: places, scores of all pairs and of single pairs, in blocks or at once."""

import pytest
import torch
from torch import nn

from irm.models import qaconv
from irm.models.qaconv import QAConv

GRID, DIM = (3, 2), 8


@pytest.fixture
def matcher():
    torch.manual_seed(0)
    made = QAConv(DIM, GRID, channels=4)
    for norm in (made.norm_places, made.norm_scores):  # as if trained: nothing is what it began with
        norm.running_mean.fill_(0.3)
        norm.running_var.fill_(1.7)
        nn.init.constant_(norm.weight, 1.3)
        nn.init.constant_(norm.bias, -0.2)
    nn.init.uniform_(made.weigh_places.weight)
    return made.eval()


def tokens(count, seed=1):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, DIM, generator=rng)


def norm(module, value):
    return (value - module.running_mean) / (
        module.running_var + module.eps
    ).sqrt() * module.weight + module.bias


def by_hand(matcher, one, other):
    """The score of two images, place by place."""
    total = 0.0
    for kernels, image in ((one, other), (other, one)):
        best = torch.stack([max(kernel @ place for place in image) for kernel in kernels])
        total = total + matcher.weigh_places(norm(matcher.norm_places, best))
    return norm(matcher.norm_scores, total)[0]


def test_scores_are_those_of_a_loop_over_places(matcher):
    query, gallery = matcher.places(tokens(2)), matcher.places(tokens(3, seed=2))
    expected = torch.stack([torch.stack([by_hand(matcher, q, g) for g in gallery]) for q in query])
    torch.testing.assert_close(matcher(query, gallery), expected, rtol=1e-5, atol=1e-5)


def test_a_place_is_a_unit_vector_of_its_neighbourhood(matcher):
    given = tokens(1)
    places = matcher.places(given)
    torch.testing.assert_close(places.norm(dim=-1), torch.ones(1, 6))
    moved = given.clone()
    moved[0, 5] += 1  # row 2, column 1: not beside row 0
    changed = (matcher.places(moved) != places).any(dim=-1)[0]
    assert changed.tolist() == [False, False, True, True, True, True]


def test_a_score_is_symmetric(matcher):
    one, other = matcher.places(tokens(3)), matcher.places(tokens(3, seed=2))
    torch.testing.assert_close(matcher(one, other), matcher(other, one).T)


def test_single_pairs_have_the_scores_of_the_grid(matcher):
    one, other = matcher.places(tokens(3)), matcher.places(tokens(3, seed=2))
    torch.testing.assert_close(matcher.pairs(one, other), matcher(one, other).diagonal())


def test_blocks_change_neither_scores_nor_gradients_nor_statistics(monkeypatch):
    found = []
    for cells in (1 << 26, 1):
        torch.manual_seed(0)
        matcher = QAConv(DIM, GRID, channels=4).train()
        monkeypatch.setattr(qaconv, "CELLS", cells)
        given = tokens(4).requires_grad_()
        places = matcher.places(given)
        scores = matcher(places, places)
        (scores * torch.arange(16.0).reshape(4, 4)).sum().backward()
        found.append((scores, given.grad, matcher.norm_places.running_mean, matcher.norm_scores.running_var))
    for whole, in_blocks in zip(*found, strict=True):
        torch.testing.assert_close(in_blocks, whole)


def test_it_begins_as_the_mean_of_best_similarities():
    matcher = QAConv(DIM, GRID, channels=4)
    assert torch.all(matcher.weigh_places.weight == 1 / 6)
    places = matcher.eval().places(tokens(2))
    nn.init.zeros_(matcher.weigh_places.bias)
    best = torch.einsum("p c, r c -> p r", *places)
    expected = best.amax(dim=0).mean() + best.amax(dim=1).mean()
    torch.testing.assert_close(matcher(places[:1], places[1:])[0, 0], expected, rtol=1e-4, atol=1e-4)
