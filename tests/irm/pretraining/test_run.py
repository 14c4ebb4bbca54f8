"""A run of the joint stage on the tiny people: what it leaves, and that stopping changes nothing."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from instructions.errors import InputError
from irm.mllm import VLM, load_parts
from irm.pretraining.encoder import start_tower
from irm.pretraining.run import JOINT_TRAINING, build_joint_setup, pretrain_run, read_pretrain
from irm.pretraining.schema import PretrainRun
from omnireid.captioning.attach import Caption, relative, write_captions
from omnireid.captioning.continuations import Continuation, ContinuationCache
from omnireid.datasets import load_split
from tests.pretend_gpu import pretend_gpu
from tests.processes import ended, torchrun, trace

TINY = Path(__file__).parents[3] / "configs" / "mllm" / "tiny.yaml"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def words(tmp_path_factory, tiny_root):
    """Words for half of the tiny Market-1501's training images."""
    folder = tmp_path_factory.mktemp("words")
    records = load_split(tiny_root, "market1501", "trad").train
    rows = [
        Caption(relative(r.image, tiny_root), r.pid, (f"Person {r.pid}.",), "us", "own", r.image)
        for r in records[::2]
    ]
    write_captions(folder / "captions.jsonl", rows)
    said = {row.captions[0] for row in rows}
    made = [Continuation(text, text, f"{text} They walk on.", "", "m") for text in sorted(said)]
    ContinuationCache(folder / "continuations.jsonl").add(made)
    return folder


def sheet(root, words, *overrides):
    row = f"mixture=[{{task: trad, dataset: market1501, words: {words or 'null'}}}]"
    return read_pretrain(TINY, [f"data={root}", row, *overrides])


def told(run, out, *, resume=False):
    text = io.StringIO()
    summary = pretrain_run(run, out, resume=resume, console=Console(file=text, width=200))
    return summary, text.getvalue()


def test_a_run_moves_to_a_gpu_and_back(monkeypatch, tmp_path, tiny_root, words):
    def go_on(steps, *, resume=True):
        steps_only = ("optimizer.schedule=constant", f"optimizer.steps={steps}", "device=auto")
        return told(sheet(tiny_root, words, *steps_only), tmp_path / "run", resume=resume)[0].step

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert go_on(1, resume=False) == 1
    with pytest.MonkeyPatch.context() as patch, pretend_gpu(patch):
        assert go_on(2) == 2
    assert go_on(3) == 3
    assert all("language" in row["terms"]["trad/market1501"] for row in trace(tmp_path / "run"))


def test_a_run_stopped_anywhere_goes_on_to_the_same_result(tmp_path, tiny_root, words):
    run = sheet(tiny_root, words)
    summary, said = told(run, tmp_path / "whole")
    assert summary.is_finished
    assert "16 of 32 training images have texts" in said and "continuations by m)" in said
    assert "LoRA: 9,472 of 9,472 parameters are trainable (float32)" in said
    told(run, tmp_path / "stopped")
    for step in (4, 6):  # as if the machine had gone after step 3
        shutil.rmtree(tmp_path / "stopped" / "checkpoints" / f"step-{step:08d}", ignore_errors=True)
    shutil.rmtree(tmp_path / "stopped" / "model")
    short = sheet(tiny_root, words, "logging.checkpoint_every=2", "logging.keep=3")
    out = tmp_path / "kept"
    told(short, out)
    for step in (4, 6):
        shutil.rmtree(out / "checkpoints" / f"step-{step:08d}")
    shutil.rmtree(out / "model")
    resumed, said = told(short, out, resume=True)
    assert "after step 2" in said
    assert resumed.is_finished
    assert trace(out) == trace(tmp_path / "whole")
    for name in ("adapter.safetensors", "tower/model.safetensors"):
        assert (out / "model" / name).read_bytes() == (tmp_path / "whole" / "model" / name).read_bytes()


def test_chunks_train_the_same_model(tmp_path, tiny_root, words):
    whole, _ = told(sheet(tiny_root, words, "optimizer.steps=2"), tmp_path / "whole")
    cut, _ = told(sheet(tiny_root, words, "optimizer.steps=2", "chunk=3"), tmp_path / "cut")
    assert cut.losses == pytest.approx(whole.losses, rel=1e-4)


