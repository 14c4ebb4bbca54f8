"""ALBEF and BLIP as instruction encoder and match head, from a converted folder, against transformers."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import BertModel, BlipConfig, BlipForImageTextRetrieval

from irm.build import build_irm
from irm.config import read_run
from irm.models import IRM, InstructionEncoder, SentenceTokenizer, load_backbone, load_match_head
from irm.models.manifest import read_manifest
from irm.models.weights.convert import Options, convert_weights
from irm.models.weights.vision_language import convert_albef, convert_blip
from tests import checkpoints

TINY = Path(__file__).parents[4] / "configs" / "irm" / "tiny.yaml"
VOCAB = SentenceTokenizer.characters().vocab_size
ALBEF = {
    "dim": 64,
    "depth": 3,
    "joint": 256,
    "queue": 8,
    "vocab": VOCAB,
    "crossing": range(1, 3),
    "positions": 17,
}
SENTENCES = ["a red coat", "ignore clothes and shoes"]


def pretrained():
    return checkpoints.filled(checkpoints.albef(**ALBEF))


def fine_tuned():
    """For retrieval: a bare dictionary, no momentum copies, a BertModel that predicts no words."""
    kept = {key: tensor for key, tensor in pretrained().items() if "_m." not in key and ".cls." not in key}
    return {key.replace("text_encoder.bert.", "text_encoder."): tensor for key, tensor in kept.items()}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    SentenceTokenizer.characters().save(folder)
    return folder


@pytest.fixture
def albef(tmp_path, vocabulary):
    torch.save({"model": pretrained(), "epoch": 29}, tmp_path / "ALBEF.pth")
    options = Options(tokenizer=vocabulary)
    convert_weights("albef", tmp_path / "ALBEF.pth", tmp_path / "albef", options=options)
    return tmp_path / "albef"


@pytest.fixture
def blip():
    """A small BLIP of the library's own class."""
    torch.manual_seed(0)
    text = {
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "encoder_hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "max_position_embeddings": 80,
        "bos_token_id": 2,
        "sep_token_id": 3,
        "projection_dim": 16,
    }
    vision = {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "image_size": 64,
        "patch_size": 16,
        "projection_dim": 16,
    }
    model = BlipForImageTextRetrieval(
        BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=16)
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def test_albefs_folder_is_an_instruction_encoder_a_backbone_and_a_bert(albef, vocabulary):
    tensors = pretrained()
    encoder = InstructionEncoder.from_pretrained(albef, image_size=(64, 64))
    token_ids, mask = SentenceTokenizer.load(vocabulary, albef=True)(SENTENCES)
    bert = BertModel.from_pretrained(albef, add_pooling_layer=False, attn_implementation="eager").eval()
    expected = bert(token_ids, attention_mask=mask.long()).last_hidden_state
    text = encoder.encode_text(token_ids, mask)
    torch.testing.assert_close(text.tokens[mask], expected[mask], rtol=0, atol=2e-5)
    assert torch.equal(text.pooled, text.tokens[:, 0]) and text.words is None
    assert not encoder.training and len(encoder.text.layer) == 1
    tower = load_backbone(albef)
    assert torch.equal(tower.cls_token, tensors["visual_encoder_m.cls_token"])
    assert tower.patch_embed.img_size == (64, 64)


def test_which_image_tower_is_taken_can_be_said():
    live, account = convert_albef(pretrained(), name="it", tower="live")
    assert torch.equal(live.tower.vit.cls_token, pretrained()["visual_encoder.cls_token"])
    assert any("momentum" in reason for reason in account.dropped)


def test_a_fine_tuned_albef_has_one_tower_and_no_word_head():
    model, account = convert_albef(fine_tuned(), name="it")
    assert torch.equal(model.tower.vit.cls_token, fine_tuned()["visual_encoder.cls_token"])
    assert model.words == {} and model.match_layers == 2
    whole, _ = convert_albef(pretrained(), name="it")
    assert all(torch.equal(tensor, whole.text[key]) for key, tensor in model.text.items())
    assert "queue of older features, for training alone" in account.dropped


def test_every_tensor_of_albef_is_used_or_dropped_for_a_reason():
    _, account = convert_albef(pretrained(), name="it")
    dropped = [key for keys in account.dropped.values() for key in keys]
    assert sorted([*account.used, *dropped]) == sorted(pretrained())


