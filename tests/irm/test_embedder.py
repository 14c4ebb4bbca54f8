"""Features in bfloat16: near those of float32, handed out in float32, of unit length."""

from types import SimpleNamespace

import pytest
import torch

from irm.embedder import IRMEmbedder
from tests.irm.training.test_objectives import build, described, image_batch


@pytest.fixture(scope="module")
def model():
    made = build()
    for block in made.editing_transformer.vit.blocks:
        torch.nn.init.constant_(block.attn.gate, 0.5)
    return made.eval()


@pytest.mark.parametrize("batch", [image_batch(), described()], ids=["ctcc", "t2i"])
def test_half_precision_gives_nearly_the_same_unit_vectors(model, batch):
    exact = IRMEmbedder(model).embed(batch, "gallery")
    half = IRMEmbedder(model, autocast=torch.bfloat16).embed(batch, "gallery")
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.norm(dim=-1), torch.ones(4))
    assert 0 < (half - exact).abs().max() < 0.05


@pytest.mark.parametrize(
    ("trained", "domain", "used"),
    [
        (["ctcc/ltcc", "ctcc/cocas_real1"], "ctcc/cocas_real2", "ctcc/cocas_real1"),
        (["ctcc/ltcc", "ctcc/cocas_real1"], "ctcc/ltcc", "ctcc/ltcc"),
        (["trad/msmt17", "cc/ltcc", "cc/prcc"], "cc/vc_clothes", "cc/ltcc"),
        (["trad/msmt17", "cc/ltcc"], "vi/llcm", "trad/msmt17"),
    ],
)
def test_statistics_are_those_of_the_nearest_training_set(trained, domain, used):
    model = SimpleNamespace(necks=SimpleNamespace(names=trained))
    assert IRMEmbedder.view(SimpleNamespace(model=model), domain) == used
