"""Which weights a run leaves behind: the best by held-out people, or an average; never by the test."""

import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from irm.config import read_run
from irm.training.irm_setup import build_irm_setup
from irm.training.run import train_run

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
STEPS, DECAY = 4, 0.8
MARKET = [
    *("mixture=[{task: trad, dataset: market1501}]", "evaluation=[]", f"optimizer.steps={STEPS}"),
    *("logging.checkpoint_every=1", "logging.keep=10", "optimizer.warmup_steps=0"),
]


def go(root, out, *overrides):
    run = read_run(TINY, [f"data={root}", *MARKET, *overrides])
    text = io.StringIO()
    train_run(run, out, resume=False, console=Console(file=text, width=400))
    return text.getvalue()


def weights_after(out, step):
    return load_file(out / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def left_behind(out):
    return load_file(out / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def without_test(tiny_root, tmp_path_factory):
    """The tiny Market-1501, whose test images are no images: whoever opens one is found out."""
    root = tmp_path_factory.mktemp("choice") / "data"
    shutil.copytree(tiny_root / "market", root / "market")
    images = [path for path in root.rglob("*.jpg") if path.parent.name in ("query", "bounding_box_test")]
    assert images
    for path in images:
        path.write_bytes(b"whoever reads this looks at the test")
    return root


def test_the_weights_left_behind_are_those_of_the_best_validation(tiny_root, tmp_path, monkeypatch):
    """The second of four steps is best; the last, as good, came later."""
    scores = iter([0.2, 0.9, 0.5, 0.9])

    def scripted(*_, **__):
        return {"trad/market1501": next(scores)}

    monkeypatch.setattr("irm.training.irm_setup.validate", scripted)
    text = go(tiny_root, tmp_path, "validation={share: 0.3, every: 1}")
    assert "step 2/4  validation mAP 90.0  trad/market1501 90.0  the best so far" in text
    assert "step 4/4  validation mAP 90.0  trad/market1501 90.0  the best was step 2" in text
    chosen, ours = weights_after(tmp_path, 2), left_behind(tmp_path)
    assert all(torch.equal(ours[name], chosen[name]) for name in chosen)
    assert any(not torch.equal(ours[name], last) for name, last in weights_after(tmp_path, STEPS).items())


def test_validation_looks_for_held_out_people_and_never_opens_the_test(without_test, tmp_path):
    go(without_test, tmp_path, "validation={share: 0.3, every: 1}", "optimizer.lr=0.03")
    rows = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    scores = [row["mean_ap"]["trad/market1501"] for row in rows]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(0 < score <= 1 for score in scores) and len(set(scores)) > 1
    chosen, ours = weights_after(tmp_path, 1 + scores.index(max(scores))), left_behind(tmp_path)
    assert all(torch.equal(ours[name], chosen[name]) for name in chosen)


def test_held_out_people_are_never_trained_on(tiny_root):
    run = read_run(TINY, [f"data={tiny_root}", *MARKET, "validation.share=0.3"])
    shop = build_irm_setup(run, torch.device("cpu"))
    (held_out,) = shop.mixture.held_out
    hidden = {record.pid for record in (*held_out.split.query, *held_out.split.gallery)}
    everybody = build_irm_setup(run.model_copy(update={"validation": type(run.validation)()}), shop.device)
    all_people = {record.pid for record in everybody.records("trad/market1501")}
    trained = {record.pid for record in shop.records("trad/market1501")}
    assert len(hidden) >= 2 and hidden | trained == all_people and not hidden & trained
    drawn = {pid for step in range(20) for batch in shop.mixture.step(step) for pid in batch.pids.tolist()}
    assert drawn == trained
    assert shop.mixture.num_classes("trad/market1501") == len(trained)


def test_the_moving_average_is_the_one_that_a_loop_over_the_steps_gives(tiny_root, tmp_path):
    go(tiny_root, tmp_path, f"optimizer.average={DECAY}")
    average = weights_after(tmp_path, 1)
    for step in range(2, STEPS + 1):
        for name, tensor in weights_after(tmp_path, step).items():
            average[name] = DECAY * average[name] + (1 - DECAY) * tensor
    ours, last = left_behind(tmp_path), weights_after(tmp_path, STEPS)
    trained = [name for name in ours if ours[name].is_floating_point()]
    for name in trained:
        torch.testing.assert_close(ours[name], average[name], rtol=1e-5, atol=1e-7, msg=name)
    assert any(not torch.allclose(ours[name], last[name]) for name in trained)