@pytest.mark.parametrize(
    "key",
    [
        "text_encoder.bert.encoder.layer.0.output.dense.weight",
        "text_encoder.bert.encoder.layer.2.crossattention.self.key.bias",
        "text_encoder.cls.predictions.transform.dense.bias",
        "visual_encoder_m.blocks.2.attn.qkv.weight",
        "itm_head.bias",
        "text_proj.bias",
        "temp",
    ],
)
def test_a_missing_an_extra_and_a_misshapen_key_of_albef_are_refused_by_name(key):
    tensors = pretrained()
    without = {other: tensor for other, tensor in tensors.items() if other != key}
    for broken, sentence in (
        (without, f"it has no '{key}'"),
        (tensors | {"cls_head.0.weight": torch.ones(1)}, "'cls_head.0.weight', which does not belong"),
        (tensors | {key: torch.ones(3, 5)}, rf"'{key}' of it has shape \(3, 5\); it should be"),
    ):
        with pytest.raises(ValueError, match=sentence):
            convert_albef(broken, name="it")


def test_an_albef_without_its_last_layer_is_not_taken_for_a_shallow_one():
    shapes = checkpoints.albef(queue=1, vocab=4, positions=17)
    nothing = torch.zeros(())  # spread over every shape without memory
    tensors = {key: nothing.expand(shape) for key, shape in shapes.items() if ".layer.11." not in key}
    key = "text_encoder.bert.encoder.layer.11.attention.self.query.weight"
    with pytest.raises(ValueError, match=f"^it has no '{re.escape(key)}'$"):
        convert_albef(tensors, name="it")


def test_a_word_matrix_that_is_not_the_embeddings_is_refused():
    tensors = pretrained()
    tensors["text_encoder.cls.predictions.decoder.weight"] = torch.zeros(VOCAB, 64)
    with pytest.raises(ValueError, match=r"decoder\.weight' of it differs from 'text_encoder"):
        convert_albef(tensors, name="it")


def test_blip_computes_what_transformers_does(blip, tmp_path, vocabulary):
    blip.save_pretrained(tmp_path / "snapshot")
    shutil.copytree(vocabulary, tmp_path / "snapshot", dirs_exist_ok=True)
    convert_weights("blip", tmp_path / "snapshot", tmp_path / "blip")
    encoder = InstructionEncoder.from_pretrained(tmp_path / "blip")
    model = IRM(
        backbone={"name": "tiny", "embed_dim": 64, "num_heads": 1},
        instruction={
            "text": {"name": "blip_base", "embed_dim": 64, "depth": 2, "num_heads": 1, "hidden_dim": 96}
            | {"vocab_size": VOCAB, "max_positions": 80},
            "image": {
                "name": "blip_vit_base",
                "image_size": (64, 64),
                "embed_dim": 64,
                "depth": 2,
                "num_heads": 1,
            },
        },
        match={"layers": 2},
        retrieval={"projection_dim": 16},
    ).eval()
    model.instruction_encoder.load_state_dict(encoder.state_dict())
    load_match_head(model, tmp_path / "blip")
    model.load_tokenizer(tmp_path / "blip")
    images = torch.randn(2, 3, 64, 64)
    token_ids, mask = model.tokenizer(SENTENCES)
    assert (token_ids[0] == model.tokenizer.tokenizer.sep_token_id).any(), "BLIP writes [SEP]"
    with torch.no_grad():
        arguments = {"input_ids": token_ids, "attention_mask": mask.long(), "pixel_values": images}
        matched = blip(**arguments)
        cosine = blip(**arguments, use_itm_head=False).itm_score
        clothes = encoder.encode_images(images)
        text = model.encode_sentences(SENTENCES)
        torch.testing.assert_close(clothes.tokens, matched.last_hidden_state, rtol=0, atol=2e-5)
        torch.testing.assert_close(model.match(text, clothes.tokens), matched.itm_score, rtol=0, atol=2e-5)
        projected = F.normalize(model.image_projection(clothes.pooled), dim=-1)
        torch.testing.assert_close(projected @ model.project_text(text.pooled).T, cosine, rtol=0, atol=2e-5)
    assert read_manifest(tmp_path / "blip")["text"] == "blip_base"


