import pytest
import torch

from irm.models import Fusion, InstructionTokens, MatchHead, build_backbone


def draw(rows=2, length=6, width=24, dim=32):
    tokens = torch.randn(rows, length, width)
    mask = torch.ones(rows, length, dtype=torch.bool)
    return torch.randn(rows, 1 + 2 + 8, dim), InstructionTokens(tokens, mask, tokens[:, 0])


def fusion(**options):
    return Fusion(32, num_heads=4, instruction_dim=24, num_prefix_tokens=3, **options).eval()


def by_hand(model, sequence):
    for block in model.blocks:
        sequence = block(sequence)
    return sequence[:, 0]


def test_one_stream_is_the_class_token_among_the_instruction():
    model, (tokens, instruction) = fusion(), draw()
    expected = by_hand(model, torch.cat([tokens[:, :1], model.project(instruction.tokens)], dim=1))
    torch.testing.assert_close(model(tokens, instruction), expected[:, None])


def test_two_streams_swap_their_class_tokens_and_leave_registers_out():
    model, (tokens, instruction) = fusion(streams=2), draw()
    words = model.project(instruction.tokens)
    expected = [
        by_hand(model, torch.cat([tokens[:, :1], words[:, 1:]], dim=1)),
        by_hand(model, torch.cat([words[:, :1], tokens[:, 3:]], dim=1)),
    ]
    torch.testing.assert_close(model(tokens, instruction), torch.stack(expected, dim=1))


@pytest.mark.parametrize("streams", [1, 2])
def test_padding_words_change_nothing_unless_asked_for(streams):
    tokens, instruction = draw()
    padded = instruction.pad_to(15)
    padded.tokens[:, 6:] = 3.0
    model = fusion(streams=streams)
    torch.testing.assert_close(model(tokens, padded), model(tokens, instruction))
    model.mask_padding = False
    assert not torch.allclose(model(tokens, padded), model(tokens, instruction))


def test_no_instruction_is_an_instruction_of_padding_alone():
    model, (tokens, instruction) = fusion(), draw()
    silent = InstructionTokens(instruction.tokens, torch.zeros_like(instruction.mask), instruction.pooled)
    torch.testing.assert_close(model(tokens, None), model(tokens, silent))
    assert fusion(streams=2)(tokens, None).shape == (2, 2, 32)


def test_blocks_can_start_from_a_backbone():
    vit, model = build_backbone("tiny", depth=3), fusion()
    model.copy_blocks(vit.blocks[-2:])
    assert torch.equal(model.blocks[0].mlp.fc1.weight, vit.blocks[1].mlp.fc1.weight)
    assert torch.equal(model.blocks[1].attn.qkv.bias, vit.blocks[2].attn.qkv.bias)


def test_three_streams_are_refused():
    with pytest.raises(ValueError, match=r"1 stream .* or 2 .*, not 3"):
        fusion(streams=3)


def test_the_match_head_reads_text_and_image():
    head = MatchHead(24, image_dim=32, layers=2, num_heads=4, hidden_dim=48).eval()
    image, text = draw()
    logits = head(text, image)
    assert logits.shape == (2, 2)
    assert not torch.allclose(logits, head(text, image.roll(1, dims=0)))
    padded = text.pad_to(12)
    padded.tokens[:, 6:] = 3.0
    torch.testing.assert_close(head(padded, image), logits)


def test_shared_blocks_are_the_backbones_own_and_learn_from_both():
    vit, (tokens, instruction) = build_backbone("tiny", depth=3).eval(), draw()
    model = fusion(streams=2, shared=(vit.blocks[0], vit.blocks[-1]))
    assert [name for name, _ in model.named_parameters()] == ["project.weight", "project.bias"]
    words = model.project(instruction.tokens)
    sequence = torch.cat([tokens[:, :1], words[:, 1:]], dim=1)
    torch.testing.assert_close(model(tokens, instruction)[:, 0], vit.blocks[2](vit.blocks[0](sequence))[:, 0])
    model(tokens, instruction).sum().backward()
    assert vit.blocks[0].mlp.fc1.weight.grad is not None and vit.blocks[1].mlp.fc1.weight.grad is None
