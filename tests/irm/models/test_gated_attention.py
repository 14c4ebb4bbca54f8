import pytest
import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block

from irm.models import GatedAttention, InstructionTokens
from irm.models.backbones import build_backbone
from irm.models.editing_transformer import EditingTransformer

GATES = ("per_layer", "per_head")


def draw_instruction(rows=3, length=5, width=24, real=None):
    mask = torch.arange(length)[None] < torch.tensor(real or [length] * rows)[:, None]
    tokens = torch.randn(rows, length, width)
    return InstructionTokens(tokens, mask, tokens[:, 0])


def draw_attention(**options):
    return Attention(16, num_heads=4, qkv_bias=True, **options).eval()


def by_hand(attention, tokens, instruction, gates):
    """Equations 2-4 as printed: one map [softmax(S), g softmax(S')], one matrix [V; V'], head by head."""
    (B, N, D), heads = tokens.shape, attention.num_heads
    q, k, v = attention.qkv(tokens).reshape(B, N, 3, heads, D // heads).unbind(2)
    k2, v2 = attention.project_instruction(instruction.tokens)
    out = torch.zeros(B, N, D, dtype=tokens.dtype)
    for b in range(B):
        real = int(instruction.mask[b].sum())
        for h in range(heads):
            scores = q[b, :, h] @ k[b, :, h].T / (D // heads) ** 0.5
            more = q[b, :, h] @ k2[b, h, :real].T / (D // heads) ** 0.5
            attention_map = torch.cat([scores.softmax(-1), gates[h] * more.softmax(-1)], dim=1)
            part = slice(h * D // heads, (h + 1) * D // heads)
            out[b, :, part] = attention_map @ torch.cat([v[b, :, h], v2[b, h, :real]])
    return attention.proj(out)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("share_kv", [False, True])
def test_a_closed_gate_is_plain_attention_bit_for_bit(gate, tanh, share_kv):
    plain = draw_attention()
    tokens = torch.randn(3, 7, 16)
    expected = plain(tokens)
    instruction = draw_instruction(width=16, real=[5, 2, 1])
    gated = GatedAttention(plain, instruction_dim=16, gate=gate, tanh=tanh, share_kv=share_kv)
    assert torch.equal(gated(tokens, instruction), expected)
    assert torch.equal(gated(tokens), expected)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("tanh", [False, True])
def test_an_open_gate_is_equations_2_to_4_as_printed(gate, tanh):
    gated = GatedAttention(draw_attention(), instruction_dim=24, gate=gate, tanh=tanh).double()
    torch.nn.init.normal_(gated.gate)
    tokens, instruction = torch.randn(3, 7, 16).double(), draw_instruction(real=[5, 2, 1])
    instruction = InstructionTokens(instruction.tokens.double(), instruction.mask, instruction.pooled)
    gates = gated.gate_factor().flatten().expand(4)
    torch.testing.assert_close(gated(tokens, instruction), by_hand(gated, tokens, instruction, gates))
    assert not torch.allclose(gated(tokens, instruction), gated(tokens))


def test_padding_words_change_nothing():
    gated = GatedAttention(draw_attention(), instruction_dim=24)
    torch.nn.init.ones_(gated.gate)
    tokens, instruction = torch.randn(3, 7, 16), draw_instruction()
    padded = instruction.pad_to(40)
    padded.tokens[:, 5:] = 1e4
    torch.testing.assert_close(gated(tokens, padded), gated(tokens, instruction))


def test_a_closed_gate_has_a_gradient_and_its_instruction_has_none():
    gated = GatedAttention(draw_attention(), instruction_dim=24)
    instruction = draw_instruction()
    instruction.tokens.requires_grad_()
    gated(torch.randn(3, 7, 16), instruction).square().sum().backward()
    assert (gated.gate.grad != 0).all()
    assert (instruction.tokens.grad == 0).all() and (gated.instruction_kv.weight.grad == 0).all()


def test_query_and_key_norms_of_the_backbone_stay_in_use():
    plain = draw_attention(qk_norm=True, norm_layer=torch.nn.LayerNorm)
    tokens = torch.randn(3, 7, 16)
    expected = plain(tokens)
    assert torch.equal(GatedAttention(plain, instruction_dim=24)(tokens, draw_instruction()), expected)


def test_half_precision_on_a_cpu_takes_the_written_out_path_to_the_same_result():
    gated = GatedAttention(draw_attention(), instruction_dim=24)
    torch.nn.init.ones_(gated.gate)
    tokens, instruction = torch.randn(3, 7, 16), draw_instruction(real=[5, 2, 1])
    expected = gated(tokens, instruction)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = gated(tokens, instruction)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.02)


def test_what_cannot_be_gated_is_refused():
    with pytest.raises(ValueError, match="width 24 cannot share projections with image tokens of width 16"):
        GatedAttention(draw_attention(), instruction_dim=24, share_kv=True)
    with pytest.raises(ValueError, match="only timm's plain self-attention"):
        GatedAttention(draw_attention(scale_norm=True, norm_layer=torch.nn.LayerNorm), instruction_dim=16)


@pytest.fixture
def authors_block(fill):
    """The authors' small block: 96 wide, 12 heads, q and k sharpened so that attention is not uniform."""
    block = Block(96, 12, qkv_bias=True)
    block.load_state_dict(
        {key: fill(f"gate_small.{key}", value.shape) for key, value in block.state_dict().items()}
    )
    block.attn.qkv.weight.data[:192] *= 8
    gated = GatedAttention(block.attn, instruction_dim=96, gate="per_head", tanh=True, share_kv=True)
    gated.gate.data = fill("gate_small.attn.gate", (1, 12, 1, 1))
    block.attn = gated
    return block


def run(block, tokens, instruction):
    tokens = tokens + block.attn(block.norm1(tokens), instruction)
    return tokens + block.mlp(block.norm2(tokens))


def all_real(tokens):
    return InstructionTokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens[:, 0])


def test_the_authors_gated_block_gives_the_authors_figures(golden, draw, authors_block):
    expected = {key: torch.tensor(value) for key, value in golden("irm_gate")["small"].items()}
    x, tokens = draw("gate_small_x", (2, 10, 96)), draw("gate_small_instruction", (2, 10, 96))
    repeated = tokens[:, :1].expand(-1, 10, -1)
    for given, name in (
        (all_real(tokens), "exact_tanh"),
        (all_real(repeated), "exact_tanh_repeated"),
        (None, "plain"),
    ):
        torch.testing.assert_close(run(authors_block, x, given), expected[name], rtol=0, atol=5e-6)
    attended = authors_block.attn(authors_block.norm1(x), all_real(tokens))
    torch.testing.assert_close(attended, expected["attn_exact"], rtol=0, atol=2e-6)
    one_token = authors_block.attn(authors_block.norm1(x), all_real(tokens[:, :1]))
    ten_times = authors_block.attn(authors_block.norm1(x), all_real(repeated))
    torch.testing.assert_close(one_token, ten_times, rtol=0, atol=2e-6)


@pytest.mark.parametrize("case", ["gate", "gate_zero"])
def test_the_authors_gated_block_gives_the_authors_gradients(golden, draw, authors_block, case):
    expected = {
        key: torch.tensor(value) for key, value in golden("irm_gate")["small_gradients"][case].items()
    }
    if case == "gate_zero":
        authors_block.attn.gate.data.zero_()
    tokens = draw("gate_small_instruction", (2, 10, 96)).requires_grad_()
    out = run(authors_block, draw("gate_small_x", (2, 10, 96)), all_real(tokens))
    (out * draw("gate_small_probe", (2, 10, 96))).sum().backward()
    attention = authors_block.attn
    torch.testing.assert_close(attention.gate.grad.flatten(), expected["d_gate"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.grad[0, 0], expected["d_instruction_row0"], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        attention.qkv.weight.grad.norm(), expected["d_qkv_weight_norm"], rtol=1e-5, atol=0
    )
    torch.testing.assert_close(
        attention.proj.bias.grad[:8], expected["d_proj_bias_first8"], rtol=1e-5, atol=0
    )


@pytest.mark.slow
def test_the_authors_whole_gated_network_gives_the_authors_figures(golden, fill, draw):
    """PASS weights, 12 gated blocks, raw instruction tokens to each: the class token after the final norm."""
    vit = build_backbone("pass_vit_base", (256, 128)).eval()
    weights = {key: fill(key, tensor.shape) for key, tensor in vit.state_dict().items()}
    weights["reg_token"] = torch.cat([fill(f"part_token{part}", (1, 1, 768)) for part in (1, 2, 3)], dim=1)
    prefix = [fill(f"{part}_pos", (1, 1, 768)) for part in ("cls", "part1", "part2", "part3")]
    weights["pos_embed"] = torch.cat([*prefix, fill("pos_embed", (1, 128, 768))], dim=1)
    vit.load_state_dict(weights)
    network = EditingTransformer(vit, instruction_dim=768, gate="per_head", tanh=True, share_kv=True).eval()
    for index, block in enumerate(vit.blocks):
        block.attn.gate.data = fill(f"blocks.{index}.attn.gate", (1, 12, 1, 1))
    images = draw("pass_image_256x128", (2, 3, 256, 128))
    expected = golden("irm_gate")["network"]
    with torch.no_grad():
        distinct = network(images, all_real(draw("gate_net_instruction_tokens", (2, 132, 768))))
        repeated = network(images, all_real(draw("gate_net_instruction_cls", (2, 1, 768))))
    torch.testing.assert_close(
        distinct[:, 0, :64], torch.tensor(expected["distinct_cls_first128"]), rtol=0, atol=2e-5
    )
    torch.testing.assert_close(repeated[:, 0, :64], torch.tensor(expected["repeated_cls"]), rtol=0, atol=2e-5)
