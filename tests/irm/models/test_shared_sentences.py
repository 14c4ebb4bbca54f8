"""A sentence shared by all images gives the features of one per image; its K' and V' are computed once."""

import pytest
import torch

from irm.models.tokens import SharedInstruction

SENTENCE = "do not change clothes"


@pytest.fixture
def open_model(tiny_irm):
    """Gates open, differently in each layer, so that a wrong layer's K' would be seen."""
    model = tiny_irm(necks=("trad",))
    for place, block in enumerate(model.editing_transformer.vit.blocks):
        torch.nn.init.constant_(block.attn.gate, 0.5 + place)
    return model


def test_a_shared_sentence_equals_one_sentence_per_image(open_model):
    images = torch.randn(3, 3, 64, 32)
    apart = open_model.encode([SENTENCE] * 3, torch.arange(3))
    with torch.no_grad():
        expected, plain = open_model(images, apart), open_model(images)
        found = open_model(images, open_model.shared.beside(3, SENTENCE))
    torch.testing.assert_close(found.edited, expected.edited)
    torch.testing.assert_close(found.fused, expected.fused)
    torch.testing.assert_close(found.instruction, expected.instruction)
    assert (found.edited - plain.edited).abs().max() > 1e-3


def test_its_keys_are_projected_once_for_many_batches(open_model):
    calls = []
    for block in open_model.editing_transformer.vit.blocks:
        block.attn.instruction_kv.register_forward_hook(lambda *_: calls.append(1))
    for count in (1, 2, 5):
        open_model.embed(torch.randn(count, 3, 64, 32), [SENTENCE] * count, view="trad")
    assert len(calls) == len(open_model.editing_transformer.vit.blocks)


def test_a_changed_weight_empties_the_cache(open_model):
    before = open_model.shared.beside(1, SENTENCE).layers[0].values
    with torch.no_grad():
        open_model.editing_transformer.vit.blocks[0].attn.gate *= 2
    torch.testing.assert_close(open_model.shared.beside(1, SENTENCE).layers[0].values, 2 * before)


def test_a_fused_optimizer_step_empties_the_cache(open_model):
    gate = open_model.editing_transformer.vit.blocks[0].attn.gate
    before = open_model.shared.beside(1, SENTENCE).layers[0].values
    open_model.train()
    gate.grad, version = torch.ones_like(gate), gate._version
    torch.optim.AdamW([gate], lr=0.25, weight_decay=0.0, fused=True).step()
    assert gate._version == version, "torch counts fused steps now; IRM.train need not forget any more"
    found = open_model.eval().shared.beside(1, SENTENCE).layers[0].values
    torch.testing.assert_close(found, before * 0.5)  # Adam's first step is lr: 0.5 becomes 0.25


def test_it_works_without_editing_too(tiny_irm):
    plain_model = tiny_irm(editing={"editing": False})
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        found = plain_model(images, plain_model.shared.beside(2, SENTENCE))
        expected = plain_model(images, plain_model.encode([SENTENCE] * 2, torch.arange(2)))
    torch.testing.assert_close(found.fused, expected.fused)


def test_a_shared_instruction_is_one_of_each_row(open_model):
    shared = open_model.shared.beside(4, SENTENCE)
    assert isinstance(shared, SharedInstruction)
    assert len(shared) == 4 and len(shared.take(torch.tensor([0, 3]))) == 2
