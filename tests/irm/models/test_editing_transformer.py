import copy

import pytest
import torch

from irm.models import EditingTransformer, InstructionTokens, build_backbone

KINDS = {
    "patches": {},
    "convolutions": {"stem": "convolution"},
    "registers": {"reg_tokens": 3},
    "layer_scale": {"init_values": 0.1},
    "norm_before": {"pre_norm": True},  # as CLIP
    "positions_on_patches_only": {"no_embed_class": True},
}


def draw_instruction(rows=2, width=24):
    tokens = torch.randn(rows, 6, width)
    mask = torch.ones(rows, 6, dtype=torch.bool)
    mask[0, 3:] = False
    return InstructionTokens(tokens, mask, tokens[:, 0])


def open_gates(model, opening=0.5):
    for block in model.vit.blocks:
        block.attn.gate.data.fill_(opening)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_closed_gates_leave_every_backbone_unchanged_bit_for_bit(kind):
    vit = build_backbone("tiny", **KINDS[kind]).eval()
    images = torch.randn(2, 3, 64, 32)
    plain = vit.forward_features(images)
    model = EditingTransformer(vit, instruction_dim=24)
    assert torch.equal(model(images, draw_instruction()), plain)
    assert torch.equal(model(images), plain)


def test_open_gates_let_the_instruction_edit_every_token():
    model = open_gates(EditingTransformer(build_backbone("tiny"), instruction_dim=24)).eval()
    images = torch.randn(2, 3, 64, 32)
    first, second = model(images, draw_instruction()), model(images, draw_instruction())
    assert ((first - second).abs().amax(dim=-1) > 1e-6).all()


def test_closed_gates_are_exact_in_training_too_drop_path_included():
    vit = build_backbone("tiny", drop_path=0.5).train()
    images, instruction = torch.randn(8, 3, 64, 32), draw_instruction(rows=8)
    torch.manual_seed(3)
    plain = vit.forward_features(images)
    model = EditingTransformer(vit, instruction_dim=24).train()
    torch.manual_seed(3)
    assert torch.equal(model(images, instruction), plain)


def test_without_editing_it_is_the_backbone_and_has_no_parameter_more():
    vit = build_backbone("tiny").eval()
    model = EditingTransformer(vit, instruction_dim=24, editing=False)
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(model(images, draw_instruction()), vit.forward_features(images))
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in build_backbone("tiny").parameters()
    )


def test_checkpointing_changes_no_gradient():
    plain = open_gates(EditingTransformer(build_backbone("tiny"), instruction_dim=24)).train()
    saving = copy.deepcopy(plain)
    saving.checkpointing = True
    images, instruction = torch.randn(2, 3, 64, 32), draw_instruction()
    for model in (plain, saving):
        model(images, instruction).square().sum().backward()
    for expected, actual in zip(plain.parameters(), saving.parameters(), strict=True):
        assert torch.equal(expected.grad, actual.grad)


def test_a_plain_backbone_s_weights_load_and_gates_stay_closed():
    vit = build_backbone("tiny").eval()
    model = EditingTransformer(build_backbone("tiny"), instruction_dim=24).eval()
    model.load_backbone(vit)
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(model(images, draw_instruction()), vit.forward_features(images))


def test_a_backbone_of_another_shape_is_refused():
    model = EditingTransformer(build_backbone("tiny"), instruction_dim=24)
    with pytest.raises(ValueError, match=r"'pos_embed' of the backbone is \(1, 17, 32\)"):
        model.load_backbone(build_backbone("tiny", (128, 32)))
    with pytest.raises(ValueError, match=r"the backbone contains 'blocks\.2"):
        model.load_backbone(build_backbone("tiny", depth=3))
