"""Equations 1 to 4: against loops, at the ends of lambda, and where their gradients go."""

import pytest
import torch
from torch.nn import functional as F

from irm.losses import batch_hard_triplet_loss
from irm.mllm import SyncReID, language_loss, overall_loss


def test_equation_1_as_a_loss_is_the_mean_over_all_answer_tokens():
    assert language_loss(torch.tensor(12.0), 4) == 3
    assert language_loss(torch.tensor(0.0), 0) == 0


def test_equation_2_is_the_mean_negative_log_likelihood_of_the_persons_label():
    torch.manual_seed(0)
    head, latent, labels = SyncReID(8, 5), torch.randn(6, 8), torch.tensor([0, 0, 1, 1, 4, 4])
    unit = (latent - latent.mean(0)) / (latent.var(0, unbiased=False) + 1e-5).sqrt()
    chances = F.softmax(unit @ head.classifier.weight.T, dim=1)
    by_hand = -sum(chances[row, label].log() for row, label in enumerate(labels)) / 6
    torch.testing.assert_close(head(latent, labels).identification, by_hand)


@pytest.mark.parametrize("margin", [None, 0.3])
def test_equation_3_takes_the_farthest_positive_and_the_nearest_negative(margin):
    torch.manual_seed(0)
    latent, labels = torch.randn(6, 8), [0, 0, 0, 1, 1, 1]
    total = 0.0
    for a in range(6):
        gaps = [(latent[a] - latent[b]).norm() for b in range(6)]
        positive = max(gaps[b] for b in range(6) if labels[b] == labels[a] and b != a)
        negative = min(gaps[b] for b in range(6) if labels[b] != labels[a])
        gap = positive - negative
        total += F.softplus(gap) if margin is None else (gap + margin).clamp(min=0)
    torch.testing.assert_close(batch_hard_triplet_loss(latent, torch.tensor(labels), margin), total / 6)
    head = SyncReID(8, 2, margin=margin)
    torch.testing.assert_close(head(latent, torch.tensor(labels)).triplet, total / 6)


@pytest.mark.parametrize(("lambda_value", "expected"), [(0.3, 0.3 * 2 + 0.7 * (3 + 5)), (0.0, 8), (1.0, 2)])
def test_equation_4_weighs_language_against_reid(lambda_value, expected):
    total = overall_loss(torch.tensor(2.0), torch.tensor(3.0), torch.tensor(5.0), lambda_value)
    torch.testing.assert_close(total, torch.tensor(float(expected)))


@pytest.mark.parametrize("lambda_value", [0.0, 1.0])
def test_at_the_ends_of_lambda_nothing_of_the_other_part_reaches_the_gradient(lambda_value):
    language, identification, triplet = (torch.tensor(1.0, requires_grad=True) for _ in range(3))
    overall_loss(language, identification, triplet, lambda_value).backward()
    assert (language.grad is None) == (lambda_value == 0.0)
    assert (identification.grad is None) == (triplet.grad is None) == (lambda_value == 1.0)
