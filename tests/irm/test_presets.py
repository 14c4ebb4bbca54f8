"""Each difference of paper and released code (docs/paper_map.md) that is a setting, in what it builds."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from instructions.banks import BANKS
from instructions.errors import InputError
from irm.build import build_irm
from irm.config import read_run
from irm.evaluation import Run, rows_of
from irm.mixing import build_mixture
from irm.training.irm_setup import build_objectives, instructions_of
from omnireid.loading.transforms import Preprocessing

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"
RELEASED = Path(__file__).parents[2] / "configs" / "irm" / "released.yaml"


class People:
    """As much of a mixture as objectives ask for."""

    sources = ()

    def num_classes(self, _):
        return 3


def build(preset):
    torch.manual_seed(0)
    small = ["losses.lessons.queue=8"] if preset == "released" else []
    run = read_run(TINY, [f"preset={preset}", *small])
    model, _ = build_irm(run)
    losses = build_objectives(run, model, People()).by_name
    return SimpleNamespace(run=run, model=model, identity=losses["identity"], image_text=losses["image_text"])


@pytest.fixture(scope="module")
def both():
    return {preset: build(preset) for preset in ("paper", "released")}


@pytest.mark.parametrize(
    ("difference", "paper", "released"),
    [
        (lambda built: built.model.editing_transformer.editing, True, False),
        (lambda built: built.run.model.gate, "per_layer", "per_head"),
        (lambda built: built.run.model.tanh, False, True),
        (lambda built: built.run.model.share_kv, False, True),
        (
            lambda built: (built.model.retrieval.feature, built.model.retrieval.normalise),
            ("edited", True),
            ("fused", False),
        ),
        (lambda built: built.model.fusion.streams, 1, 2),
        (lambda built: len(built.model.fusion.blocks) > 0, True, False),
        (lambda built: built.model.fusion.mask_padding, True, False),
        (lambda built: built.model.reading.pad_to_max, False, True),
        (lambda built: built.model.instruction_encoder.freeze_text, True, False),
        (lambda built: built.model.instruction_encoder.freeze_images, True, False),
        (lambda built: built.identity.triplet.mining, "all", "released"),
        (lambda built: built.identity.triplet.after_neck, False, True),
        (lambda built: built.identity.weights["adaptive_triplet"], 1.0, 3.0),
        (lambda built: built.identity.weights["adaptive_triplet_fused"], 1.0, 3.0),
        (lambda built: built.image_text.weights["contrastive"], 1.0, 0.5),
        (lambda built: built.image_text.weights["hidden_words"], 0.0, 1.0),
        (lambda built: built.image_text.weights["replaced_words"], 0.0, 0.5),
        (lambda built: built.image_text.lessons is None, True, False),
    ],
)
def test_a_difference_is_one_setting_and_reaches_what_is_built(both, difference, paper, released):
    assert difference(both["paper"]) == paper
    assert difference(both["released"]) == released


def test_the_released_lessons_are_the_authors():
    rule = read_run(RELEASED).losses.lessons
    assert (rule.queue, rule.momentum, rule.distillation) == (65_536, 0.995, 0.4)
    assert (rule.hidden_share, rule.replaced_share, rule.axis) == (0.15, 0.30, "places")
    assert rule.within_modality


def test_the_released_sheet_trains_and_judges_as_the_authors():
    run = read_run(RELEASED)
    assert (run.optimizer.lr, run.optimizer.decay, run.optimizer.schedule) == (4e-5, "all", "released")
    assert run.augmentation.jitter == (0.5, 0.5, 0.5, 0.4) and run.augmentation.erase == 0.9
    assert {row.protocol for row in run.evaluation if row.task != "t2i"} == {"irm_released"}


def asked(root, preset, *overrides):
    """What stands beside the training images of each task in eight steps, and every sentence there is."""
    run = read_run(TINY, [f"data={root}", f"preset={preset}", "gallery_instruction=own", *overrides])
    mixture, _ = build_mixture(run, Preprocessing(image_size=(16, 8), clothes_size=(8, 8)))
    given = {}
    for step in range(8):
        for batch in mixture.step(step):
            given.setdefault(batch.task, []).append(batch.instruction)
    return given, sorted(set(instructions_of(mixture)))


def test_the_paper_draws_from_banks_and_the_released_code_says_one_sentence_or_shows_a_shirt(tiny_root):
    paper, sentences = asked(tiny_root, "paper")
    for task, bank in BANKS.items():
        said = {sentence for given in paper[task] for sentence in given.sentences}
        assert len(said) > 1 and said <= set(bank) <= set(sentences)
        assert all(given.clothes is None for given in paper[task])
    released, sentences = asked(tiny_root, "released")
    for task, constant in (("trad", "do not change clothes"), ("vi", "cross modiality")):
        assert {sentence for given in released[task] for sentence in given.sentences} == {constant}
        assert constant in sentences and not set(BANKS[task]) - {constant} & set(sentences)
    for given in released["cc"]:
        assert given.sentences == () and len(given.clothes_rows) == len(given) == 4
        assert torch.equal(given.clothes, released["cc"][0].clothes[:1].expand_as(given.clothes))
        assert given.asked.tolist() == [-1] * 4, "the shirt is nobody's outfit"
    mixed, _ = asked(tiny_root, "paper", "sentences=constant")
    assert {sentence for given in mixed["cc"] for sentence in given.sentences} == {"ignore clothes"}


@pytest.mark.parametrize(
    ("preset", "sentence", "instruction"),
    [("paper", None, "bank"), ("released", "cross modiality", "listed_image")],
)
def test_a_run_is_evaluated_as_it_was_trained_to_be_asked(preset, sentence, instruction):
    rows = rows_of(Run(TINY.parent, read_run(TINY, [f"preset={preset}"])))
    specs = {row.task: row.instruction_settings.task(row.task) for row in rows}
    assert (specs["vi"].sentence, specs["cc"].instruction) == (sentence, instruction)


def test_a_set_whose_lists_name_no_image_cannot_be_asked_by_one(tiny_root):
    run = read_run(TINY, [f"data={tiny_root}", "cc_instruction=image", "mixture.1.source=raw"])
    with pytest.raises(InputError, match="has no image in column two of a list, which task cc needs"):
        build_mixture(run, Preprocessing())


def test_the_released_sheet_batches_as_the_authors():
    run = read_run(RELEASED)
    sizes = {row.task: (row.num_identities, row.num_instances) for row in run.mixture}
    assert sizes["t2i"] == (24, 1)
    assert sizes["trad"] == (None, None) and (run.batch.num_identities, run.batch.num_instances) == (32, 4)


def test_the_released_fusion_is_the_backbone_s_blocks_and_both_presets_embed(both):
    for preset, width in (("paper", 32), ("released", 64)):
        model = both[preset].model
        features = model.eval().embed(
            torch.randn(2, 3, *model.image_size), ["ignore clothes"] * 2, view="cc/ltcc"
        )
        assert features.shape == (2, width)


def test_edited_blocks_cannot_be_shared_with_the_fusion():
    with pytest.raises(InputError, match="edited blocks cannot also serve as the fusion's blocks"):
        build_irm(read_run(TINY, ["model.fusion.blocks=backbone"]))
