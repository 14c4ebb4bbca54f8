"""Equations 7 and 8 term by term, and where their gradients go."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from irm.build import build_irm
from irm.config import read_run
from irm.embedder import encode_batch
from irm.losses import (
    adaptive_triplet_loss,
    batch_hard_triplet_loss,
    composition_loss,
    score_triplet_loss,
)
from irm.training.image_text import ImageTextObjective
from irm.training.objectives import IdentityObjective, Objectives, TripletRule
from omnireid.loading.batch import Batch, InstructionBatch

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
EQ_7 = ("identification", "adaptive_triplet", "identification_fused", "adaptive_triplet_fused")
LABELS = torch.tensor([0, 0, 1, 1])
ROWS = torch.arange(4)


def build(*overrides):
    torch.manual_seed(0)
    model, _ = build_irm(read_run(TINY, ["model.drop_path=0", *overrides]))
    return model.train()


def identity(model, *, weights=None, after_neck=False, adaptive=True, temperature=0.1, classes=None):
    torch.manual_seed(1)
    return IdentityObjective(
        {"ctcc/cocas_real1": 2, "trad/market1501": 5} if classes is None else classes,
        dim=model.editing_transformer.embed_dim,
        streams=model.fusion.streams,
        weights={name: 1.0 for name in EQ_7} | (weights or {}),
        triplet=TripletRule(after_neck=after_neck, adaptive=adaptive),
        composition_temperature=temperature,
    )


def image_text(**weights):
    return ImageTextObjective(weights={"contrastive": 1.0, "matching": 1.0} | weights)


def image_batch(seed=2):
    """Two people, two images each; two rows are told a sentence, two a clothes image."""
    rng = torch.Generator().manual_seed(seed)
    return Batch(
        task="ctcc",
        domain="ctcc/cocas_real1",
        images=torch.randn(4, 3, 64, 32, generator=rng),
        instruction=InstructionBatch(
            sentences=("a photo of a person", "red coat"),
            sentence_rows=torch.tensor([0, 2]),
            clothes=torch.randn(2, 3, 32, 32, generator=rng),
            clothes_rows=torch.tensor([1, 3]),
            asked=torch.tensor([-1, 7, -1, 8]),
            bare=torch.tensor([True, False, False, False]),
        ),
        texts=None,
        pids=LABELS,
        labels=LABELS,
        camids=ROWS,
        indices=ROWS,
        worn=torch.tensor([7, 7, 8, 9]),
    )


def described():
    return Batch(
        task="t2i",
        domain="t2i/cuhk_pedes",
        images=image_batch().images,
        instruction=None,
        texts=("a man in red", "red man", "a woman in blue", "blue woman"),
        pids=LABELS,
        labels=LABELS,
        camids=ROWS,
        indices=ROWS,
        worn=torch.tensor([7, 7, 8, 9]),
    )


def trained(module):
    """Names of parameters that a backward pass reached with something other than zero."""
    return {
        name
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().sum() > 0
    }


def test_our_terms_on_outfits_join_equation_7_only_when_asked_for():
    model, batch = build(), image_batch()
    assert set(identity(model)(model, batch).terms) == set(EQ_7)
    weights = {"composition": 2.0, "outfit": 1.0}
    found = identity(model, weights=weights, temperature=0.05)(model, batch)
    assert set(found.terms) == {*EQ_7, *weights}

    output = model(batch.images, encode_batch(model, batch.instruction))
    features = model.joined(model.neck(output, view=batch.domain))
    given = batch.instruction
    marks = (LABELS, given.asked, batch.worn, given.bare)
    expected = composition_loss(features, *marks, temperature=0.05)
    torch.testing.assert_close(found.terms["composition"], expected)


def test_equation_7_is_the_sum_of_its_four_terms():
    model = build()
    objective, batch = identity(model), image_batch()
    breakdown = objective(model, batch)

    given = batch.instruction
    tokens = model.encode(given.sentences, given.sentence_rows, given.clothes, given.clothes_rows)
    output = model(batch.images, tokens)
    heads = objective.classifiers[batch.domain]
    fused = output.fused[:, 0]
    neck = model.necks.banks[batch.domain]
    expected = {
        "identification": F.cross_entropy(neck["edited"](output.edited) @ heads.edited.weight.T, LABELS),
        "identification_fused": F.cross_entropy(neck["fused"](fused) @ heads.fused[0].weight.T, LABELS),
        "adaptive_triplet": adaptive_triplet_loss(output.edited, LABELS, tokens.pooled, 0.3),
        "adaptive_triplet_fused": adaptive_triplet_loss(fused, LABELS, tokens.pooled, 0.3),
    }
    assert {name: term.item() for name, term in breakdown.terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}, rel=1e-5
    )
    assert breakdown.total.item() == pytest.approx(
        sum(term.item() for term in breakdown.terms.values()), rel=1e-6
    )


def test_the_classic_triplet_hears_no_instruction_and_may_have_a_soft_margin():
    model, batch = build(), image_batch()
    objective = identity(model)
    output = model(batch.images, encode_batch(model, batch.instruction))
    for margin in (0.3, None):
        objective.triplet = TripletRule(margin=margin, mining="batch_hard")
        found = objective(model, batch).terms["adaptive_triplet"]
        expected = batch_hard_triplet_loss(output.edited, LABELS, margin)
        torch.testing.assert_close(found, expected)


def test_a_matchers_loss_joins_only_when_asked_for_and_trains_patches_and_matcher():
    model, batch = build("model.matcher=8"), image_batch()
    alone = dict.fromkeys(EQ_7, 0.0) | {"score_triplet": 2.0}
    breakdown = identity(model, weights=alone)(model, batch)
    output = model(batch.images, encode_batch(model, batch.instruction))
    places = model.matcher.places(output.patch_tokens)
    expected = score_triplet_loss(model.matcher(places, places), LABELS, 16.0)
    assert set(breakdown.terms) == {"score_triplet"}
    torch.testing.assert_close(breakdown.terms["score_triplet"], expected)
    breakdown.total.backward()
    reached = trained(model)
    for part in ("matcher.neck", "matcher.norm_scores", "editing_transformer.vit.patch_embed"):
        assert any(name.startswith(part) for name in reached), part
    assert not any(name.startswith(("fusion", "necks")) for name in reached)


def test_weights_multiply_terms_but_terms_are_told_as_they_are():
    model = build()
    plain = identity(model)(model, image_batch())
    weighted = identity(model, weights={"identification": 2.0, "adaptive_triplet": 0.0})(model, image_batch())
    assert set(weighted.terms) == set(EQ_7) - {"adaptive_triplet"}
    assert weighted.terms["identification"].item() == pytest.approx(plain.terms["identification"].item())
    rest = plain.terms["identification_fused"] + plain.terms["adaptive_triplet_fused"]
    assert weighted.total.item() == pytest.approx((2 * plain.terms["identification"] + rest).item(), rel=1e-5)


def test_terms_on_two_streams_are_their_mean():
    model = build("model.fusion.streams=2")
    objective = identity(model)
    breakdown = objective(model, image_batch())
    given = image_batch().instruction
    tokens = model.encode(given.sentences, given.sentence_rows, given.clothes, given.clothes_rows)
    streams = model(image_batch().images, tokens).fused.unbind(dim=1)
    each = [adaptive_triplet_loss(stream, LABELS, tokens.pooled, 0.3).item() for stream in streams]
    assert len(each) == 2
    assert breakdown.terms["adaptive_triplet_fused"].item() == pytest.approx(sum(each) / 2, rel=1e-5)


def test_the_fused_triplet_may_read_what_is_behind_the_neck():
    model = build()
    before = identity(model)(model, image_batch()).terms["adaptive_triplet_fused"]
    after = identity(model, after_neck=True)(model, image_batch()).terms["adaptive_triplet_fused"]
    assert before.item() != pytest.approx(after.item())


def test_without_the_adaptive_margin_the_triplets_are_the_classic_ones():
    model = build()
    batch = image_batch()
    classic = identity(model, adaptive=False)(model, batch).terms
    output = model(batch.images, encode_batch(model, batch.instruction))
    for name, features in (
        ("adaptive_triplet", output.edited),
        ("adaptive_triplet_fused", output.fused[:, 0]),
    ):
        distances = torch.cdist(features, features)
        hinges = [
            F.relu(distances[anchor, friend] + 0.3 - distances[anchor, stranger])
            for anchor, friend in ((0, 1), (1, 0), (2, 3), (3, 2))
            for stranger in range(4)
            if LABELS[stranger] != LABELS[anchor]
        ]
        torch.testing.assert_close(classic[name], torch.stack(hinges).mean())


def test_gradients_of_equation_7_reach_all_that_trains_and_nothing_frozen():
    model = build()
    objective = identity(model)
    optimizer = torch.optim.SGD([*model.parameters(), *objective.parameters()], lr=0.1)
    objective(model, image_batch()).total.backward()
    first = trained(model)
    assert {name for name in first if name.endswith("attn.gate")}, "shut gates learn to open"
    assert not {name for name in first if ".instruction_kv." in name}, "behind a shut gate nothing is heard"
    optimizer.step()
    optimizer.zero_grad()
    objective(model, image_batch()).total.backward()
    reached = trained(model)
    for part in ("attn.gate", "instruction_kv.weight", "instruction_encoder.image.blocks.0.mlp.fc1.weight"):
        assert any(name.endswith(part) for name in reached), part
    for part in ("editing_transformer.vit.patch_embed", "fusion.blocks.0", "necks.banks.ctcc/cocas_real1"):
        assert any(name.startswith(part) for name in reached), part
    assert not any(name.startswith("instruction_encoder.text") for name in reached)
    assert trained(objective) == {
        "classifiers.ctcc/cocas_real1.edited.weight",
        "classifiers.ctcc/cocas_real1.fused.0.weight",
    }


def test_the_instructions_relatedness_takes_no_gradient():
    model = build()
    objective = identity(model, weights={name: 0.0 for name in EQ_7 if name != "adaptive_triplet"})
    objective(model, image_batch()).total.backward()
    assert not {name for name in trained(model) if name.startswith("instruction_encoder")}


def test_equation_8_is_finite_and_trains_its_parts():
    model = build()
    breakdown = image_text()(model, described())
    assert breakdown.total.isfinite()
    assert breakdown.total.item() == pytest.approx(
        sum(term.item() for term in breakdown.terms.values()), rel=1e-6
    )
    breakdown.total.backward()
    reached = trained(model)
    for part in (
        "match_head.head",
        "match_head.cross",
        "image_projection",
        "text_projection",
        "log_temperature",
    ):
        assert any(name.startswith(part) for name in reached), part
    assert "editing_transformer.vit.patch_embed.proj.weight" in reached
    assert not any(name.startswith("instruction_encoder") for name in reached)


def test_either_term_of_equation_8_may_stand_alone():
    model = build()
    assert set(image_text(matching=0.0)(model, described()).terms) == {"contrastive"}
    assert set(image_text(contrastive=0.0)(model, described()).terms) == {"matching"}


def test_hard_negatives_follow_the_steps_seed():
    model = build("model.match_layers=1").eval()
    totals = []
    for seed in (5, 5, 6, 7, 8):
        torch.manual_seed(seed)
        totals.append(image_text()(model, described()).total.item())
    assert totals[0] == totals[1]
    assert len(set(totals)) > 1


def test_a_task_finds_its_objective():
    model = build()
    objectives = Objectives(identity(model), image_text())
    assert set(objectives(model, image_batch()).terms) == set(EQ_7)
    assert set(objectives(model, described()).terms) == {"contrastive", "matching"}


def test_under_bf16_losses_stay_in_full_precision():
    model = build()
    objectives = Objectives(identity(model), image_text())
    for batch in (image_batch(), described()):
        full = objectives(model, batch)
        with torch.autocast("cpu", torch.bfloat16):
            half = objectives(model, batch)
        assert all(term.dtype == torch.float32 for term in half.terms.values())
        assert half.total.item() == pytest.approx(full.total.item(), rel=0.1)
