"""The trained tower as a plain backbone: the same tokens, bit for bit, through a folder too."""

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from irm.mllm.export import load_exported_tower, plain_vit
from irm.models import load_backbone, save_backbone


def tokens(tower, images):
    with torch.no_grad():
        return tower.post_layernorm(tower(images, interpolate_pos_encoding=True).last_hidden_state)


def tower_of(**changes):
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPVisionConfig(**{**shape, "image_size": 56, "patch_size": 14, **changes})
    tower = CLIPVisionModel(config).eval()
    with torch.no_grad():  # a fresh tower's norms and biases hide mistakes
        for parameter in tower.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return tower


@pytest.mark.parametrize("size", [(56, 56), (252, 126), (112, 56)])
@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu"}, {"intermediate_size": 96, "patch_size": 8}])
def test_tokens_before_and_after_export_agree_exactly(tmp_path, size, changes):
    tower = tower_of(**changes)
    patch = tower.config.patch_size
    size = (size[0] // patch * patch, size[1] // patch * patch)
    images = torch.randn(2, 3, *size)
    plain = plain_vit(tower, size)
    assert torch.equal(plain.vit.forward_features(images), tokens(tower, images))
    save_backbone(plain.vit, tmp_path / "b", name=plain.name, overrides=plain.overrides)
    loaded = load_backbone(tmp_path / "b").eval()
    assert torch.equal(loaded.forward_features(images), tokens(tower, images))


def test_a_trained_model_folder_gives_its_tower_back(make_vlm, tmp_path, images):
    vlm = make_vlm()
    vlm.save_pretrained(tmp_path / "model")
    tower = load_exported_tower(tmp_path / "model").eval()
    assert torch.equal(tokens(tower, images), tokens(vlm.tower.eval(), images))
    assert plain_vit(tower, (64, 32)).overrides["embed_dim"] == 64


def test_a_trained_model_folder_holds_all_that_trains(make_vlm, tmp_path):
    from safetensors.torch import load_file

    vlm, fresh = make_vlm(), make_vlm()
    with torch.no_grad():
        for parameter in vlm.parameters():
            if parameter.requires_grad:
                parameter.add_(1.0)
    vlm.save_pretrained(tmp_path / "model")
    fresh.tower.load_state_dict(load_exported_tower(tmp_path / "model").state_dict())
    unfilled = fresh.llava.load_state_dict(
        load_file(tmp_path / "model" / "adapter.safetensors"), strict=False
    )
    assert not unfilled.unexpected_keys
    assert all(
        torch.equal(one, other) for one, other in zip(vlm.parameters(), fresh.parameters(), strict=True)
    )


def test_a_tower_that_lacks_a_weight_is_refused(make_vlm, tmp_path):
    from safetensors.torch import load_file, save_file

    make_vlm().save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "tower" / "model.safetensors"
    tensors = load_file(path)
    del tensors[next(name for name in tensors if "layers.1.mlp.fc1.weight" in name)]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(
        ValueError, match=r"no matching weights for .*layers\.1\.mlp\.fc1\.weight; it belongs"
    ):
        load_exported_tower(tmp_path / "model")


def test_a_folder_without_a_tower_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"does not contain a trained tower \(no tower/config.json\)"):
        load_exported_tower(tmp_path)


def test_a_tower_that_no_plain_vit_equals_is_refused():
    with pytest.raises(
        ValueError, match="activation relu and layer-norm epsilon 1e-05 has no matching plain ViT"
    ):
        plain_vit(tower_of(hidden_act="relu"), (56, 56))
