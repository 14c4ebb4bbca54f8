"""A sheet becomes a model and its data; what a sheet cannot have is refused in a sentence."""

import shutil
from pathlib import Path

import pytest
import torch

from instructions.banks import BANKS
from instructions.errors import InputError
from instructions.instruction import NEUTRAL_SENTENCE
from irm.build import (
    build_irm,
    choose_autocast,
    choose_device,
    named_parameters,
)
from irm.config import read_run
from irm.embedder import preprocessing_of
from irm.mixing import build_mixture, fingerprint, shares
from irm.models import build_backbone, save_backbone
from irm.training.irm_setup import instructions_of, texts_of
from omnireid.datasets import load_split

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"
MARKET = "mixture=[{task: trad, dataset: market1501}]"


def build(*overrides):
    torch.manual_seed(0)
    return build_irm(read_run(TINY, overrides))


def mixture_of(*overrides):
    run = read_run(TINY, overrides)
    torch.manual_seed(0)
    return build_mixture(run, preprocessing_of(build_irm(run)[0]))


def test_the_models_settings_arrive():
    model, notes = build(
        "model.gate=per_head", "model.tanh=true", "model.fusion.streams=2", "model.feature=both"
    )
    attention = model.editing_transformer.vit.blocks[0].attn
    assert attention.gate.shape == (1, 4, 1, 1)
    assert attention.tanh
    assert (model.fusion.streams, model.retrieval.feature) == (2, "both")
    assert (model.image_size, model.clothes_size) == ((64, 32), (32, 32))
    assert len(notes) == 3, "backbone, sentences and clothes start at random, and that is said"


def test_image_tasks_have_necks_and_text_to_image_has_a_match_head():
    model, _ = build()
    assert model.necks.names == tuple(
        f"{task}/{name}"
        for task, name in (
            ("trad", "market1501"),
            ("cc", "ltcc"),
            ("vi", "llcm"),
            ("ctcc", "cocas_real1"),
            ("li", "cocas_real1"),
        )
    )
    assert model.match_head is not None
    assert build(MARKET)[0].match_head is None


def test_frozen_encoders_take_no_gradient():
    model, _ = build("model.instruction.freeze_text=true", "model.instruction.freeze_images=true")
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert any(name.startswith("instruction_encoder.text") for name in frozen)
    assert any(name.startswith("instruction_encoder.image") for name in frozen)


def test_a_backbone_folder_gives_shape_and_weights(tmp_path):
    torch.manual_seed(5)
    vit = build_backbone("tiny", (64, 32), depth=3)
    save_backbone(vit, tmp_path / "vit", name="tiny", overrides={"depth": 3})
    model, notes = build(f"model.backbone={tmp_path / 'vit'}")
    ours = model.editing_transformer.vit
    assert len(ours.blocks) == 3
    assert torch.equal(ours.blocks[2].mlp.fc1.weight, vit.blocks[2].mlp.fc1.weight)
    assert torch.equal(model.fusion.blocks[0].mlp.fc1.weight, vit.blocks[2].mlp.fc1.weight)
    assert not any("backbone" in note for note in notes)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("model.backbone=tinny", "no backbone 'tinny'; did you mean 'tiny'"),
        (
            "model.backbone=/nowhere/vit",
            r"no weights folder /nowhere/vit \(model.backbone\); create one .* tools.convert_weights",
        ),
        (
            "model.instruction.text_weights=no/bert",
            "to start from random weights .* set model.instruction.text_weights=null",
        ),
        ("model.image_size=[60, 32]", "60x32"),
        ("model.instruction.image=tinny", "tinny"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(override, complaint):
    with pytest.raises(InputError, match=complaint):
        build(override)


def test_the_mixture_has_a_source_for_each_row(tiny_root):
    mixture, notes = mixture_of(
        f"data={tiny_root}",
        "mixture=[{task: trad, dataset: market1501, weight: 2, num_identities: 3}, "
        "{task: li, dataset: cocas_real1}]",
        "evaluation=[]",
        "gallery_instruction=neutral",
    )
    market, cocas = mixture.sources
    assert (market.domain, market.weight, market.num_identities, market.num_instances) == (
        "trad/market1501",
        2,
        3,
        2,
    )
    assert (cocas.num_identities, cocas.gallery_instruction) == (2, "neutral")
    assert "none of" in notes[-1]


def test_test_people_of_other_data_sets_are_dropped(tiny_root):
    row = "mixture=[{task: t2i, dataset: cuhk_pedes}]"
    market = "evaluation=[{task: trad, dataset: market1501, protocol: market}]"
    alone, _ = mixture_of(f"data={tiny_root}", row, "evaluation=[]")
    apart, notes = mixture_of(f"data={tiny_root}", row, market)
    assert len(apart.sources[0].records) < len(alone.sources[0].records)
    assert any("2 people dropped" in note for note in notes)


def test_a_test_that_is_not_on_this_disk_is_said_and_trains_on(tiny_root, tmp_path):
    shutil.copytree(tiny_root / "market", tmp_path / "market")
    _, notes = mixture_of(
        f"data={tmp_path}", MARKET, "evaluation=[{task: cc, dataset: ltcc, protocol: clothes_change}]"
    )
    assert any(note.startswith("the test people of ltcc are unknown") for note in notes)


def test_a_protocol_that_cannot_judge_its_test_is_refused_before_anything_is_trained(tiny_root):
    rows = [
        "{task: trad, dataset: market1501, protocol: market}",
        "{task: trad, dataset: market1501, protocol: llcm}",
    ]
    with pytest.raises(InputError, match=r"protocol llcm .* cannot evaluate market1501: one side must be"):
        mixture_of(f"data={tiny_root}", MARKET, f"evaluation=[{', '.join(rows)}]")


def test_missing_data_are_refused(tmp_path):
    with pytest.raises(InputError, match="market1501"):
        mixture_of(f"data={tmp_path}", MARKET)


def test_a_fingerprint_follows_the_data_and_not_their_place(tiny_root, tmp_path):
    shutil.copytree(tiny_root / "market", tmp_path / "market")
    here, there = (mixture_of(f"data={root}", MARKET)[0] for root in (tiny_root, tmp_path))
    assert fingerprint(here, tiny_root) == fingerprint(there, tmp_path)
    next((tmp_path / "market" / "Market-1501" / "bounding_box_train").glob("*.jpg")).unlink()
    less = mixture_of(f"data={tmp_path}", MARKET)[0]
    assert fingerprint(less, tmp_path) != fingerprint(there, tmp_path)


def test_drawn_sources_are_not_weighed_twice():
    rows = "mixture=[{task: trad, dataset: market1501, weight: 3}, {task: trad, dataset: msmt17}]"
    assert shares(read_run(TINY, [rows])) == {"trad/market1501": 3.0, "trad/msmt17": 1.0}
    drawn = shares(read_run(TINY, [rows, "sources_per_step=1"]))
    assert drawn == {"trad/market1501": 1.0, "trad/msmt17": 1.0}


def test_parameters_carry_their_modules_names():
    linear = torch.nn.Linear(1, 1)
    assert [name for name, _ in named_parameters(model=linear)] == ["model.weight", "model.bias"]


def test_bf16_is_for_gpus_unless_asked_for():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert choose_autocast("auto", cpu) is None
    assert choose_autocast("auto", gpu) is torch.bfloat16
    assert choose_autocast("fp32", gpu) is None
    assert choose_autocast("bf16", cpu) is torch.bfloat16


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="no GPU"):
        choose_device("cuda")


