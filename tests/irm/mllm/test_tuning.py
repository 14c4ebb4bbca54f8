"""What trains, in which precision, and what gradient reaches."""

import pytest
import torch

from irm.mllm import Tuning
from irm.mllm.tuning import TrainedPart, sizes


def trained(vlm, prefix=""):
    return {name for name, p in vlm.llava.named_parameters() if p.requires_grad and name.startswith(prefix)}


def test_lora_lands_in_the_language_model_alone(make_vlm):
    vlm = make_vlm()
    adapters = {name for name, _ in vlm.llava.named_parameters() if ".lora_" in name}
    assert len(adapters) == 2 * 7 * 2  # two layers, seven matrices, A and B
    assert all(name.startswith("model.language_model.") for name in adapters)
    assert trained(vlm, "model.language_model.") == adapters
    assert trained(vlm, "lm_head") == set()


@pytest.mark.parametrize("feature_layer", [-1, -2, (-3, -2)])
@pytest.mark.parametrize("lambda_value", [0.0, 1.0])
def test_gradient_reaches_all_of_the_tower_that_trains(
    make_vlm, make_encoder, images, dialogues, feature_layer, lambda_value
):
    vlm = make_vlm(feature_layer=feature_layer)
    output = vlm(images, make_encoder(vlm).batch(dialogues))
    (
        output.negative_log_likelihood * lambda_value + output.latent.square().sum() * (1 - lambda_value)
    ).backward()
    # The gradient of a bias of keys is zero: softmax does not see a shift.
    silent = {
        name
        for name, p in vlm.llava.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any()) and not name.endswith("k_proj.bias")
    }
    assert {name for name in silent if ".lora_A" not in name} == set()  # B is zero at the start
    blocks = {-1: 4, -2: 3, (-3, -2): 3}[feature_layer]
    depth = {name.split(".")[4] for name in trained(vlm, "model.vision_tower.encoder")}
    assert depth == set(map(str, range(blocks)))
    assert not any("post_layernorm" in name for name in trained(vlm))


def test_a_frozen_language_model_is_cast_and_what_trains_stays_in_float32(make_vlm):
    from irm.mllm import tune

    vlm = make_vlm(tuning=None)
    tune(vlm, Tuning(rank=4), frozen_dtype=torch.bfloat16)
    for name, parameter in vlm.llava.named_parameters():
        assert parameter.dtype == (torch.float32 if parameter.requires_grad or "vision_tower" in name else
                                   torch.bfloat16), name  # fmt: skip
    buffers = [b for b in vlm.language_model.buffers() if b.is_floating_point()]
    assert buffers and all(buffer.dtype == torch.float32 for buffer in buffers)


def test_a_language_model_may_train_whole_or_not_at_all(make_vlm):
    assert "lm_head.weight" in trained(make_vlm(Tuning(llm="full")))
    assert trained(make_vlm(Tuning(llm="frozen")), "model.language_model") == set()


def test_layers_that_are_not_there_are_one_sentence(make_vlm):
    with pytest.raises(
        ValueError, match=r"no layer of the language model is named Wqkv \(it has down_proj, "
    ):
        make_vlm(Tuning(targets=("Wqkv",)))


def test_sizes_are_told_by_part(make_vlm):
    told = {size.name: size for size in sizes(make_vlm())}
    assert str(told["projector"]) == "projector: 4,160 of 4,160 parameters are trainable (float32)"
    assert told["language model"].trained == 0
    assert told["LoRA"].trained == told["LoRA"].total == 4 * 2 * (4 * (64 + 64) + 3 * (64 + 160))
    assert told["vision tower"].total - told["vision tower"].trained == 2 * 64  # the norm no loss reaches


def test_a_checkpoint_holds_what_trains_and_fills_the_model(make_vlm):
    first, second = make_vlm(), make_vlm()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(1.0)
    TrainedPart(second).load_state_dict(TrainedPart(first).state_dict())
    pairs = zip(first.named_parameters(), second.parameters(), strict=True)
    for (name, one), other in pairs:
        assert torch.equal(one, other) == one.requires_grad, name


def test_updates_of_a_millionth_are_not_lost_beside_a_half_precision_language_model(
    make_vlm, make_encoder, images, dialogues
):
    from irm.mllm import tune

    vlm = make_vlm(tuning=None)
    tune(vlm, Tuning(rank=4, dropout=0.0), frozen_dtype=torch.bfloat16)
    weight = vlm.tower.encoder.layers[1].mlp.fc1.weight
    optimizer = torch.optim.AdamW([weight], lr=4e-6, weight_decay=0.0)
    before = weight.detach().clone()
    with torch.autocast("cpu", torch.bfloat16):
        output = vlm(images, make_encoder(vlm).batch(dialogues))
    (output.negative_log_likelihood + output.latent.square().sum()).backward()
    optimizer.step()
    assert (weight != before).float().mean() > 0.9
    assert (weight.bfloat16() != before.bfloat16()).float().mean() < 0.1  # what half precision would keep