def test_chunks_give_the_gradients_of_all_losses_over_the_whole_batch(tiny_root, words):
    found = []
    for chunk in ("null", "2"):  # two rows are one person's: without the others they have no negatives
        setup = build_joint_setup(sheet(tiny_root, words, f"chunk={chunk}"), CPU)
        (batch,) = next(iter(setup.batches(0, 1)))
        torch.manual_seed(0)
        torch.autograd.backward(setup.objectives(setup.model.train(), batch).total)
        parts = (*setup.model.named_parameters(), *setup.objectives.named_parameters())
        found.append({name: p.grad for name, p in parts if p.grad is not None})
    assert found[0].keys() == found[1].keys() and len(found[0]) > 50
    for name, gradient in found[1].items():
        torch.testing.assert_close(gradient, found[0][name], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("lambda_value", [0.0, 0.3, 1.0])
def test_the_loss_that_is_minimised_is_equation_4(tiny_root, words, lambda_value):
    run = sheet(tiny_root, words, f"losses.lambda_value={lambda_value}")
    setup = build_joint_setup(run, CPU)
    (batch,) = next(iter(setup.batches(0, 1)))
    found = setup.objectives(setup.model.train(), batch)
    reid = found.terms["identification"] + found.terms["triplet"]
    torch.testing.assert_close(
        found.total, lambda_value * found.terms["language"] + (1 - lambda_value) * reid
    )
    assert found.terms["language"] > 0


def test_a_batch_without_words_trains_the_reid_part_alone(tiny_root):
    setup = build_joint_setup(sheet(tiny_root, None), CPU)
    (batch,) = next(iter(setup.batches(0, 1)))
    found = setup.objectives(setup.model, replace(batch))
    assert found.terms["language"] == 0
    torch.autograd.backward(found.total)
    assert setup.model.tower.embeddings.patch_embedding.weight.grad.any()


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path, tiny_root, words):
    """Images meet in the ReID losses, answers are counted over both; words are drawn alike."""
    overrides = ["words.max_turns=1", "optimizer.steps=3"]
    told(sheet(tiny_root, words, *overrides), tmp_path / "one")
    row = f"mixture=[{{task: trad, dataset: market1501, words: {words}}}]"
    program = ["-m", "tools.pretrain", TINY, f"data={tiny_root}", row, *overrides]
    said = ended(torchrun(*program, "--out", tmp_path / "two"))
    assert said.count("saved the tower in") == 1
    pairs = zip(trace(tmp_path / "two"), trace(tmp_path / "one"), strict=True)
    for step, (ours, theirs) in enumerate(pairs):
        rel = 1e-3 if step else 1e-5  # rounding alone, which training then enlarges
        assert ours["images"] == theirs["images"] == 8
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=rel)
        assert ours["terms"]["trad/market1501"] == pytest.approx(theirs["terms"]["trad/market1501"], rel=rel)


def in_parts(tmp_path, root, words, llm):
    """A run of one process, the same one sharded over two, and the means to go on with either."""
    overrides = [f"tune.llm={llm}", "optimizer.steps=4", "optimizer.clip_grad_norm=0.5", "chunk=2"]
    row = f"mixture=[{{task: trad, dataset: market1501, words: {words}}}]"
    program = ["-m", "tools.pretrain", TINY, f"data={root}", row, *overrides, "shard=true"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    told(sheet(root, words, *overrides), whole)
    said = ended(torchrun(*program, "--out", parts))
    here, everywhere = re.search(r"2 processes holds its shard: (\S+) of (\S+) parameters", said).groups()
    assert int(here.replace(",", "")) == pytest.approx(int(everywhere.replace(",", "")) / 2, rel=0.02)
    agree(parts, whole)
    return whole, parts, overrides, program


@pytest.mark.slow
def test_a_sharded_model_with_adapters_trains_as_a_whole_one(tmp_path, tiny_root, words):
    in_parts(tmp_path, tiny_root, words, "lora")


@pytest.mark.slow
def test_anybody_goes_on_with_the_checkpoints_of_a_sharded_model(tmp_path, tiny_root, words):
    whole, parts, overrides, program = in_parts(tmp_path, tiny_root, words, "full")
    cut_back(parts, step=2)
    assert "after step 2" in told(sheet(tiny_root, words, *overrides), parts, resume=True)[1]
    agree(parts, whole)
    cut_back(whole, step=2)
    assert "after step 2" in ended(torchrun(*program, "--out", whole, "--resume"))
    agree(whole, parts)


def cut_back(out, step):
    """As if the machine had gone after this step."""
    for folder in (out / "checkpoints").iterdir():
        if folder.name > f"step-{step:08d}":
            shutil.rmtree(folder)
    shutil.rmtree(out / "model")


def agree(one, other):
    """The same losses and the same weights but for rounding, which training enlarges."""
    for ours, theirs in zip(trace(one), trace(other), strict=True):
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-3)
        assert ours["terms"]["trad/market1501"] == pytest.approx(theirs["terms"]["trad/market1501"], rel=1e-3)
    for name in ("adapter.safetensors", "tower/model.safetensors"):
        found, expected = (load_file(out / "model" / name) for out in (one, other))
        assert found.keys() == expected.keys()
        for key in found:
            torch.testing.assert_close(found[key], expected[key], atol=1e-4, rtol=1e-3)


