import copy
import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from irm.models import IRM, TEXT_ENCODERS, SentenceTokenizer, build_backbone

SENTENCES = ["do not change clothes", "ignore clothes", "a red coat and blue trousers"]


def draw_images(rows=3):
    return torch.randn(rows, 3, 64, 32), torch.randn(rows, 3, 32, 32)


def test_one_pass_yields_what_losses_and_searches_read(tiny_irm):
    images, _ = draw_images()
    for streams in (1, 2):
        model = tiny_irm(fusion={"streams": streams})
        output = model(images, model.encode(SENTENCES, torch.arange(3)))
        assert output.edited.shape == (3, 32) and output.fused.shape == (3, streams, 32)
        assert output.instruction.shape == (3, 32) and output.patch_tokens.shape == (3, 8, 32)
        assert model(images).instruction is None


def test_the_instruction_changes_both_features(tiny_irm):
    model, (images, _) = tiny_irm(), draw_images()
    same = model(images, model.encode(["ignore clothes"] * 3, torch.arange(3)))
    other = model(images, model.encode(["wear a red coat"] * 3, torch.arange(3)))
    assert (same.edited - other.edited).abs().max() > 1e-5
    assert (same.fused - other.fused).abs().max() > 1e-5


def test_with_closed_gates_the_edited_feature_is_the_plain_backbone_s(tiny_irm):
    model, (images, _) = tiny_irm(opening=0.0), draw_images()
    instructed = model(images, model.encode(SENTENCES, torch.arange(3)))
    assert torch.equal(instructed.edited, model(images).edited)


