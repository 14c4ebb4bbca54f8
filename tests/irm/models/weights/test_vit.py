"""Converted backbones against the classes of timm and transformers; every key is used, dropped or refused."""

import pytest
import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from irm.models import load_backbone, read_backbone_spec
from irm.models.weights.convert import Options, convert_weights
from irm.models.weights.formats import VIT_FORMATS
from irm.models.weights.ledger import UnrecordedError
from irm.models.weights.vit import convert_vit
from tests import checkpoints

SMALL = {"dim": 64, "depth": 2}
IMAGES = {"square": (224, 224), "person": (256, 128)}


def small_pass():
    return checkpoints.filled(checkpoints.pass_vit(**SMALL))


def small_of(kind):
    """A small checkpoint of each kind, unwrapped."""
    if kind in ("clip", "clip_openai"):
        return clip(VIT_FORMATS[kind])[1]
    shapes = {
        "pass": checkpoints.pass_vit(**SMALL),
        "hap": checkpoints.hap(**SMALL, inner=32, decoder_depth=1),
        "deit": checkpoints.deit(**SMALL, distilled=True),
        "solider": checkpoints.vit(**SMALL, positions=129),
        "timm": checkpoints.vit(**SMALL) | checkpoints.affine("head", 10, 64),
        "albef": checkpoints.vit(**SMALL, positions=65),
    }[kind]
    return checkpoints.filled(shapes)


def clip(layout):
    """A small CLIP tower of transformers and its tensors under the names of a format."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        projection_dim=24,
    )
    model = CLIPVisionModelWithProjection(config).eval()
    tensors = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    if layout.root == "visual.":
        tensors = openai_names(tensors)
    tensors["logit_scale"] = torch.tensor(4.6)
    return model, tensors


def openai_names(tensors):
    """What OpenAI's own file calls the same tensors."""
    renamed, pieces = {}, {}
    for key, tensor in tensors.items():
        key = key.removeprefix("vision_model.").replace("encoder.layers.", "transformer.resblocks.")
        for theirs, ours in (
            ("embeddings.class_embedding", "class_embedding"),
            ("embeddings.patch_embedding", "conv1"),
            ("embeddings.position_embedding.weight", "positional_embedding"),
            ("pre_layrnorm", "ln_pre"),
            ("post_layernorm", "ln_post"),
            ("layer_norm", "ln_"),
            ("self_attn.out_proj", "attn.out_proj"),
            ("mlp.fc1", "mlp.c_fc"),
            ("mlp.fc2", "mlp.c_proj"),
        ):
            key = key.replace(theirs, ours)
        if "_proj." in key and ".self_attn." in key:
            block, _, leaf = key.partition(".self_attn.")
            pieces.setdefault((block, leaf.split(".")[1]), {})[leaf[0]] = tensor
        elif key == "visual_projection.weight":
            renamed["visual.proj"] = tensor.T
        else:
            renamed[f"visual.{key}"] = tensor
    for (block, leaf), parts in pieces.items():
        renamed[f"visual.{block}.attn.in_proj_{leaf}"] = torch.cat([parts[part] for part in "qkv"])
    return renamed


@pytest.mark.parametrize("kind", ["clip", "clip_openai"])
def test_a_clip_tower_computes_what_transformers_does(kind):
    model, tensors = clip(VIT_FORMATS[kind])
    tower, account = convert_vit(kind, tensors, name="clip")
    assert tower.name == "clip_vit_base"
    assert any("projection" in reason for reason in account.dropped)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.vision_model(images)
        tokens = tower.vit.eval().forward_features(images)
    torch.testing.assert_close(tokens[:, 0], expected.pooler_output, rtol=0, atol=2e-5)


def test_a_distilled_deit_computes_what_timms_does_with_its_second_token_as_a_register():
    torch.manual_seed(0)
    model = VisionTransformerDistilled(img_size=64, patch_size=16, embed_dim=128, depth=2, num_heads=2).eval()
    torch.nn.init.normal_(model.dist_token)
    tower, account = convert_vit("deit", model.state_dict(), name="deit")
    assert account.dropped == {
        "classifier of the pretraining": ("head.weight", "head.bias", "head_dist.weight", "head_dist.bias")
    }
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.forward_features(images)
        torch.testing.assert_close(tower.vit.eval().forward_features(images), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"reg_tokens": 3}, {"init_values": 0.1}, {"qk_norm": True}, {"mlp_ratio": 2.0, "patch_size": 32}],
)
def test_any_plain_vit_of_timm_computes_the_same_here(arguments):
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_base_patch16_224", num_classes=7, img_size=64, embed_dim=128, depth=2, num_heads=2, **arguments
    ).eval()
    tower, _ = convert_vit("timm", model.state_dict(), name="timm", backbone="vit_base")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model.forward_features(images)
        torch.testing.assert_close(tower.vit.eval().forward_features(images), expected, rtol=0, atol=2e-5)


def test_all_four_wrappings_of_pass_hold_the_same_network(tmp_path):
    bare = small_pass()
    backbone = {f"backbone.{key}": tensor for key, tensor in bare.items()}
    head = {"head.mlp.0.weight": torch.ones(4, 64), "head.last_layer.weight_g": torch.ones(4, 1)}
    student = {f"module.{key}": torch.zeros_like(tensor) for key, tensor in (backbone | head).items()}
    wrappings = {
        "bare": bare,
        "dino": {"student": student, "teacher": backbone | head, "epoch": 100},
        "model": {"model": bare},
        "state_dict": {"state_dict": {f"module.{key}": tensor for key, tensor in bare.items()}},
    }
    states = []
    for name, content in wrappings.items():
        torch.save(content, tmp_path / f"{name}.pth")
        convert_weights("pass", tmp_path / f"{name}.pth", tmp_path / name)
        states.append(load_backbone(tmp_path / name).state_dict())
    for state in states[1:]:
        assert all(torch.equal(tensor, states[0][key]) for key, tensor in state.items())
    assert torch.equal(states[0]["reg_token"][0, 1], bare["part_token2"][0, 0])
    assert torch.equal(states[0]["pos_embed"][0, 3], bare["part3_pos"][0, 0])
    assert torch.equal(states[0]["pos_embed"][0, 4:], bare["pos_embed"][0])


