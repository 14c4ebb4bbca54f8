"""GPU code on a pretended GPU: no tensor meets one of the host, and figures are those of a CPU."""

import copy
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from irm.build import build_irm
from irm.config import read_run
from irm.embedder import IRMEmbedder
from irm.evaluation import evaluate_rows
from irm.training.run import train_run
from omnireid.benchmark import Row
from tests.pretend_gpu import pretend_gpu

SHEETS = Path(__file__).parents[2] / "configs"
QUIET = Console(file=io.StringIO())
ROWS = [
    Row("trad", "market1501", "market"),
    Row("vi", "llcm", "llcm"),
    Row("ctcc", "cocas_real2", "instructed"),
    Row("li", "cocas_real2", "instructed"),
    Row("t2i", "cuhk_pedes", "text_to_image"),
]
RECIPES = {
    "released": ["preset=released", "model.instruction.freeze_text=false", "activation_checkpointing=true"],
    "lessons, in parts": [
        *("losses.weights.hidden_words=1", "losses.weights.replaced_words=1", "losses.lessons={queue: 12}"),
        *("batch.parts=2", "optimizer.name=adam"),
    ],
    "matcher on a graph": [
        *("mixture=[{task: trad, dataset: market1501}]", "evaluation=[]", "batch.sampling=graph"),
        *(
            "model.matcher=8",
            "losses.weights.score_triplet=1",
            "model.camera_embedding=3",
            "optimizer.name=sgd",
        ),
    ],
}


def test_the_two_sides_do_not_mix(monkeypatch):
    with pretend_gpu(monkeypatch):
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        for mixed in (lambda: there + here, lambda: torch.cat([here, there]), lambda: here[there.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()
        assert (there + here.to("cuda")).sum().item() == 6


@pytest.mark.slow
def test_a_run_moves_to_a_gpu_and_back(monkeypatch, tmp_path, tiny_root):
    def go_on(steps, *, resume=True):
        overrides = ("schedule=constant", "average=0.9", "warmup_steps=1", f"steps={steps}")
        kept = ("device=auto", "validation.share=0.3", "validation.every=2", f"data={tiny_root}")
        run = read_run(SHEETS / "irm" / "tiny.yaml", [*kept, *(f"optimizer.{one}" for one in overrides)])
        return train_run(run, tmp_path / "run", resume=resume, console=QUIET)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert go_on(2, resume=False).is_finished
    with pytest.MonkeyPatch.context() as patch, pretend_gpu(patch):
        assert go_on(4).step == 4
    assert go_on(6).step == 6


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains_on_a_gpu(monkeypatch, tmp_path, tiny_root, recipe):
    kept = [f"data={tiny_root}", "optimizer.steps=2", "optimizer.warmup_steps=1"]
    run = read_run(SHEETS / "irm" / "tiny.yaml", [*kept, *RECIPES[recipe]])
    with pretend_gpu(monkeypatch):
        assert train_run(run, tmp_path / "run", resume=False, console=QUIET).is_finished


def test_a_gpu_evaluates_as_a_cpu(monkeypatch, tiny_root):
    torch.manual_seed(0)
    model = build_irm(read_run(SHEETS / "irm" / "tiny.yaml"))[0].eval()
    here = evaluate_rows(IRMEmbedder(model), ROWS, tiny_root)
    with pretend_gpu(monkeypatch):
        there = evaluate_rows(IRMEmbedder(copy.deepcopy(model).to("cuda")), ROWS, tiny_root)
    for one, other in zip(here, there, strict=True):
        for found, expected in zip(other.evaluations, one.evaluations, strict=True):
            np.testing.assert_array_equal(found.average_precision, expected.average_precision)
