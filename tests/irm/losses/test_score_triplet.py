import pytest
import torch

from irm.losses import score_triplet_loss


def by_hand(scores, labels, margin):
    terms = []
    for a in range(len(labels)):
        own = [scores[a, b] for b in range(len(labels)) if b != a and labels[b] == labels[a]]
        strangers = [scores[a, b] for b in range(len(labels)) if labels[b] != labels[a]]
        if own and strangers:
            terms.append((max(strangers) + margin - min(own)).clamp(min=0))
    return torch.stack(terms).mean() if terms else torch.zeros(())


def scores(count):
    return 4 * torch.randn(count, count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "labels", [[0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 1, 2, 2, 2]], ids=["p3k3", "one alone"]
)
@pytest.mark.parametrize("margin", [1.0, 16.0])
def test_it_takes_the_worst_positive_and_the_best_negative(labels, margin):
    given, labels = scores(len(labels)), torch.tensor(labels)
    torch.testing.assert_close(
        score_triplet_loss(given, labels, margin).double(), by_hand(given, labels, margin).double()
    )


def test_no_image_is_its_own_positive():
    given = torch.zeros(4, 4).fill_diagonal_(-1000.0)
    assert score_triplet_loss(given, torch.tensor([0, 0, 1, 1]), 16.0) == 16.0


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_positives_or_negatives_has_no_loss_and_a_finite_gradient(labels):
    given = scores(3).requires_grad_()
    loss = score_triplet_loss(given, torch.tensor(labels))
    loss.backward()
    assert loss == 0
    assert torch.all(given.grad == 0)


def test_the_gradient_equals_finite_differences():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert torch.autograd.gradcheck(lambda x: score_triplet_loss(x, labels), scores(6).requires_grad_())
