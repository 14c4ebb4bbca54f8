import pytest
import torch
from torch.nn import functional as F

from irm.losses import adaptive_triplet_loss, batch_hard_triplet_loss, relatedness

LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])


def draw(rows=8, width=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, width, generator=generator, dtype=dtype) for _ in range(2))


def beta_by_hand(labels, instructions):
    beta = torch.zeros(len(labels), len(labels), dtype=torch.float64)
    for a in range(len(labels)):
        for r in range(len(labels)):
            if labels[a] == labels[r]:
                beta[a, r] = F.cosine_similarity(instructions[a], instructions[r], dim=0)
    return beta


def eq_5_by_hand(features, labels, beta, margin, squared=False):
    """Equation 5 read aloud: every anchor, every pair of two other images, one by one."""
    total, count = features.sum() * 0, 0
    for a in range(len(labels)):
        for r1 in range(len(labels)):
            for r2 in range(r1 + 1, len(labels)):
                if a in (r1, r2) or abs(beta[a, r1] - beta[a, r2]) < 1e-6:
                    continue
                d1, d2 = (features[a] - features[r1]).norm(), (features[a] - features[r2]).norm()
                if squared:
                    d1, d2 = d1**2, d2**2
                sign = torch.sign(beta[a, r1] - beta[a, r2])
                total = total + (sign * (d1 + (beta[a, r1] - beta[a, r2]) * margin - d2)).clamp(min=0)
                count += 1
    return total / max(count, 1)


def all_triplets_by_hand(features, labels, margin):
    """The classic loss over all (anchor, positive, negative)."""
    terms = []
    for a in range(len(labels)):
        for p in range(len(labels)):
            for n in range(len(labels)):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    d_p, d_n = (features[a] - features[p]).norm(), (features[a] - features[n]).norm()
                    terms.append((d_p - d_n + margin).clamp(min=0))
    return torch.stack(terms).mean()


def test_strangers_are_never_related():
    instructions = torch.randn(4, 768)
    beta = relatedness(torch.tensor([3, 3, 3, 8]), instructions)
    assert (beta[3, :3] == 0).all() and (beta[:3, 3] == 0).all()
    torch.testing.assert_close(beta[0, 2], F.cosine_similarity(instructions[0], instructions[2], dim=0))


def test_equal_instructions_are_related_by_exactly_one_whatever_the_rounding():
    instructions = torch.randn(50, 768, generator=torch.Generator().manual_seed(0))
    unit = F.normalize(instructions)
    assert ((unit * unit).sum(dim=1) != 1).any()
    beta = relatedness(torch.zeros(100, dtype=torch.int64), instructions.repeat(2, 1))
    assert (beta.diagonal() == 1).all() and (beta.diagonal(offset=50) == 1).all()


def test_relatedness_takes_no_part_in_the_gradient():
    instructions = torch.randn(4, 8, requires_grad=True)
    assert not relatedness(torch.tensor([0, 0, 1, 1]), instructions).requires_grad


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("margin", [0.3, 2.0])
def test_all_triplets_equal_equation_5_as_a_loop(margin, squared):
    features, instructions = draw()
    expected = eq_5_by_hand(features, LABELS, beta_by_hand(LABELS, instructions), margin, squared)
    actual = adaptive_triplet_loss(features, LABELS, instructions, margin, "all", squared=squared)
    torch.testing.assert_close(actual, expected)


def test_the_gradient_of_all_triplets_equals_that_of_the_loop():
    features, instructions = draw(seed=3)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    adaptive_triplet_loss(ours, LABELS, instructions).backward()
    eq_5_by_hand(theirs, LABELS, beta_by_hand(LABELS, instructions), 0.3).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_positive_with_an_opposite_instruction_is_less_related_than_a_stranger():
    features, _ = draw(rows=3)
    instructions = torch.tensor([[1.0, 0.0], [-1.0, 0.1], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1])
    expected = eq_5_by_hand(features, labels, beta_by_hand(labels, instructions), 0.3)
    torch.testing.assert_close(adaptive_triplet_loss(features, labels, instructions), expected)


