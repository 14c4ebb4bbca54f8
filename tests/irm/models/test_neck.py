import pytest
import torch

from irm.models import NeckBank


def test_each_domain_keeps_its_own_statistics():
    bank = NeckBank(["trad/market1501", "cc/ltcc"], 4).train()
    for _ in range(200):
        bank(torch.randn(16, 4) + 5, name="trad/market1501", feature="edited")
    bank.eval()
    at_home = bank(torch.full((1, 4), 5.0), name="trad/market1501", feature="edited")
    abroad = bank(torch.full((1, 4), 5.0), name="cc/ltcc", feature="edited")
    other_feature = bank(torch.full((1, 4), 5.0), name="trad/market1501", feature="fused")
    assert at_home.abs().max() < 0.5 and abroad.min() > 4 and other_feature.min() > 4


def test_the_shift_stays_at_zero():
    bank = NeckBank(["a"], 4)
    trained = {name for name, parameter in bank.named_parameters() if parameter.requires_grad}
    assert all(name.endswith("weight") for name in trained) and len(trained) == 2


def test_an_unknown_domain_is_refused_with_the_known_ones():
    bank = NeckBank(["trad/market1501", "cc/ltcc"], 4)
    with pytest.raises(ValueError, match=r"no neck 'li/real1' \(known: trad/market1501, cc/ltcc\)"):
        bank(torch.randn(2, 4), name="li/real1", feature="edited")


def test_names_that_would_share_statistics_are_refused():
    with pytest.raises(ValueError, match="not unique"):
        NeckBank(["a.b", "a_b"], 4)
