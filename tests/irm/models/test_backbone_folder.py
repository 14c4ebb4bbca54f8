import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from irm.models import build_backbone, load_backbone, read_backbone_spec, save_backbone
from irm.models.manifest import sha256_of

OVERRIDES = {"depth": 1, "reg_tokens": 2, "stem": "convolution"}


@pytest.fixture
def folder(tmp_path):
    vit = build_backbone("tiny", **OVERRIDES)
    torch.nn.init.normal_(vit.pos_embed)
    save_backbone(vit, tmp_path / "vit", name="tiny", overrides=OVERRIDES, provenance={"step": 7})
    return tmp_path / "vit"


def retouch(folder, change):
    """Change the weights and write their new sha256, as a faulty exporter would."""
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    save_file(tensors, folder / "weights.safetensors")
    spec = json.loads((folder / "spec.json").read_text())
    spec["sha256"] = sha256_of(folder / "weights.safetensors")
    (folder / "spec.json").write_text(json.dumps(spec))


def test_a_backbone_comes_back_bit_for_bit(tmp_path):
    vit = build_backbone("tiny", **OVERRIDES).eval()
    save_backbone(vit, tmp_path / "vit", name="tiny", overrides=OVERRIDES)
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(
        load_backbone(tmp_path / "vit").eval().forward_features(images), vit.forward_features(images)
    )


def test_the_spec_says_what_somebody_else_needs_to_use_it(folder):
    spec = read_backbone_spec(folder)
    assert spec["backbone"] == "tiny" and spec["overrides"] == OVERRIDES and spec["image_size"] == [64, 32]
    assert spec["provenance"] == {"step": 7} and len(spec["mean"]) == 3


def test_another_image_size_resizes_the_positions_only(folder):
    small, large = load_backbone(folder), load_backbone(folder, (128, 64))
    assert large.pos_embed.shape == (1, 3 + 32, 32)
    assert torch.equal(large.pos_embed[:, :3], small.pos_embed[:, :3])
    assert torch.equal(large.blocks[0].attn.qkv.weight, small.blocks[0].attn.qkv.weight)


def test_a_name_is_as_good_as_a_folder():
    assert load_backbone("tiny", (96, 32)).patch_embed.grid_size == (6, 2)


def test_nothing_is_left_when_saving_fails(tmp_path):
    with pytest.raises(ValueError, match="no backbone 'tny'"):
        save_backbone(build_backbone("tiny"), tmp_path / "vit", name="tny")
    with pytest.raises(TypeError):
        save_backbone(build_backbone("tiny"), tmp_path / "vit", name="tiny", provenance={"step": {1, 2}})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(folder):
    with pytest.raises(ValueError, match="already exists"):
        save_backbone(build_backbone("tiny"), folder, name="tiny")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("norm.weight"), "has no 'norm.weight'$"),
        (
            lambda tensors: tensors.update(extra=torch.ones(1)),
            "contains 'extra', which the model does not have",
        ),
        (
            lambda tensors: tensors.update({"norm.bias": torch.ones(3)}),
            r"'norm.bias' of .* is \(3,\); the model expects",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder, change, sentence):
    retouch(folder, change)
    with pytest.raises(ValueError, match=sentence):
        load_backbone(folder)


def test_damaged_weights_are_refused(folder):
    with (folder / "weights.safetensors").open("r+b") as handle:
        handle.seek(-1, 2)
        handle.write(b"\x55")
    with pytest.raises(ValueError, match="sha256 differs"):
        load_backbone(folder)


def test_what_is_no_backbone_folder_is_refused(tmp_path, folder):
    with pytest.raises(ValueError, match=r"no spec\.json"):
        load_backbone(tmp_path)
    with pytest.raises(ValueError, match="there is no backbone folder"):
        load_backbone(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="did you mean 'tiny'"):
        load_backbone("tinny")
    (folder / "spec.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        load_backbone(folder)
    (folder / "spec.json").write_text("{}")
    with pytest.raises(ValueError, match="lacks backbone, image_size, overrides, sha256"):
        load_backbone(folder)
