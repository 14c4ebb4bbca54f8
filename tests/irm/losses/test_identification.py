import pytest
import torch

from irm.losses import identification_loss


@pytest.mark.parametrize(
    ("case", "smoothing"),
    [("plain_ce", 0.0), ("label_smooth_ce_0.1", 0.1), ("label_smoothing_cross_entropy_0.1", 0.1)],
)
def test_it_gives_the_published_figures(golden, case, smoothing):
    file = golden("irm_triplet")
    logits = torch.tensor(file["inputs"]["logits"], requires_grad=True)
    labels = torch.tensor(file["inputs"]["labels5"])
    loss = identification_loss(logits, labels, label_smoothing=smoothing)
    loss.backward()
    torch.testing.assert_close(loss, torch.tensor(file["outputs"][case]["loss"]), rtol=0, atol=2e-6)
    torch.testing.assert_close(logits.grad, torch.tensor(file["outputs"][case]["grad"]), rtol=0, atol=2e-6)


def test_half_precision_logits_give_a_full_precision_loss():
    logits = torch.randn(4, 7, dtype=torch.bfloat16)
    assert identification_loss(logits, torch.arange(4)).dtype == torch.float32