def test_who_is_in_the_test_of_a_set_trained_on_is_dropped_though_nothing_is_evaluated(tiny_root):
    pedes, market = "{task: t2i, dataset: cuhk_pedes}", "{task: trad, dataset: market1501}"
    alone, both = (
        mixture_of(f"data={tiny_root}", f"mixture=[{rows}]", "evaluation=[]")[0]
        for rows in (pedes, f"{pedes}, {market}")
    )
    assert len(both.sources[0].records) < len(alone.sources[0].records)


def test_the_whole_gallery_is_in_the_test_too(tiny_root, monkeypatch):
    asked = []

    def drop(people, tests, **_):
        asked.extend(tests)
        raise InterruptedError

    monkeypatch.setattr("irm.mixing.drop_test_people", drop)
    run = read_run(TINY, [f"data={tiny_root}", MARKET, "evaluation=[]"])
    with pytest.raises(InterruptedError):
        build_mixture(run, preprocessing_of(build_irm(run)[0]))
    split = load_split(tiny_root, "market1501", "trad")
    assert [set(test.records) for test in asked] == [{*split.query, *split.gallery}]


@pytest.mark.parametrize("seed", range(4))
def test_nobody_of_a_test_is_kept_aside_to_choose_a_model_by(tiny_root, seed):
    rows = "mixture=[{task: t2i, dataset: cuhk_pedes}]"
    market = "evaluation=[{task: trad, dataset: market1501, protocol: market}]"
    sheet = (f"data={tiny_root}", rows, market, f"seed={seed}")
    whole, _ = mixture_of(*sheet)
    parted, _ = mixture_of(*sheet, "validation.share=0.5")
    (held_out,) = parted.held_out
    chosen = {record.image for record in (*held_out.split.query, *held_out.split.gallery)}
    assert chosen <= {record.image for record in whole.sources[0].records}


def test_nobody_is_trained_on_who_is_held_out_of_another_source(tiny_root):
    """LTCC's own layout and its list of clothes pictures number the same people differently."""
    rows = "mixture=[{task: cc, dataset: ltcc}, {task: ctcc, dataset: ltcc}]"
    mixture, notes = mixture_of(f"data={tiny_root}", rows, "evaluation=[]", "validation.share=0.3", "seed=3")
    sides = [side for one in mixture.held_out for side in (one.split.query, one.split.gallery)]
    hidden = {record.image for side in sides for record in side}
    trained = [{record.image for record in source.records} for source in mixture.sources]
    assert all(trained) and not hidden & set().union(*trained)
    assert any("are held out of another source for validation" in note for note in notes)


def test_the_sentences_of_a_training_are_banks_captions_and_descriptions(tiny_root):
    rows = (
        "mixture=[{task: trad, dataset: market1501}, {task: li, dataset: cocas_real1},"
        "{task: t2i, dataset: cuhk_pedes}]"
    )
    mixture, _ = mixture_of(f"data={tiny_root}", rows, "evaluation=[]")
    _, composed, described = mixture.sources
    captions = [
        {caption for record in source.records for caption in record.captions}
        for source in (composed, described)
    ]
    assert {*BANKS["trad"], NEUTRAL_SENTENCE} | captions[0] == set(instructions_of(mixture))
    assert captions[1] == set(texts_of(mixture)) and captions[1]
