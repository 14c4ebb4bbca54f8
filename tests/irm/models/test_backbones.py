import pytest
import torch

from irm.models.backbones import BACKBONES, BackboneSpec, build_backbone


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_the_shape_its_entry_says(name):
    spec = BACKBONES[name]
    with torch.device("meta"):
        vit = build_backbone(name)
    grid = (spec.image_size[0] // spec.patch_size, spec.image_size[1] // spec.patch_size)
    assert vit.patch_embed.grid_size == grid
    assert vit.pos_embed.shape == (1, spec.num_prefix_tokens + grid[0] * grid[1], spec.embed_dim)
    assert (len(vit.blocks), vit.blocks[0].attn.num_heads) == (spec.depth, spec.num_heads)
    assert vit.num_prefix_tokens == spec.num_prefix_tokens
    assert [key for key in vit.state_dict() if key.startswith(("head", "fc"))] == []


def test_person_shaped_images_have_person_shaped_grids():
    assert build_backbone("tiny", (128, 64)).patch_embed.grid_size == (8, 4)


def test_overrides_change_the_entry_and_timm_s_own_arguments():
    vit = build_backbone("tiny", embed_dim=48, num_heads=6, depth=3, reg_tokens=2, qk_norm=True)
    assert vit.forward_features(torch.randn(1, 3, 64, 32)).shape == (1, 3 + 8, 48)
    assert len(vit.blocks) == 3 and not isinstance(vit.blocks[0].attn.q_norm, torch.nn.Identity)


def test_features_of_an_image_do_not_depend_on_its_batch():
    vit = build_backbone("tiny", stem="convolution").train()
    images = torch.randn(3, 3, 64, 32)
    torch.testing.assert_close(vit.patch_embed(images)[:1], vit.patch_embed(images[:1]))
    assert vit.patch_embed(images).shape == (3, 8, 32)


@pytest.mark.parametrize("patch_size", [2, 4, 8])
def test_a_convolutional_stem_has_a_token_per_patch(patch_size):
    vit = build_backbone("tiny", (16, 8), stem="convolution", patch_size=patch_size)
    assert vit.patch_embed(torch.randn(1, 3, 16, 8)).shape == (1, 16 * 8 // patch_size**2, 32)


def test_drop_path_rises_with_depth():
    vit = build_backbone("tiny", depth=3, drop_path=0.2)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in vit.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "pas_vit_base"}, "did you mean 'pass_vit_base'"),
        ({"name": "tiny", "image_size": (60, 32)}, "60x32 is not divisible into the 16-pixel patches"),
        ({"name": "tiny", "num_heads": 5}, "5 heads do not divide the width 32"),
        (
            {"name": "tiny", "stem": "convolution", "patch_size": 14, "image_size": (28, 28)},
            "must be 2, 4, 8, .*, not 14",
        ),
        ({"name": "tiny", "stem": "convolution", "patch_size": 1}, "must be 2, 4, 8, .*, not 1"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_backbone(**arguments)


def test_an_entry_of_another_architecture_is_refused(monkeypatch):
    monkeypatch.setitem(
        BACKBONES, "swin", BackboneSpec("swin_tiny_patch4_window7_224", 96, 2, 3, patch_size=4)
    )
    with pytest.raises(ValueError, match="swin_tiny_patch4_window7_224 is not a plain vision transformer"):
        build_backbone("swin")
