"""Released IRM checkpoints, small: what is taken, what is left behind, and what is refused."""

from pathlib import Path

import pytest
import torch

from irm.build import build_irm
from irm.config import read_run
from irm.models import IRM, SentenceTokenizer
from irm.models.weights.convert import Options, convert_weights
from irm.models.weights.released import convert_released
from tests import checkpoints

SHEETS = Path(__file__).parents[4] / "configs" / "irm"
VOCAB = SentenceTokenizer.characters().vocab_size
SIZES = {
    "dim": 64,
    "depth": 3,
    "joint": 16,
    "queue": 8,
    "vocab": VOCAB,
    "crossing": range(1, 3),
}


def tensors():
    return checkpoints.filled(checkpoints.released(**SIZES))


def test_a_released_file_becomes_a_folder_that_loads(tmp_path):
    wrapped = {"state_dict": {f"module.{key}": tensor for key, tensor in tensors().items()}}
    torch.save(wrapped, tmp_path / "checkpoint_market.pth.tar")
    SentenceTokenizer.characters().save(tmp_path)
    options = Options(tokenizer=tmp_path, domain="trad/market1501")
    convert_weights("irm_released", tmp_path / "checkpoint_market.pth.tar", tmp_path / "irm", options=options)
    model = IRM.from_pretrained(tmp_path / "irm")
    expected, _ = convert_released(tensors(), name="it", domain="trad/market1501")
    assert model.necks.names == ("trad/market1501",)
    assert all(torch.equal(tensor, expected.state_dict()[key]) for key, tensor in model.state_dict().items())
    images = torch.randn(2, 3, 256, 128)
    features = model.embed(images, ["do not change clothes"] * 2)
    assert features.shape == (2, 2 * 64) and features.norm(dim=1).min() > 1.5, "two streams, not normalised"
    assert model.encode_sentences(["ignore clothes"]).tokens.shape[1] == 70, "padded, and E_f looks at it"


def test_a_run_of_the_released_preset_begins_with_a_released_model(tmp_path):
    given = checkpoints.filled(checkpoints.released(**{**SIZES, "joint": 256}))
    model, _ = convert_released(given, name="it", domain="trad/market1501")
    model.attach_tokenizer(SentenceTokenizer.characters(max_tokens=70))
    model.save_pretrained(tmp_path / "irm")
    rows = "mixture=[{task: trad, dataset: market1501}, {task: t2i, dataset: cuhk_pedes}]"
    sizes = (f"model.instruction.image_size={list(model.clothes_size)}", "losses.lessons.queue=8")
    begin = ("preset=released", f"model.start={tmp_path / 'irm'}", "model.match_layers=2")
    started, notes = build_irm(read_run(SHEETS / "base.yaml", [rows, *begin, *sizes]))
    theirs = model.state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in started.state_dict().items())
    assert notes == ("the word-prediction head starts with random weights",)


def test_its_fusion_is_the_backbones_first_and_last_block():
    model, account = convert_released(tensors(), name="it")
    given = tensors()
    vit = model.editing_transformer.vit
    assert list(model.fusion.parameters()) == []
    assert torch.equal(vit.blocks[2].mlp.fc2.bias, given["visual_encoder.blocks.2.mlp.fc2.bias"])
    sequence = torch.randn(1, 5, 64)
    by_hand = vit.blocks[2](vit.blocks[0](sequence))[:, 0]
    torch.testing.assert_close(model.fusion._attend(sequence, None), by_hand)
    assert any("dead" in reason for reason in account.dropped)


def test_the_necks_are_the_files():
    model, _ = convert_released(tensors(), name="it", domain="cc/ltcc")
    given = tensors()
    neck = model.necks.banks["cc/ltcc"]["fused"]
    assert torch.equal(neck.running_var, given["fusion_feat_bn.running_var"])
    assert torch.equal(neck.weight, given["fusion_feat_bn.weight"])


def test_every_tensor_is_used_or_dropped_for_a_reason():
    _, account = convert_released(tensors(), name="it")
    dropped = [key for keys in account.dropped.values() for key in keys]
    assert sorted([*account.used, *dropped]) == sorted(tensors())


@pytest.mark.parametrize(
    "key",
    ["visual_encoder.part_token2", "visual_encoder_m.norm.bias", "feat_bn.running_mean", "vision_proj.bias"],
)
def test_a_missing_an_extra_and_a_misshapen_key_are_refused_by_name(key):
    given = tensors()
    without = {other: tensor for other, tensor in given.items() if other != key}
    gate = "visual_encoder.blocks.0.attn.gate"
    for broken, sentence in (
        (without, f"it has no '{key}'"),
        (given | {gate: torch.ones(1, 12, 1, 1)}, f"'{gate}', which does not belong"),
        (given | {key: torch.ones(3, 5, 7)}, rf"'{key}' of it has shape \(3, 5, 7\); it should be"),
    ):
        with pytest.raises(ValueError, match=sentence):
            convert_released(broken, name="it")


def test_heads_of_any_number_of_people_and_none_are_fine():
    for classes in (3, 1041):
        convert_released(checkpoints.filled(checkpoints.released(**SIZES, classes=classes)), name="it")
    headless = {key: tensor for key, tensor in tensors().items() if "classifier" not in key}
    convert_released(headless, name="it")


def test_the_authors_first_code_is_recognised():
    with pytest.raises(ValueError, match="the authors' first code"):
        convert_released({"py_model_clip.logit_scale": torch.ones(1)}, name="it")
