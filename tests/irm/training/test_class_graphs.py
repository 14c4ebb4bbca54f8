"""Class graphs: who is alike to the model at the start of a pass, and that stopping a run changes nothing."""

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from instructions.banks import canonical
from irm.config import read_run
from irm.training.irm_setup import build_irm_setup
from irm.training.progress import TrainingProgress
from irm.training.run import train_run
from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
MATCHER = ("model.matcher=8", "losses.weights.score_triplet=1")
STEPS, PASS = 10, 8  # tiny Market-1501 has eight training people


def sheet(root, *overrides):
    rows = ["mixture=[{task: trad, dataset: market1501}]", "evaluation=[]", "batch.sampling=graph"]
    lengths = [f"optimizer.steps={STEPS}", "logging.checkpoint_every=100", "batch.num_identities=3"]
    return read_run(TINY, [f"data={root}", *rows, *lengths, *overrides])


@pytest.mark.parametrize("overrides", [(), MATCHER], ids=["cosine", "matcher"])
def test_a_graph_is_the_nearest_people_of_the_model_as_it_is(tiny_root, overrides):
    workshop = build_irm_setup(sheet(tiny_root, *overrides), torch.device("cpu"))
    graphs, model = workshop.state.graphs, workshop.model.train()
    (sampler,) = workshop.mixture.graph_samplers().values()
    graphs.refresh(3)
    assert model.training, "the model is left in the mode it came in"
    shown = [workshop.mixture.sources[0].records[row].image for row in sampler.exemplars(0)]
    given = workshop.mixture.preprocessing
    pixels = np.stack([resize(read_image(path), given.image_size, given.resize) for path in shown])
    images = given.normalise(torch.from_numpy(pixels))
    model.eval()
    with torch.no_grad():
        if overrides:
            told = model.encode([canonical("trad").sentence] * PASS, torch.arange(PASS))
            places = model.matcher.places(model(images, told).patch_tokens).half().float()
            alike = model.matcher(places, places).numpy()
        else:
            features = model.embed(images, [canonical("trad").sentence] * PASS)
            alike = (features @ features.T).numpy()
    for person, row in enumerate(sampler.graph.neighbours):
        others = [other for other in np.argsort(-alike[person], kind="stable") if other != person]
        assert row.tolist() == [person, *others[:2]]


def test_a_graph_lasts_a_pass_and_its_end_is_known(tiny_root):
    workshop = build_irm_setup(sheet(tiny_root), torch.device("cpu"))
    graphs = workshop.state.graphs
    (sampler,) = workshop.mixture.graph_samplers().values()
    graphs.refresh(1)
    first = sampler.graph
    graphs.refresh(PASS - 1)
    assert sampler.graph is first
    assert (graphs.valid_until(1, 100), graphs.valid_until(1, 5)) == (PASS, 5)
    graphs.refresh(PASS)
    assert sampler.graph.number == 1


def trace(out):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["terms"], row["gradient_norm"]) for row in rows]


def go(root, out, *overrides):
    run = sheet(root, *MATCHER, *overrides)
    return train_run(run, out, resume=True, console=Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def whole(tiny_root, tmp_path_factory):
    """The trace of a run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    go(tiny_root, out)
    return trace(out)


@pytest.mark.parametrize("stop", [3, PASS], ids=["within a pass", "between passes"])
def test_a_stopped_run_goes_on_with_its_graph_bit_for_bit(tiny_root, tmp_path, monkeypatch, whole, stop):
    show = TrainingProgress.show

    def show_and_stop(self, report):
        show(self, report)
        if report.step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "show", show_and_stop)
        assert go(tiny_root, tmp_path).step == stop
    go(tiny_root, tmp_path, "loader.workers=1")
    assert len(whole) == STEPS
    assert trace(tmp_path) == whole