def test_a_missing_an_extra_and_a_misshapen_key_of_blip_are_refused_by_name(blip):
    tensors = dict(blip.state_dict())
    for key in (
        "vision_model.post_layernorm.bias",
        "text_encoder.encoder.layer.1.crossattention.self.query.bias",
    ):
        without = {other: tensor for other, tensor in tensors.items() if other != key}
        for broken, sentence in (
            (without, f"it has no '{key}'"),
            (tensors | {"text_decoder.x": torch.ones(1)}, "'text_decoder.x', which does not belong"),
            (tensors | {key: torch.ones(5)}, rf"'{key}' of it has shape \(5,\); it should be"),
        ):
            with pytest.raises(ValueError, match=sentence):
                convert_blip(broken, name="it")


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("model.safetensors", lambda folder, _: InstructionEncoder.from_pretrained(folder)),
        ("weights.safetensors", lambda folder, _: InstructionEncoder.from_pretrained(folder)),
        ("match.safetensors", lambda folder, model: load_match_head(model, folder)),
    ],
)
def test_a_damaged_file_of_a_converted_folder_is_refused(albef, tiny_irm, name, load):
    content = bytearray((albef / name).read_bytes())
    content[-3] ^= 4
    (albef / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged .*sha256"):
        load(albef, tiny_irm())


def test_a_run_sheet_takes_encoder_tower_and_match_head_from_the_folder(albef):
    sheet = read_run(
        TINY,
        [
            "model.instruction.text=albef_base",
            f"model.instruction.text_weights={albef}",
            f"model.instruction.image={albef}",
            f"model.backbone={albef}",
            "model.match_layers=2",
        ],
    )
    model, notes = build_irm(sheet)
    assert notes == ()
    tensors = pretrained()
    assert torch.equal(model.match_head.head.weight, tensors["itm_head.weight"])
    assert torch.equal(model.text_projection.bias, tensors["text_proj.bias"])
    torch.testing.assert_close(model.temperature.detach(), torch.tensor(0.07))
    text = model.instruction_encoder.text
    assert torch.equal(
        text.embeddings.word_embeddings.weight, tensors["text_encoder.bert.embeddings.word_embeddings.weight"]
    )
    assert model.tokenizer.albef


def test_a_folder_of_the_hub_is_found_again_without_the_hub(albef, tmp_path, monkeypatch):
    """Laid out as the hub's client keeps what it once downloaded; tests have no network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "hub" / "models--lab--albef" / "snapshots" / commit
    shutil.copytree(albef, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    encoder = InstructionEncoder.from_pretrained(f"lab/albef@{commit}")
    assert torch.equal(encoder.image.cls_token, load_backbone(albef).cls_token)
    assert torch.equal(load_backbone(f"lab/albef@{commit}").cls_token, load_backbone(albef).cls_token)


def test_blip_comes_from_the_hub_once_at_its_commit_and_then_from_this_disk(
    blip, tmp_path, vocabulary, monkeypatch
):
    """The first time the hub's client is asked for one commit; afterwards it finds that itself, offline."""
    commit, asked = "fedcba9876543210fedcba9876543210fedcba98", []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--Salesforce--blip-itm-base-coco" / "snapshots" / commit

    def download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, tuple(allow_patterns)))
        blip.save_pretrained(snapshot)
        shutil.copytree(vocabulary, snapshot, dirs_exist_ok=True)
        return str(snapshot)

    source = f"Salesforce/blip-itm-base-coco@{commit}"
    with monkeypatch.context() as first:
        first.setattr("irm.models.hub_source.snapshot_download", download)
        convert_weights("blip", source, tmp_path / "first")
    ((repository, revision, patterns),) = asked
    assert (repository, revision) == ("Salesforce/blip-itm-base-coco", commit)
    assert not {"*", "*.bin"} & set(patterns), "no more than is needed"
    convert_weights("blip", source, tmp_path / "again")
    one, other = (
        InstructionEncoder.from_pretrained(tmp_path / name).state_dict() for name in ("first", "again")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert read_manifest(tmp_path / "again")["provenance"]["hub"] == source


def test_a_hub_source_without_a_commit_or_out_of_reach_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ValueError, match="write owner/name@COMMIT"):
        InstructionEncoder.from_pretrained("lab/albef@main")
    with pytest.raises(ValueError, match="is not in the local hub cache and cannot be downloaded now"):
        InstructionEncoder.from_pretrained("lab/albef@" + "0" * 40)
    with pytest.raises(ValueError, match="is not in the local hub cache and cannot be downloaded now"):
        convert_weights("pass", "lab/pass@" + "0" * 40 + ":pass.pth", tmp_path / "out")