def test_the_folder_says_where_its_weights_come_from_and_what_was_left_behind(tmp_path):
    torch.save({"model": small_of("hap")}, tmp_path / "hap.pth")
    made = convert_weights("hap", tmp_path / "hap.pth", tmp_path / "hap")
    spec = read_backbone_spec(tmp_path / "hap")
    assert spec["backbone"] == "hap_vit_base"
    assert spec["overrides"] == {"embed_dim": 64, "depth": 2, "num_heads": 1}
    assert spec["image_size"] == [256, 128]
    assert spec["provenance"]["source"] == "hap.pth" and spec["provenance"]["sha256"] == made.sha256
    assert "decoder_pred.bias" in spec["provenance"]["dropped"]["decoder of the masked pretraining"]


def test_a_file_that_lacks_its_last_blocks_is_not_taken_for_a_shallow_network():
    tensors = checkpoints.filled(checkpoints.vit(dim=32, depth=1, positions=9))
    with pytest.raises(ValueError, match=r"^it has no 'blocks\.1\.norm1\.weight'$"):
        convert_vit("timm", tensors, name="it", backbone="tiny", image_size=(64, 32))


def test_quantised_weights_are_refused_by_name():
    tensors = small_of("hap")
    tensors["blocks.1.mlp.fc1.weight"] = tensors["blocks.1.mlp.fc1.weight"].to(torch.int8)
    with pytest.raises(ValueError, match=r"^'blocks\.1\.mlp\.fc1\.weight' of it holds int8, but weights are"):
        convert_vit("hap", tensors, name="it")


@pytest.mark.parametrize("kind", [kind for kind in VIT_FORMATS if kind != "blip"])
def test_a_missing_an_extra_and_a_misshapen_key_are_refused_by_name(kind):
    layout = VIT_FORMATS[kind]
    tensors = small_of(kind)
    backbone = "vit_base" if kind == "timm" else None
    convert_vit(kind, tensors, name="it", backbone=backbone)
    key = layout.root + layout.source("blocks.1.mlp.fc1.weight")
    assert key in tensors
    without = {other: tensor for other, tensor in tensors.items() if other != key}
    for broken, sentence in (
        (without, f"it has no '{key}'"),
        (tensors | {"blocks.0.attn.gate": torch.ones(1)}, "'blocks.0.attn.gate', which does not belong"),
        (tensors | {key: torch.ones(3, 64)}, rf"'{key}' of it has shape \(3, 64\); it should be"),
        (tensors | {key: torch.full_like(tensors[key], torch.nan)}, f"'{key}' of it contains NaN"),
    ):
        with pytest.raises(ValueError, match=sentence):
            convert_vit(kind, broken, name="it", backbone=backbone)


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        ("pass", {"patch_embed.conv.0.weight": torch.ones(1)}, "PASS model with the ICS stem"),
        ("solider", {"stages.0.blocks.0.norm1.weight": torch.ones(1)}, "a Swin transformer"),
        ("timm", {"layers.0.blocks.0.norm1.weight": torch.ones(1)}, "a Swin transformer"),
    ],
)
def test_another_architecture_is_recognised(kind, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        convert_vit(kind, small_of(kind) | change, name="it", backbone="vit_base")


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"it has no .patch_embed\.proj\.weight."):
        convert_vit("deit", {"conv1.weight": torch.ones(64, 3, 7, 7)}, name="it")
    with pytest.raises(ValueError, match="'mask_token', which does not belong"):
        convert_vit(
            "albef",
            checkpoints.filled(checkpoints.vit(**SMALL, positions=65) | {"mask_token": (1,)}),
            name="it",
        )


def test_a_file_that_does_not_name_its_backbone_asks_for_that_option():
    with pytest.raises(UnrecordedError, match="name the backbone") as asked:
        convert_vit("timm", small_of("timm"), name="it")
    assert asked.value.option == "backbone"
    convert_vit("timm", small_of("timm"), name="it", backbone="vit_base")


def test_positions_of_an_unknown_grid_need_the_image_size(tmp_path):
    tensors = checkpoints.filled(checkpoints.vit(**SMALL, positions=1 + 8 * 6))
    with pytest.raises(UnrecordedError, match="49 positions; give the image size") as asked:
        convert_vit("timm", tensors, name="it", backbone="vit_base")
    assert asked.value.option == "image_size"
    torch.save(tensors, tmp_path / "vit.pth")
    options = Options(backbone="vit_base", image_size=(128, 96))
    convert_weights("timm", tmp_path / "vit.pth", tmp_path / "vit", options=options)
    assert load_backbone(tmp_path / "vit").patch_embed.grid_size == (8, 6)


def test_half_precision_files_become_float32():
    tensors = {key: tensor.half() for key, tensor in small_pass().items()}
    tower, _ = convert_vit("pass", tensors, name="it")
    assert {tensor.dtype for tensor in tower.vit.state_dict().values()} == {torch.float32}
