"""What is shown of a layer is what the layer did: put together again, it gives the layer's own output."""

import numpy as np
import pytest
import torch
from einops import rearrange

from irm.inside.attention import (
    LayerAttention,
    attention_rollout,
    merge_word_pieces,
    record_attention,
    rescaled,
    to_grid,
)
from irm.models import IRM, SentenceTokenizer

SENTENCE = "a man in a red coat"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = IRM(
        backbone={"name": "tiny", "image_size": [64, 32]},
        instruction={"text": {"name": "tiny"}, "image": {"name": "tiny", "image_size": [32, 32]}},
        editing={"gate": "per_head", "tanh": True},
        necks=["li/a"],
        match=None,
    )
    made.attach_tokenizer(SentenceTokenizer.characters())
    for place, block in enumerate(made.editing_transformer.vit.blocks):
        block.attn.gate.data = torch.tensor([0.2, -0.5, 0.0, 1.0]).reshape(1, 4, 1, 1) + 0.1 * place
    return made.eval()


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shared", [True, False])
def test_maps_and_loudness_are_those_of_the_layers_own_output(model, images, shared):
    told = model.shared.beside(2, SENTENCE) if shared else model.encode_sentences([SENTENCE] * 2)
    attention, kept = model.editing_transformer.vit.blocks[1].attn, []
    handle = attention.register_forward_hook(lambda _, given, out: kept.append((given[0], out)))
    with record_attention(model.editing_transformer) as layers:
        model(images, told)
    handle.remove()
    tokens, out = kept[0]
    view = layers[1]
    v = rearrange(attention.qkv(tokens[:1]), "1 n (three h d) -> three h n d", three=3, h=4)[2]
    _, v_told = attention.project_instruction(model.encode_sentences([SENTENCE]).tokens)
    own, influence_map = (
        view.attention @ v,
        torch.tanh(attention.gate[0]) * (view.instruction.attention @ v_told[0]),
    )
    torch.testing.assert_close(attention.proj(rearrange(own + influence_map, "h n d -> n (h d)")), out[0])
    torch.testing.assert_close(view.instruction.influence, influence_map.norm(dim=-1) / own.norm(dim=-1))


def test_padding_is_never_listened_to(model, images):
    told = model.encode_sentences([SENTENCE, "red"]).take(torch.tensor([1, 0]))
    with record_attention(model.editing_transformer) as layers:
        model(images, told)
    assert layers[0].instruction.attention[..., ~told.mask[0]].abs().max() == 0


def test_watching_changes_nothing_and_ends(model, images):
    expected = model.embed(images, [SENTENCE] * 2)
    with record_attention(model.editing_transformer) as layers:
        watched = model.embed(images, [SENTENCE] * 2)
    model.embed(images)
    torch.testing.assert_close(watched, expected, rtol=0, atol=0)
    assert len(layers) == 2


def test_without_an_instruction_nobody_is_told_anything(model, images):
    with record_attention(model.editing_transformer) as layers:
        model.embed(images)
    assert [layer.instruction for layer in layers] == [None, None]


def test_rollout_follows_attention_through_the_layers():
    # Token 0 is the class token, 1 to 4 a grid of 2 x 2. The first layer brings patch 4 into patch 1, the
    # second patch 1 into the class token: so a quarter of what it ends with is patch 4's, as much patch 1's.
    first, second = torch.eye(5)[None].clone(), torch.eye(5)[None].clone()
    first[0, 1], second[0, 0] = torch.eye(5)[4], torch.eye(5)[1]
    heat = attention_rollout([LayerAttention(first, None), LayerAttention(second, None)], 1, (2, 2))
    np.testing.assert_allclose(heat, [[1, 0], [0, 1]])


def test_a_map_lies_row_by_row_and_is_stretched():
    grid = to_grid(torch.tensor([9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 2, (3, 2))
    np.testing.assert_array_equal(grid, [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_allclose(rescaled(grid), (grid - 1) / 5)
    np.testing.assert_array_equal(rescaled(np.ones((2, 2))), np.zeros((2, 2)))


def test_pieces_of_a_word_are_added_up_and_signs_left_out():
    # Spelt by characters: [CLS] r ##e ##d c ##o ##a ##t [SEP]
    weights = torch.tensor([5.0, 1, 1, 1, 2, 2, 2, 0, 7])
    assert merge_word_pieces(SentenceTokenizer.characters(), "red coat", weights) == (
        ("red", pytest.approx(1 / 3)),
        ("coat", pytest.approx(2 / 3)),
    )
