"""The learning rate at the steps the paper names, and which parameters decay."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from instructions.errors import InputError
from irm.build import build_irm, named_parameters
from irm.config import read_run
from irm.models import build_backbone
from irm.training.optimizer import (
    build_optimizer,
    is_decayed,
    learning_rate,
    parameter_groups,
    set_learning_rate,
)

SHEETS = Path(__file__).parents[3] / "configs" / "irm"
RANDOM = (
    "model.backbone=pass_vit_base",
    "model.instruction.text_weights=null",
    "model.instruction.image=albef_vit_base",
)
PAPER = {"lr": 1e-5, "warmup_from": 1e-7, "warmup_steps": 1000, "steps": 24_000}


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 1e-7), (500, (1e-7 + 1e-5) / 2), (1000, 1e-5), (12_500, 5e-6), (24_000, 0.0), (30_000, 0.0)],
)
def test_the_rate_rises_to_the_papers_figure_and_falls_to_zero(step, expected):
    assert learning_rate(step, **PAPER, schedule="cosine") == pytest.approx(expected, abs=1e-12)


def test_a_constant_schedule_stays_where_the_warm_up_ends():
    assert {learning_rate(step, **PAPER, schedule="constant") for step in (1000, 5000, 24_000)} == {1e-5}


def test_the_released_schedule_is_a_product_of_warm_up_and_cosine():
    assert learning_rate(1000, **PAPER, schedule="released") == pytest.approx(
        1e-5 * 0.5 * (1 + math.cos(math.pi / 24)), rel=1e-12
    )


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert learning_rate(0, lr=1e-3, warmup_from=0.0, warmup_steps=0, steps=10, schedule="cosine") == 1e-3


def test_a_cosine_may_end_above_zero():
    rates = [learning_rate(step, **PAPER, schedule="cosine", lr_end=2e-6) for step in (1000, 12_500, 24_000)]
    assert rates == pytest.approx([1e-5, 6e-6, 2e-6])


def test_steps_fall_to_a_tenth_at_each_milestone():
    rule = {**PAPER, "schedule": "steps", "milestones": (5000, 9000)}
    rates = [learning_rate(step, **rule) for step in (500, 4999, 5000, 8999, 9000)]
    assert rates == pytest.approx([(1e-7 + 1e-5) / 2, 1e-5, 1e-6, 1e-6, 1e-7])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1, 2, 1, 1))
        self.linear = nn.Linear(2, 2)
        self.norm = nn.LayerNorm(2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def grouped(decay="weights", **multipliers):
    block = Block()
    groups = parameter_groups(
        block.named_parameters(), weight_decay=5e-4, decay=decay, lr_multipliers=multipliers
    )
    names = {parameter: name for name, parameter in block.named_parameters()}
    return [
        (group["weight_decay"], group["lr_scale"], [names[p] for p in group["params"]]) for group in groups
    ]


def test_gates_biases_and_norms_do_not_decay_and_frozen_parameters_are_left_out():
    assert grouped() == [
        (0.0, 1.0, ["gate", "linear.bias", "norm.weight", "norm.bias"]),
        (5e-4, 1.0, ["linear.weight"]),
    ]


def test_tokens_and_positions_of_every_tower_do_not_decay():
    from transformers import BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    towers = {
        "bert": BertModel(BertConfig(**sizes, vocab_size=9, max_position_embeddings=7)),
        "clip": CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=16, patch_size=8)),
        "vit": build_backbone("tiny"),
    }
    spared = {
        f"{tower}.{name}"
        for tower, module in towers.items()
        for name, parameter in module.named_parameters()
        if parameter.ndim > 1 and not is_decayed(name, parameter)
    }
    assert {name.partition(".")[0] for name in spared} == {"bert", "clip", "vit"}
    assert all(re.search("position_emb|token_type|pos_embed|cls_token", name) for name in spared)
    assert "bert.embeddings.token_type_embeddings.weight" in spared


def test_everything_decays_when_asked_as_in_the_released_code():
    assert grouped(decay="all") == [
        (5e-4, 1.0, ["gate", "linear.weight", "linear.bias", "norm.weight", "norm.bias"])
    ]


def test_the_longest_prefix_gives_the_factor():
    scales = {
        name: scale for _, scale, names in grouped(linear=2.0, **{"linear.bias": 3.0}) for name in names
    }
    assert scales == {
        "gate": 1.0,
        "norm.weight": 1.0,
        "norm.bias": 1.0,
        "linear.weight": 2.0,
        "linear.bias": 3.0,
    }


def test_a_prefix_is_a_whole_name_and_one_that_fits_nothing_is_refused():
    with pytest.raises(InputError, match="'lin'"):
        grouped(lin=2.0)


def test_a_model_with_nothing_to_train_is_refused():
    with pytest.raises(InputError, match="frozen"):
        parameter_groups(
            nn.Linear(1, 1).requires_grad_(False).named_parameters(),
            weight_decay=0,
            decay="all",
            lr_multipliers={},
        )


def test_each_layer_of_a_vit_base_learns_as_the_formula_says():
    """Of L = 12 blocks, block i at decay ** (L - i), what comes before at decay ** (L + 1), the rest at 1."""
    decay = 0.75
    with torch.device("meta"):
        model, _ = build_irm(read_run(SHEETS / "base.yaml", RANDOM))
    groups = parameter_groups(
        named_parameters(model=model), weight_decay=0.1, decay="weights", lr_multipliers={}, layer_decay=decay
    )
    optimizer = build_optimizer(groups, lr=1.0)
    set_learning_rate(optimizer, 2e-5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    vit = model.editing_transformer.vit
    expected = {id(p): 2e-5 for p in model.parameters() if p.requires_grad}
    expected |= {id(p): 2e-5 * decay**13 for p in vit.parameters()}
    for place, block in enumerate(vit.blocks):
        expected |= {id(p): 2e-5 * decay ** (12 - place) for p in block.parameters()}
        new = [
            block.attn.gate,
            *block.attn.instruction_kv.parameters(),
        ]  # gates, k' and v' start from nothing
        expected |= {id(p): 2e-5 for p in new}
    expected |= {id(p): 2e-5 for p in vit.norm.parameters()}
    assert len(vit.blocks) == 12 and rates.keys() == expected.keys()
    assert rates == pytest.approx(expected, rel=1e-12)


def test_each_group_gets_its_share_of_the_rate():
    optimizer = build_optimizer(
        parameter_groups(
            Block().named_parameters(), weight_decay=0.1, decay="weights", lr_multipliers={"gate": 10.0}
        ),
        lr=1.0,
    )
    set_learning_rate(optimizer, 0.5)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.5, 0.5, 5.0]


def test_biases_may_learn_faster():
    block = Block()
    groups = parameter_groups(
        block.named_parameters(), weight_decay=1e-4, decay="all", lr_multipliers={"linear": 3.0}, bias_lr=2.0
    )
    scales = {id(one): group["lr_scale"] for group in groups for one in group["params"]}
    found = {name: scales[id(one)] for name, one in block.named_parameters() if one.requires_grad}
    assert found == {
        "gate": 1.0,
        "linear.weight": 3.0,
        "linear.bias": 6.0,
        "norm.weight": 1.0,
        "norm.bias": 2.0,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", 1.0 - 0.1 * (0.5 + 0.2 * 1.0)),  # decay goes through the gradient
        ("adam", 1.0 - 0.1),  # so it does here, where only the sign is left at the first step
        ("adamw", 1.0 * (1 - 0.1 * 0.2) - 0.1),  # decay beside the gradient
    ],
)
def test_each_optimizer_takes_its_own_first_step(name, expected):
    weight = nn.Parameter(torch.ones(1))
    optimizer = build_optimizer(
        [{"params": [weight], "weight_decay": 0.2, "lr_scale": 1.0}], lr=0.1, name=name
    )
    weight.grad = torch.full((1,), 0.5)
    optimizer.step()
    assert weight.item() == pytest.approx(expected, rel=1e-5)


def test_sgd_remembers_its_momentum():
    weight = nn.Parameter(torch.zeros(1))
    group = [{"params": [weight], "weight_decay": 0.0, "lr_scale": 1.0}]
    optimizer = build_optimizer(group, lr=1.0, name="sgd", momentum=0.5)
    moves = []
    for _ in range(2):
        before = weight.item()
        weight.grad = torch.ones(1)
        optimizer.step()
        moves.append(before - weight.item())
    assert moves == pytest.approx([1.0, 1.5])