def test_sentences_and_clothes_images_share_a_batch(tiny_irm):
    model, (images, clothes) = tiny_irm(), draw_images()
    mixed = model.embed(images, ["ignore clothes", clothes[1], "wear a long red coat"], view="a")
    sentences = model.embed(images[[0, 2]], ["ignore clothes", "wear a long red coat"], view="a")
    torch.testing.assert_close(mixed[[0, 2]], sentences, rtol=0, atol=2e-6)
    torch.testing.assert_close(
        mixed[1:2], model.embed(images[1:2], clothes[1:2], view="a"), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize(("feature", "width"), [("edited", 32), ("fused", 64), ("both", 96)])
def test_the_retrieval_feature_is_chosen_when_the_model_is_built(tiny_irm, feature, width):
    model = tiny_irm(fusion={"streams": 2}, retrieval={"feature": feature})
    features = model.embed(draw_images()[0], SENTENCES, view="b")
    assert features.shape == (3, width)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    raw = tiny_irm(fusion={"streams": 2}, retrieval={"feature": feature, "normalise": False})
    assert raw.embed(draw_images()[0], SENTENCES, view="b").norm(dim=1).min() > 1.5


def test_each_view_has_its_own_statistics(tiny_irm):
    model, (images, _) = tiny_irm(), draw_images()
    model.necks.banks["b"]["edited"].running_mean.fill_(1.0)
    assert not torch.allclose(model.embed(images, view="a"), model.embed(images, view="b"))
    alone = tiny_irm(necks=("only",))
    assert torch.equal(alone.embed(images), alone.embed(images, view="only"))


def test_a_saved_model_comes_back_bit_for_bit(tiny_irm, tmp_path):
    images, clothes = draw_images()
    model = tiny_irm(
        backbone={"name": "tiny", "image_size": [64, 32], "reg_tokens": 2, "stem": "convolution"},
        editing={"gate": "per_head", "tanh": True},
        fusion={"streams": 2},
        retrieval={"feature": "both"},
        reading={"max_tokens": 30},
    )
    model.save_pretrained(tmp_path / "irm")
    loaded = IRM.from_pretrained(tmp_path / "irm")
    assert not loaded.training and loaded.tokenizer.max_tokens == 30
    for instructions in (SENTENCES, clothes, None):
        expected = model.embed(images, instructions, view="a")
        assert torch.equal(loaded.embed(images, instructions, view="a"), expected)
    assert torch.equal(loaded.embed_text(SENTENCES), model.embed_text(SENTENCES))
    names = {path.name for path in (tmp_path / "irm").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    config = json.loads((tmp_path / "irm" / "config.json").read_text())
    assert config["necks"] == ["a", "b"] and config["backbone"]["stem"] == "convolution"


def test_saving_again_replaces_each_file_whole_and_leaves_nothing_behind(tiny_irm, tmp_path):
    tiny_irm(seed=1).save_pretrained(tmp_path / "irm")
    (tmp_path / "irm" / "notes.txt").write_text("mine")
    second = tiny_irm(seed=2)
    second.save_pretrained(tmp_path / "irm")
    assert (tmp_path / "irm" / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["irm"]
    images, _ = draw_images()
    assert torch.equal(
        IRM.from_pretrained(tmp_path / "irm").embed(images, view="a"), second.embed(images, view="a")
    )


def test_what_is_no_saved_model_is_refused(tmp_path, tiny_irm):
    with pytest.raises(ValueError, match=r"does not contain an IRM: it has no config\.json"):
        IRM.from_pretrained(tmp_path)
    tiny_irm().save_pretrained(tmp_path / "irm")
    (tmp_path / "irm" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"does not contain an IRM: it has no model\.safetensors"):
        IRM.from_pretrained(tmp_path / "irm")


@pytest.mark.parametrize("change", ["missing", "renamed", "extra", "another shape"])
def test_weights_that_are_not_all_its_own_are_refused_by_name(change, tmp_path, tiny_irm):
    tiny_irm().save_pretrained(tmp_path / "irm")
    file, name = tmp_path / "irm" / "model.safetensors", "editing_transformer.vit.blocks.1.attn.qkv.weight"
    weights = load_file(file)
    kept = weights[name] if change == "extra" else weights.pop(name)
    if change != "missing":
        weights[name + ".other" if change in ("renamed", "extra") else name] = kept[1:].clone()
    save_file(weights, file)
    with pytest.raises(ValueError, match=f"a different model.*{re.escape(name)}"):
        IRM.from_pretrained(tmp_path / "irm")


def test_weights_that_are_cut_off_are_refused(tmp_path, tiny_irm):
    tiny_irm().save_pretrained(tmp_path / "irm")
    file = tmp_path / "irm" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.safetensors of .* is damaged or truncated"):
        IRM.from_pretrained(tmp_path / "irm")


@pytest.mark.parametrize("name", ["pass_vit_base", "hap_vit_base", "solider_vit_small", "albef_vit_base"])
def test_weights_that_timm_does_not_have_are_not_taken_from_another_tower(name):
    with pytest.raises(ValueError, match=f"timm publishes no weights for {name}"):
        build_backbone(name, pretrained=True)


def test_the_sentence_cache_changes_nothing_but_the_time(tiny_irm):
    cached, fresh = tiny_irm(), tiny_irm(reading={"cache": 0})
    kept, new = (
        cached.encode_sentences([*SENTENCES, SENTENCES[0]]),
        fresh.encode_sentences([*SENTENCES, SENTENCES[0]]),
    )
    assert torch.equal(kept.mask, new.mask)
    torch.testing.assert_close(kept.tokens[kept.mask], new.tokens[new.mask])
    torch.testing.assert_close(kept.pooled, new.pooled)
    assert torch.equal(kept.tokens[0], kept.tokens[3])


def test_features_of_a_sentence_do_not_depend_on_its_batch(tiny_irm):
    """A resumed run asks for sentences in another order than the run that never stopped."""
    first, second = tiny_irm(), tiny_irm()
    first.encode_sentences(SENTENCES)
    short = second.encode_sentences(SENTENCES[:1])
    assert torch.equal(first.encode_sentences(SENTENCES).tokens[0, : short.tokens.shape[1]], short.tokens[0])


def test_new_weights_empty_the_cache(tiny_irm):
    model, other = tiny_irm(), tiny_irm(seed=5)
    before = model.encode_sentences(SENTENCES).pooled
    model.load_state_dict(other.state_dict())
    after = model.encode_sentences(SENTENCES).pooled
    assert not torch.equal(before, after) and torch.equal(after, other.encode_sentences(SENTENCES).pooled)


def test_a_trained_text_encoder_is_never_cached_and_takes_gradients(tiny_irm):
    model = tiny_irm(instruction={"freeze_text": False}).train()
    model.encode_sentences(SENTENCES).pooled.sum().backward()
    assert model.instruction_encoder.text.embeddings.word_embeddings.weight.grad is not None


def test_equal_sentences_are_equal_under_dropout_too(tiny_irm):
    model = tiny_irm(instruction={"freeze_text": False}).train()
    pooled = model.encode_sentences(["ignore clothes"] * 4).pooled
    assert torch.equal(pooled[0], pooled[3])


def test_features_are_full_precision_even_when_first_asked_for_under_autocast(tiny_irm):
    model, reference = tiny_irm(), tiny_irm()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.encode_sentences(SENTENCES)
    assert torch.equal(model.encode_sentences(SENTENCES).tokens, reference.encode_sentences(SENTENCES).tokens)


def test_text_and_image_meet_in_one_space_and_in_the_match_head(tiny_irm):
    model, (images, _) = tiny_irm(), draw_images()
    assert model.embed_text(SENTENCES).shape == model.embed_image(images).shape == (3, 256)
    torch.testing.assert_close(model.embed_text(SENTENCES).norm(dim=1), torch.ones(3))
    output = model(images)
    tokens = output.match_tokens
    assert tokens.shape == (3, 1 + 8, 32) and torch.equal(tokens[:, 0], output.edited)
    assert model.match(model.encode_sentences(SENTENCES), tokens).shape == (3, 2)
    with pytest.raises(ValueError, match="no match head"):
        tiny_irm(match=None).match(model.encode_sentences(SENTENCES), tokens)


def test_the_temperature_learns_and_stays_within_bounds(tiny_irm):
    model = tiny_irm()
    torch.testing.assert_close(model.temperature.detach(), torch.tensor(0.07))
    model.temperature.backward()
    assert model.log_temperature.grad > 0
    model.log_temperature.data.fill_(9.0)
    assert model.temperature == 0.5


def test_every_part_that_takes_part_in_training_takes_a_gradient(tiny_irm):
    model, (images, clothes) = tiny_irm(instruction={"freeze_images": False}).train(), draw_images()
    instruction = model.encode(SENTENCES[:1], torch.tensor([1]), clothes[:2], torch.tensor([2, 0]))
    output = model(images, instruction)
    matched = model.match(model.encode_sentences(SENTENCES), output.match_tokens)
    projected = (
        model.project_image(output.edited) * model.project_text(instruction.pooled) / model.temperature
    )
    features = model.retrieval_features(output, view="a") + model.necks(
        output.fused[:, 0], name="a", feature="fused"
    )
    (features.sum() + matched.square().sum() + projected.square().sum()).backward()
    silent = {name for name, p in model.named_parameters() if p.requires_grad and p.grad is None}
    assert silent == {f"necks.banks.b.{feature}.weight" for feature in ("edited", "fused")}


def test_a_backbone_s_weights_come_into_the_model_and_its_fusion(tiny_irm):
    model, vit = tiny_irm(opening=0.0), build_backbone("tiny").eval()
    model.load_backbone(vit)
    images, _ = draw_images()
    assert torch.equal(model(images).edited, vit.forward_features(images)[:, 0])
    assert torch.equal(model.fusion.blocks[-1].mlp.fc2.weight, vit.blocks[-1].mlp.fc2.weight)


def test_a_copied_model_is_independent(tiny_irm):
    model, (images, _) = tiny_irm(), draw_images()
    expected = model.embed(images, SENTENCES, view="a")
    copied = copy.deepcopy(model)
    torch.nn.init.ones_(copied.instruction_encoder.text.embeddings.word_embeddings.weight)
    assert not torch.equal(copied.embed(images, SENTENCES, view="a"), expected)
    assert torch.equal(model.embed(images, SENTENCES, view="a"), expected)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda model, images: model.embed(images, SENTENCES[:2], view="a"), "2 instructions for 3 images"),
        (lambda model, images: model.embed(images, SENTENCES), r"pass the view .* \(available: a, b\)"),
        (lambda model, images: model.embed(images, SENTENCES, view="c"), r"no neck 'c' \(known: a, b\)"),
        (lambda model, images: model.train().embed(images, view="a"), r"call model\.eval\(\)"),
        (
            lambda model, _: model.encode((), torch.tensor([], dtype=torch.int64)),
            "neither a sentence nor",
        ),
    ],
)
def test_misuse_is_refused_in_a_sentence(tiny_irm, ask, sentence):
    with pytest.raises(ValueError, match=sentence):
        ask(tiny_irm(), draw_images()[0])


