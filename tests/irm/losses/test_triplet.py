import pytest
import torch
from torch.nn import functional as F

from irm.losses import batch_hard_triplet_loss


def by_hand(features, labels, margin):
    terms = []
    for a in range(len(labels)):
        distances = [(features[a] - features[b]).norm() for b in range(len(labels))]
        positive = max(d for d, label in zip(distances, labels, strict=True) if label == labels[a])
        negative = min(d for d, label in zip(distances, labels, strict=True) if label != labels[a])
        terms.append((positive - negative + margin).clamp(min=0))
    return torch.stack(terms).mean()


def test_it_takes_the_farthest_positive_and_the_nearest_negative():
    features = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    torch.testing.assert_close(batch_hard_triplet_loss(features, labels, 0.7), by_hand(features, labels, 0.7))


def test_the_gradient_equals_finite_differences():
    features = torch.randn(
        6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert torch.autograd.gradcheck(lambda x: batch_hard_triplet_loss(x, labels), features, atol=1e-6)


def test_a_single_person_has_no_loss():
    assert batch_hard_triplet_loss(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)) == 0


@pytest.mark.parametrize(
    ("case", "which", "normalise"),
    [
        ("transreid_hard_triplet_margin0.3", "features", False),
        ("transreid_hard_triplet_margin0.3_clustered", "features_clustered", False),
        ("transreid_hard_triplet_margin0.3_normalized", "features", True),
    ],
)
def test_it_gives_transreids_figures(golden, case, which, normalise):
    file = golden("irm_triplet")
    features = torch.tensor(file["inputs"][which], requires_grad=True)
    pids = torch.tensor(file["inputs"]["pids_P4K4"])
    loss = batch_hard_triplet_loss(F.normalize(features) if normalise else features, pids)
    loss.backward()
    torch.testing.assert_close(loss, torch.tensor(file["outputs"][case]["loss"]), rtol=0, atol=2e-6)
    torch.testing.assert_close(features.grad, torch.tensor(file["outputs"][case]["grad"]), rtol=0, atol=2e-6)