def test_a_loss_that_is_no_number_names_its_images(tmp_path, tiny_root, words, monkeypatch):
    monkeypatch.setattr(
        "irm.pretraining.objective.language_loss", lambda likelihood, _: likelihood * float("nan")
    )
    with pytest.raises(InputError, match="loss of trad/market1501 is not a finite number at step 0"):
        told(sheet(tiny_root, words), tmp_path / "run")
    content = json.loads((tmp_path / "run" / "nonfinite-step-0.json").read_text())
    assert content["terms"]["language"] == "nan"
    assert len(content["records"]) == 8
    assert all(Path(record["image"]).is_file() for record in content["records"])


def test_what_may_change_on_resuming_exists():
    assert set(JOINT_TRAINING.free) <= set(PretrainRun.model_fields)


def test_the_tower_that_training_began_with_can_be_had_again(tiny_root, words):
    run = sheet(tiny_root, words, "seed=5")
    began = build_joint_setup(run, CPU).model.tower.state_dict()
    torch.manual_seed(0)
    again = start_tower(run).state_dict()
    assert again.keys() == began.keys()
    assert all(torch.equal(tensor, began[name]) for name, tensor in again.items())


def test_missing_words_are_one_sentence(tmp_path, tiny_root, words):
    with pytest.raises(InputError, match="there is no caption file"):
        build_joint_setup(sheet(tiny_root, tmp_path), CPU)
    (tmp_path / "captions.jsonl").write_bytes((words / "captions.jsonl").read_bytes())
    with pytest.raises(InputError, match=r"there is no continuations file .* words.instruction=diverse"):
        build_joint_setup(sheet(tiny_root, tmp_path), CPU)
    setup = build_joint_setup(sheet(tiny_root, tmp_path, "words.instruction=diverse"), CPU)
    assert any("16 of 32 training images have texts" in note for note in setup.notes)
    (tmp_path / "captions.jsonl").write_text("")
    with pytest.raises(InputError, match="has no texts for any training image of market1501"):
        build_joint_setup(sheet(tiny_root, tmp_path, "words.instruction=diverse"), CPU)


def test_a_whole_llava_trains_and_a_projector_of_another_layer_is_told(tmp_path, tiny_root, words):
    parts = load_parts(vision="tiny", llm="tiny", corpus=["a man"])
    vlm = VLM(parts, image_size=(64, 32), projector="mlp2x_gelu", feature_layer=-2)
    vlm.llava.save_pretrained(tmp_path)
    parts.tokenizer.save_pretrained(tmp_path)
    whole = f"model.llava={tmp_path}"
    notes = build_joint_setup(sheet(tiny_root, words, whole), CPU).notes
    assert any(
        "the projector was trained on feature layer -2 of the tower but reads layer -1" in n for n in notes
    )
    notes = build_joint_setup(sheet(tiny_root, words, whole, "model.feature_layer=-2"), CPU).notes
    assert not any("was trained on" in note for note in notes)
    with pytest.raises(InputError, match=r"the projector expects 64 features per patch, .* provides 128"):
        build_joint_setup(sheet(tiny_root, words, whole, "model.feature_layer=[-2,-1]"), CPU)


def test_a_resumed_run_keeps_its_sheet(tmp_path, tiny_root, words):
    told(sheet(tiny_root, words, "optimizer.steps=2"), tmp_path / "run")
    with pytest.raises(InputError, match=r"losses.lambda_value is 0.5 here but 0.3 in"):
        told(
            sheet(tiny_root, words, "optimizer.steps=2", "losses.lambda_value=0.5"),
            tmp_path / "run",
            resume=True,
        )
