"""Terms that a program adds are weighed, trained and refused like those of the paper."""

import pytest
import torch
from torch import nn

from instructions.errors import InputError
from irm.config import read_run
from irm.training import terms
from irm.training.image_text import ImageTextObjective
from irm.training.irm_setup import build_irm_setup
from irm.training.objectives import IdentityObjective, TripletRule
from tests.irm.training.test_objectives import EQ_7, LABELS, TINY, build, described, image_batch, image_text


class Spread(nn.Module):
    """How far F lies from what is learnt; it also wants patches and the batch's own labels."""

    def __init__(self, dim, num_classes):
        super().__init__()
        self.centres = nn.Parameter(torch.zeros(num_classes, dim))

    def forward(self, output, necked, batch):
        assert output.patch_tokens.shape[1] > 0
        assert necked.edited.shape == output.edited.shape
        return (output.edited - self.centres[batch.labels]).square().mean()


class Agreement(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, image_vectors, text_vectors, labels):
        assert labels.tolist() == LABELS.tolist()
        return 1 - (self.scale * image_vectors * text_vectors).sum(dim=1).mean()


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    monkeypatch.setitem(terms.PICTURE_TERMS, "spread", Spread)
    monkeypatch.setitem(terms.PAIR_TERMS, "agreement", Agreement)


def test_a_image_term_is_added_with_its_factor_and_trains_its_own_parameters():
    model, batch = build(), image_batch()
    dim = model.editing_transformer.embed_dim
    term = Spread(dim, 2)
    objective = IdentityObjective(
        {batch.domain: 2},
        dim=dim,
        streams=1,
        weights=dict.fromkeys(EQ_7, 0.0) | {"spread": 3.0},
        triplet=TripletRule(),
        own={batch.domain: nn.ModuleDict({"spread": term})},
    )
    found = objective(model, batch)
    assert set(found.terms) == {"spread"}
    torch.testing.assert_close(found.total, 3 * found.terms["spread"])
    found.total.backward()
    assert term.centres.grad.abs().sum() > 0
    assert model.editing_transformer.vit.patch_embed.proj.weight.grad.abs().sum() > 0


def test_a_pair_term_reads_the_vectors_that_equation_8_compares():
    model, batch = build().eval(), described()
    width = model.retrieval.projection_dim
    objective = ImageTextObjective(
        weights={"contrastive": 1.0, "matching": 0.0, "agreement": 2.0},
        own=nn.ModuleDict({"agreement": Agreement(width)}),
    )
    found = objective(model, batch)
    text = model.encode_sentences(batch.texts)
    vectors = model.project_image(model(batch.images).edited), model.project_text(text.pooled)
    torch.testing.assert_close(found.terms["agreement"], 1 - (vectors[0] * vectors[1]).sum(dim=1).mean())
    alone = image_text(matching=0.0)(model, batch)
    torch.testing.assert_close(found.total, alone.total + 2 * found.terms["agreement"])


def test_a_sheet_weighs_the_terms_and_each_domain_has_its_own(tiny_root):
    rows = (
        "{task: trad, dataset: market1501}",
        "{task: cc, dataset: ltcc}",
        "{task: t2i, dataset: cuhk_pedes}",
    )
    mixture = f"mixture=[{', '.join(rows)}]"
    own = "losses.own={spread: 0.5, agreement: 2}"
    shop = build_irm_setup(read_run(TINY, [f"data={tiny_root}", mixture, own]), torch.device("cpu"))
    names = [name for name, _ in shop.objectives.named_parameters() if ".own." in name]
    assert names == [
        "by_name.identity.own.trad/market1501.spread.centres",
        "by_name.identity.own.cc/ltcc.spread.centres",
        "by_name.image_text.own.agreement.scale",
    ]
    trained = {id(one) for group in shop.state.optimizer.param_groups for one in group["params"]}
    assert {id(shop.objectives.get_parameter(name)) for name in names} <= trained


def test_a_term_that_nobody_added_is_refused_with_those_that_are_there(tiny_root):
    run = read_run(TINY, [f"data={tiny_root}", "losses.own={spred: 1}"])
    with pytest.raises(
        InputError, match=r"'spred', .*\(did you mean 'spread'\?\); known: .*spread.*agreement"
    ):
        build_irm_setup(run, torch.device("cpu"))


def test_a_term_of_the_papers_is_not_weighed_twice():
    with pytest.raises(InputError, match=r"matching is a built-in term; set weights\.matching"):
        read_run(TINY, ["losses.own={matching: 1}"])


def test_terms_of_ones_own_may_stand_alone():
    nothing = [f"losses.weights.{name}=0" for name in EQ_7]
    with pytest.raises(InputError, match=r"every term of eq\. 7 has weight 0"):
        read_run(TINY, nothing)
    assert read_run(TINY, [*nothing, "losses.own={spread: 1}"]).losses.own == {"spread": 1.0}


@pytest.mark.parametrize(
    ("idle", "own", "equation"),
    [(EQ_7, "agreement", "7"), (("contrastive", "matching"), "spread", "8")],
    ids=["images", "pairs"],
)
def test_a_term_of_one_kind_does_not_stand_for_the_other(tiny_root, idle, own, equation):
    nothing = [f"losses.weights.{name}=0" for name in idle]
    run = read_run(TINY, [f"data={tiny_root}", *nothing, f"losses.own={{{own}: 1}}"])
    with pytest.raises(
        InputError, match=rf"every term of eq\. {equation} has weight 0 and losses\.own adds none"
    ):
        build_irm_setup(run, torch.device("cpu"))


def test_a_term_of_weight_zero_is_not_made(tiny_root):
    run = read_run(TINY, [f"data={tiny_root}", "losses.own={spread: 0, agreement: 1}"])
    shop = build_irm_setup(run, torch.device("cpu"))
    names = [name for name, _ in shop.objectives.named_parameters() if ".own." in name]
    assert names == ["by_name.image_text.own.agreement.scale"]
