"""The outfit loss equals a plain loop."""

import math

import torch

from irm.losses import outfit_loss


def by_loop(features, outfits, temperature):
    unit = [row / row.norm() for row in features]
    losses = []
    for i, anchor in enumerate(unit):
        others = [j for j in range(len(unit)) if j != i]
        whole = sum(math.exp(float(anchor @ unit[j]) / temperature) for j in others)
        partners = [j for j in others if outfits[j] == outfits[i]]
        if partners:
            shares = [math.exp(float(anchor @ unit[j]) / temperature) / whole for j in partners]
            losses.append(-sum(math.log(share) for share in shares) / len(partners))
    return sum(losses) / len(losses) if losses else 0.0


def test_it_equals_the_loop():
    features = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outfits = torch.tensor([0, 1, 0, 2, 1, 0, 3])
    for temperature in (0.1, 1.0):
        found = outfit_loss(features, outfits, temperature=temperature)
        torch.testing.assert_close(found.item(), by_loop(features, outfits.tolist(), temperature))


def test_gradients_are_right_and_a_image_without_a_partner_is_only_a_stranger():
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: outfit_loss(x, torch.tensor([0, 0, 1, 2])), features)


def test_without_partners_it_is_zero_with_a_zero_gradient():
    features = torch.randn(3, 4).requires_grad_()
    loss = outfit_loss(features, torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert features.grad.eq(0).all()
