"""The multimodal model: one forward pass, rectangles, slots, causality, chunks."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from irm.mllm import VLM, Turn, language_loss, load_parts
from irm.mllm.llava import whole_patches


def test_the_language_loss_is_the_librarys_own(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm()
    text = make_encoder(vlm).batch(dialogues)
    ours = language_loss(vlm(images, text).negative_log_likelihood, text.num_answer_tokens)
    features = vlm.llava.get_image_features(pixel_values=images, interpolate_pos_encoding=True)
    theirs = vlm.llava(
        input_ids=text.input_ids,
        attention_mask=text.attention_mask,
        labels=text.labels,
        mm_encoder_outputs={"image": features},
    ).loss
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("pool", "expected"), [("mean", "mean"), ("last", "last"), ("max", "max")])
def test_the_latent_feature_pools_the_image_slots_of_the_last_layer(
    make_vlm, make_encoder, images, dialogues, pool, expected
):
    vlm = make_vlm(pool=pool)
    text = make_encoder(vlm).batch(dialogues)
    features = vlm.llava.get_image_features(pixel_values=images, interpolate_pos_encoding=True)
    states = vlm.llava.model(
        input_ids=text.input_ids, attention_mask=text.attention_mask, mm_encoder_outputs={"image": features}
    ).last_hidden_state
    for row in range(len(images)):
        slots = states[row][text.input_ids[row] == vlm.image_token_id]
        assert len(slots) == 32
        pooled = {"mean": slots.mean(0), "last": slots[-1], "max": slots.max(0).values}[expected]
        torch.testing.assert_close(vlm(images, text).latent[row], pooled)


def test_what_is_said_after_the_image_does_not_touch_its_latent_feature(make_vlm, make_encoder, images):
    vlm, encode = make_vlm(), None
    encode = make_encoder(vlm).batch
    silent = vlm(images, encode([[Turn("look at <image> and go on")]] * 4)).latent
    after = vlm(
        images, encode([[Turn("look at <image> please", "a red coat"), Turn("more", "She waits.")]] * 4)
    )
    before = vlm(images, encode([[Turn("a man at <image> and go on")]] * 4)).latent
    torch.testing.assert_close(after.latent, silent)
    assert (before - silent).abs().max() > 1e-3


def test_a_rectangle_is_read_whole(make_vlm):
    assert whole_patches((256, 128), 14) == (252, 126)
    assert make_vlm(image_size=(70, 39)).num_image_tokens == 8 * 4
    assert make_vlm(keep_class_token=True).num_image_tokens == 33


def test_images_of_another_size_are_refused(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm()
    with pytest.raises(
        ValueError, match=r"the images are \(32, 32\), but this model was built for \(64, 32\)"
    ):
        vlm(images[..., :32, :], make_encoder(vlm).batch(dialogues))


def test_image_slots_that_do_not_match_are_one_sentence(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm()
    other = make_encoder(make_vlm(image_size=(32, 32))).batch(dialogues)
    with pytest.raises(ValueError, match=r"16 image slots, but the tower gives 32 tokens for a 64x32 image"):
        vlm(images, other)


def test_chunks_give_the_gradients_of_the_whole_batch(make_vlm, make_encoder, images, dialogues):
    found = []
    for chunk in (None, 3, 1):
        vlm = make_vlm(chunk=chunk)
        output = vlm(images, make_encoder(vlm).batch(dialogues))
        distances = torch.cdist(
            output.latent, output.latent
        )  # as the triplet loss, it needs all rows at once
        (output.negative_log_likelihood + distances.sum()).backward()
        found.append({name: p.grad for name, p in vlm.named_parameters() if p.grad is not None})
    for gradients in found[1:]:
        assert gradients.keys() == found[0].keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, found[0][name], atol=1e-5, rtol=1e-4)


def test_checkpointing_changes_no_gradient(make_vlm, make_encoder, images, dialogues):
    found = []
    for checkpointing in (False, True):
        vlm = make_vlm(checkpointing=checkpointing).train()
        output = vlm(images, make_encoder(vlm).batch(dialogues))
        (output.negative_log_likelihood + output.latent.square().sum()).backward()
        found.append(vlm.tower.embeddings.patch_embedding.weight.grad)
    torch.testing.assert_close(found[0], found[1])


def test_a_batch_without_answers_has_no_language_loss_and_still_a_graph(make_vlm, make_encoder, images):
    vlm = make_vlm()
    text = make_encoder(vlm).batch([[Turn("look at <image>")]] * 4)
    output = vlm(images, text)
    assert language_loss(output.negative_log_likelihood, text.num_answer_tokens) == 0
    output.latent.sum().backward()
    assert vlm.tower.embeddings.class_embedding.grad is not None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"feature_layer": -6}, "the tower has 4 layers, so it has no feature layer -6"),
        ({"image_size": (64, 6)}, "images of 64x6 are smaller than one 8x8 patch"),
        ({"pool": "class"}, "pool is class, so the class token must be kept"),
    ],
)
def test_settings_that_do_not_fit_the_tower_are_refused(make_vlm, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_vlm(**arguments)


def test_two_layers_of_the_tower_are_read_side_by_side(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm(feature_layer=(-2, -1))
    assert vlm.projector.linear.in_features == 2 * 64
    assert vlm(images, make_encoder(vlm).batch(dialogues)).latent.shape == (4, 64)


def test_the_projector_is_one_matrix_or_llavas_two_layers(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm(projector="mlp2x_gelu")
    assert {name for name, _ in vlm.projector.named_parameters()} == {
        f"linear_{layer}.{kind}" for layer in (1, 2) for kind in ("weight", "bias")
    }
    assert vlm(images, make_encoder(vlm).batch(dialogues)).latent.isfinite().all()
    assert {name for name, _ in make_vlm().projector.named_parameters()} == {"linear.weight", "linear.bias"}


def test_a_projector_that_comes_along_is_kept(make_vlm):
    first = make_vlm()
    parts = load_parts(vision="tiny", llm="tiny", corpus=["a"])
    second = VLM(dataclasses.replace(parts, projector=first.projector), image_size=(64, 32))
    assert second.projector is first.projector


def test_pad_positions_change_nothing(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm()
    encoder = make_encoder(vlm)
    alone = vlm(images[1:2], encoder.batch(dialogues[1:2])).latent
    torch.testing.assert_close(vlm(images, encoder.batch(dialogues)).latent[1:2], alone, atol=1e-5, rtol=1e-4)
    assert F.cosine_similarity(alone, vlm(images, encoder.batch(dialogues)).latent[:1]) < 0.9999


def test_dialogues_for_another_number_of_images_are_refused(make_vlm, make_encoder, images, dialogues):
    vlm = make_vlm()
    with pytest.raises(ValueError, match=r"^3 dialogues were given for 4 images; each needs its own$"):
        vlm(images, make_encoder(vlm).batch(dialogues[:3]))
