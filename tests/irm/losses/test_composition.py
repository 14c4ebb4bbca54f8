"""The composition loss equals a plain loop."""

import math

import pytest
import torch

from irm.losses import composition_loss

LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
WORN = torch.tensor([0, 1, 0, 2, 3, 3, 4, 5])
ASKED = torch.tensor([1, -1, -1, 3, -1, -1, 5, -1])
BARE = torch.tensor([False, True, True, False, True, True, False, False])


def by_loop(features, labels, asked, worn, bare, temperature):
    rows = range(len(features))
    gallery = [row for row in rows if bare[row]]
    found = []
    for row in rows:
        if bare[row] or asked[row] < 0:
            continue
        right = [other for other in gallery if labels[other] == labels[row] and worn[other] == asked[row]]
        if not right:
            continue
        scores = {
            other: math.exp(torch.cosine_similarity(features[row], features[other], dim=0) / temperature)
            for other in gallery
        }
        total = sum(scores.values())
        found.append(sum(-math.log(scores[other] / total) for other in right) / len(right))
    return sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_it_is_the_mean_over_rows_that_ask_for_something_shown(temperature):
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = composition_loss(features, LABELS, ASKED, WORN, BARE, temperature=temperature)
    expected = by_loop(features, *(x.tolist() for x in (LABELS, ASKED, WORN, BARE)), temperature)
    torch.testing.assert_close(found.item(), expected)


def test_the_same_person_in_other_clothes_is_wrong():
    person = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    labels, worn = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2])
    asked, bare = torch.tensor([2, -1, -1]), torch.tensor([False, True, True])
    near_the_wrong_outfit = composition_loss(person, labels, asked, worn, bare)
    asked_for_the_near_one = composition_loss(person, labels, torch.tensor([1, -1, -1]), worn, bare)
    assert near_the_wrong_outfit > 9 > 0.1 > asked_for_the_near_one


@pytest.mark.parametrize(
    ("asked", "bare"),
    [
        (ASKED, torch.zeros(8, dtype=torch.bool)),
        (torch.full((8,), -1), BARE),
        (torch.full((8,), -1), torch.ones(8, dtype=torch.bool)),
    ],
    ids=["no bare row", "nothing asked", "all bare"],
)
def test_a_batch_without_instructions_has_no_loss_and_no_gradient(asked, bare):
    features = torch.randn(8, 5, requires_grad=True)
    loss = composition_loss(features, LABELS, asked, WORN, bare)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(features.grad, torch.zeros(8, 5))


def test_its_gradient_is_that_of_finite_differences():
    features = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: composition_loss(x, LABELS, ASKED, WORN, BARE), features)