def test_a_model_without_a_tokenizer_says_so(tiny_irm):
    model = tiny_irm()
    model.sentence_encoder.tokenizer = None
    with pytest.raises(ValueError, match="no tokenizer"):
        model.embed(draw_images()[0], SENTENCES, view="a")
    small = IRM(
        backbone={"name": "tiny"},
        instruction={"text": {"name": "tiny", "vocab_size": 50}, "image": {"name": "tiny"}},
    )
    with pytest.raises(ValueError, match="but the text encoder only 50"):
        small.attach_tokenizer(SentenceTokenizer.characters())


def test_the_full_size_model_is_the_papers():
    """ViT-B/16 at 256x128 with ALBEF (6 text layers, ViT-B at 128x128, 6 layers with cross-attention)."""
    with torch.device("meta"):
        model = IRM(necks=["trad/market1501"])
    millions = {
        name: sum(parameter.numel() for parameter in part.parameters()) / 1e6
        for name, part in model.named_children()
    }
    vit, gates = 85.75, 12 * (2 * 768 * (768 + 1) + 1) / 1e6
    assert millions["editing_transformer"] == pytest.approx(vit + gates, abs=0.01)
    assert millions["instruction_encoder"] == pytest.approx(66.36 + 85.70, abs=0.02)
    assert millions["match_head"] == pytest.approx(6 * (7.088 + 2.364), abs=0.05)
    assert millions["fusion"] == pytest.approx(14.18, abs=0.01)
    assert model.image_size == (256, 128) and model.clothes_size == (128, 128)
    assert model.reading.albef == TEXT_ENCODERS["albef_base"].albef