@pytest.mark.parametrize("mining", ["all", "released"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_instructions_are_the_same_as_none(mining, dtype):
    features, instructions = draw(dtype=dtype, width=33)
    equal = instructions[:1].expand(len(features), -1)
    with_equal = adaptive_triplet_loss(features, LABELS, equal, mining=mining)
    assert torch.equal(with_equal, adaptive_triplet_loss(features, LABELS, None, mining=mining))


@pytest.mark.parametrize("labels", [LABELS, torch.tensor([0, 0, 0, 0, 1, 2, 2, 3]), torch.arange(8)])
def test_with_equal_instructions_the_released_mining_is_batch_hard_exactly(labels):
    features, instructions = draw(dtype=torch.float32)
    ours, theirs = features.clone().requires_grad_(), features.clone().requires_grad_()
    adaptive = adaptive_triplet_loss(ours, labels, instructions[:1].expand(8, -1), mining="released")
    classic = batch_hard_triplet_loss(theirs, labels)
    assert torch.equal(adaptive, classic)
    adaptive.backward(), classic.backward()
    assert torch.equal(ours.grad, theirs.grad)


def test_with_equal_instructions_all_triplets_are_the_classic_margin_loss():
    features, _ = draw()
    expected = all_triplets_by_hand(features, LABELS, 0.3)
    torch.testing.assert_close(adaptive_triplet_loss(features, LABELS, None), expected, rtol=1e-12, atol=0)


def test_rounding_never_separates_equal_instructions():
    """Every person has one instruction; had noise a sign, pairs of positives would be pushed apart."""
    features = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(16).repeat_interleave(4)
    per_person = torch.randn(16, 768, generator=torch.Generator().manual_seed(2))[labels]
    for mining in ("all", "released"):
        classic = adaptive_triplet_loss(features, labels, None, mining=mining)
        assert torch.equal(adaptive_triplet_loss(features, labels, per_person, mining=mining), classic)


@pytest.mark.parametrize("mining", ["all", "released"])
def test_equally_related_references_form_no_triplet(mining):
    """The anchor's instruction differs from theirs, which are equal but for noise far below the tie."""
    features, _ = draw(rows=3)
    labels, noise = torch.zeros(3, dtype=torch.int64), 1e-9 * torch.randn(3, 5, dtype=torch.float64)
    anchor_asks, others_ask = torch.eye(5, dtype=torch.float64)[0], torch.full((5,), 0.3, dtype=torch.float64)
    instructions = torch.stack([anchor_asks, others_ask, others_ask])
    exact = adaptive_triplet_loss(features, labels, instructions, mining=mining)
    for sign in (1, -1):
        noisy = adaptive_triplet_loss(features, labels, instructions + sign * noise, mining=mining)
        torch.testing.assert_close(noisy, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mining", ["all", "released"])
@pytest.mark.parametrize("squared", [False, True])
def test_the_gradient_equals_finite_differences(mining, squared):
    features, instructions = draw(seed=5)
    assert torch.autograd.gradcheck(
        lambda x: adaptive_triplet_loss(x, LABELS, instructions, 0.3, mining, squared=squared),
        features.requires_grad_(),
        atol=1e-6,
    )


@pytest.mark.parametrize("mining", ["all", "released"])
def test_gradients_stay_finite_where_features_coincide(mining):
    features = torch.ones(8, 4).requires_grad_()
    loss = adaptive_triplet_loss(features, LABELS, torch.rand(8, 8), mining=mining)
    loss.backward()
    assert loss.isfinite() and features.grad.isfinite().all()


@pytest.mark.parametrize("mining", ["all", "released"])
@pytest.mark.parametrize("labels", [torch.zeros(4, dtype=torch.int64), torch.arange(4), torch.arange(1)])
def test_a_batch_without_triplets_has_a_small_finite_loss_and_a_gradient(mining, labels):
    features = torch.randn(len(labels), 3, requires_grad=True)
    loss = adaptive_triplet_loss(features, labels, torch.randn(len(labels), 5), mining=mining)
    loss.backward()
    assert 0 <= loss < 10 and features.grad.isfinite().all()


def test_a_shift_of_all_features_changes_nothing():
    features, instructions = draw(dtype=torch.float32)
    near = adaptive_triplet_loss(features, LABELS, instructions)
    far = adaptive_triplet_loss(features + 100, LABELS, instructions)
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)


def test_half_precision_features_give_a_full_precision_loss():
    features, instructions = draw(dtype=torch.bfloat16)
    loss = adaptive_triplet_loss(features, LABELS, instructions)
    assert loss.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = adaptive_triplet_loss(features.float(), LABELS, instructions.float())
    assert torch.equal(loss, under_autocast)


def test_an_unknown_mining_is_refused():
    features, instructions = draw()
    with pytest.raises((ValueError, TypeError), match="hard"):
        adaptive_triplet_loss(features, LABELS, instructions, mining="hard")


def test_no_saved_tensor_of_128_images_is_cubic():
    """Of two million triplets of 32 x 4 images 48 000 have two relatednesses."""
    labels = torch.arange(32).repeat_interleave(4)
    features = torch.randn(128, 768, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: sizes.append(saved.numel()) or saved, lambda x: x
    ):
        sizes = []
        adaptive_triplet_loss(features, labels, torch.randn(128, 768))
    assert max(sizes) <= 128 * 768


CASES = {
    "adaptive_P4K4_random_instructions": {},
    "adaptive_P4K4_equal_instructions": {"instructions": "equal"},
    "adaptive_P4K4_instruction_per_class": {"instructions": "per_class"},
    "adaptive_P4K4_shuffled_rows": {"pids": "pids_shuffled"},
    "adaptive_P4K4_margin1": {"margin": 1.0},
    "adaptive_P4K4_normalized": {"normalise": True},
    "adaptive_P4K4_clustered": {"features": "features_clustered"},
    "adaptive_P8K2_random_instructions": {"pids": "pids_P8K2", "tolerance": 1e-3},
}


@pytest.mark.parametrize("case", CASES)
def test_the_released_mining_gives_the_authors_figures(golden, case):
    file, how = golden("irm_triplet"), CASES[case]
    inputs = {key: torch.tensor(value) for key, value in file["inputs"].items()}
    pids = inputs[how.get("pids", "pids_P4K4")]
    instructions = {
        "equal": inputs["instructions"][:1].repeat(16, 1),
        "per_class": inputs["instruction_per_class"][pids % 4],
        None: inputs["instructions"],
    }[how.get("instructions")]
    features = inputs[how.get("features", "features")].requires_grad_()
    seen = F.normalize(features) if how.get("normalise") else features
    loss = adaptive_triplet_loss(seen, pids, instructions, how.get("margin", 0.3), "released")
    loss.backward()
    # With K = 2 the authors' second positive is the anchor itself, its distance rounding noise.
    tolerance = {"rtol": 0, "atol": how.get("tolerance", 2e-6)}
    torch.testing.assert_close(loss, torch.tensor(file["outputs"][case]["loss"]), **tolerance)
    torch.testing.assert_close(features.grad, torch.tensor(file["outputs"][case]["grad"]), **tolerance)