def test_what_is_remembered_ahead_is_the_same_in_any_order(tiny_irm):
    first, second, fresh = tiny_irm(), tiny_irm(), tiny_irm(reading={"cache": 0})
    first.precompute([*SENTENCES, *SENTENCES])
    second.precompute(reversed(SENTENCES))
    kept = first.encode_sentences(SENTENCES)
    assert torch.equal(kept.tokens, second.encode_sentences(SENTENCES).tokens)
    new = fresh.encode_sentences(SENTENCES)
    assert torch.equal(kept.mask, new.mask) and (kept.tokens[~kept.mask] == 0).all()
    torch.testing.assert_close(kept.tokens[kept.mask], new.tokens[new.mask])
    torch.testing.assert_close(kept.pooled, new.pooled)
    first.sentence_encoder.tokenizer = None  # nothing is left to read
    first.encode_sentences(SENTENCES)


def test_in_training_only_what_was_read_ahead_is_remembered_and_a_batch_is_read_in_one_pass(
    tiny_irm, monkeypatch
):
    model = tiny_irm().train()
    model.precompute(SENTENCES[:2])
    passes, encode = [], model.sentence_encoder._encode

    def count(sentences):
        passes.append(list(sentences))
        return encode(sentences)

    monkeypatch.setattr(model.sentence_encoder, "_encode", count)
    model.encode_sentences(SENTENCES[:2])
    assert passes == []
    first = model.encode_sentences([*SENTENCES, SENTENCES[0]])
    model.eval().encode_sentences(["another", *SENTENCES])  # what a validation hears between two steps
    again = model.train().encode_sentences([*SENTENCES, SENTENCES[0]])
    assert passes[0] == passes[-1] == SENTENCES
    assert torch.equal(first.tokens, again.tokens)


def test_more_than_the_cache_keeps_cannot_be_remembered(tiny_irm):
    with pytest.raises(ValueError, match="3 sentences exceed the cache's capacity of 2"):
        tiny_irm(reading={"cache": 2}).precompute(SENTENCES)
    tiny_irm(instruction={"freeze_text": False}).precompute(SENTENCES * 2000)
