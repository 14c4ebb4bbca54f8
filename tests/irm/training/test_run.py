"""A whole run on the tiny people: what it leaves behind, and that stopping it changes nothing."""

import io
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console

from instructions.errors import InputError
from irm import IRM
from irm.config import read_run
from irm.schema import IRMRun
from irm.training.progress import TrainingProgress
from irm.training.recorder import Recorder
from irm.training.run import IRM_TRAINING, train_run
from omnireid.files import sole_writer
from tests.processes import trace

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
STEPS = 5
MARKET = "mixture=[{task: trad, dataset: market1501}]"


def sheet(root, *overrides):
    short = [
        f"data={root}",
        f"optimizer.steps={STEPS}",
        "optimizer.warmup_steps=2",
        "logging.checkpoint_every=2",
    ]
    return read_run(TINY, [*short, *overrides])


def go(run, out, *, resume=False):
    text = io.StringIO()
    summary = train_run(run, out, resume=resume, console=Console(file=text, width=400))
    return summary, text.getvalue()


def stop_after(monkeypatch, step):
    """Somebody sends SIGTERM while the run shows this step."""
    show = TrainingProgress.show

    def show_and_stop(self, report):
        show(self, report)
        if report.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(TrainingProgress, "show", show_and_stop)


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """Bit equality must not rest on there being a single thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tiny_root, tmp_path_factory):
    """A run that was never stopped; nobody writes into it."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    summary, text = go(sheet(tiny_root), out)
    return out, summary, text


def test_a_run_leaves_sheet_log_checkpoints_and_model(whole, tiny_root):
    out, summary, text = whole
    assert summary.is_finished
    assert (summary.start, summary.step) == (0, STEPS)
    assert read_run(out / "config.yaml") == sheet(tiny_root)
    assert [row["step"] for row in trace(out)] == [1, 2, 3, 4, 5]
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["step-00000004", "step-00000005"]
    assert read_run(out / "checkpoints" / "step-00000005" / "config.yaml") == sheet(tiny_root)
    assert list((out / "tensorboard").iterdir())
    assert len(summary.losses) == 6
    assert "step 5/5" in text
    assert "people dropped" in text


def test_the_model_is_the_trained_one_without_classifiers(whole):
    out, summary, _ = whole
    from safetensors.torch import load_file

    model = IRM.from_pretrained(summary.model)
    last = load_file(out / "checkpoints" / "step-00000005" / "model.safetensors")
    state = model.state_dict()
    assert set(last) == set(state)
    assert all(torch.equal(state[key], last[key]) for key in last)
    assert not any("classifier" in key for key in state)
    assert model.eval().embed_text(["a man"]).shape == (1, 256)


def test_a_stopped_run_resumes_bit_for_bit(whole, tiny_root, tmp_path, monkeypatch):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        summary, _ = go(sheet(tiny_root), out)
    assert not summary.is_finished
    assert summary.model is None
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]
    torch.rand(7)
    summary, text = go(sheet(tiny_root, "loader.workers=1"), out, resume=True)
    assert "after step 3" in text
    assert (summary.start, summary.step) == (3, STEPS)
    assert trace(out) == trace(whole[0])
    ours, theirs = (path / "model" / "model.safetensors" for path in (out, whole[0]))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_run_one_step_ahead_of_its_figures_leaves_the_same(tiny_root, tmp_path, monkeypatch):
    """As on a GPU: steps whose weights nobody asks for are reported after the next one was launched."""
    run = sheet(tiny_root, MARKET, "optimizer.fused=true", "optimizer.average=0.9")
    waiting, _ = go(run, tmp_path / "waiting")
    waits = Recorder.must_wait
    monkeypatch.setattr(Recorder, "must_wait", lambda self, step: waits(self, step) and step in (2, 4, STEPS))
    ahead, _ = go(run, tmp_path / "ahead")
    assert trace(ahead.out) == trace(waiting.out)
    ours, theirs = (one.model / "model.safetensors" for one in (ahead, waiting))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_damaged_checkpoint_costs_only_its_own_steps(whole, tiny_root, tmp_path, monkeypatch):
    out = tmp_path / "damaged"
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        go(sheet(tiny_root), out)
    latest_checkpoint = out / "checkpoints" / "step-00000003" / "training.pt"
    latest_checkpoint.write_bytes(latest_checkpoint.read_bytes()[:100])
    summary, text = go(sheet(tiny_root), out, resume=True)
    assert "training.pt differs from the file that was written" in text
    assert summary.start == 2
    assert trace(out) == trace(whole[0])
    for folder in (out / "checkpoints").iterdir():
        (folder / "training.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"no checkpoint in .* can be read"):
        go(sheet(tiny_root), out, resume=True)


def test_a_finished_run_trains_on_as_if_it_had_been_asked_for_more(tiny_root, tmp_path):
    """Where no learning rate hangs on the number of steps."""
    rows = ("optimizer.schedule=constant", MARKET)
    short, long = (sheet(tiny_root, *rows, f"optimizer.steps={steps}") for steps in (3, 5))
    go(short, tmp_path / "run")
    go(long, tmp_path / "whole")
    summary, _ = go(long, tmp_path / "run", resume=True)
    assert (summary.start, summary.step) == (3, 5)
    ours, theirs = (tmp_path / name / "model" / "model.safetensors" for name in ("run", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert read_run(tmp_path / "run" / "config.yaml").optimizer.steps == 5


def test_a_run_stopped_on_its_way_to_more_steps_still_says_what_its_model_is(
    tiny_root, tmp_path, monkeypatch
):
    out, rows = tmp_path / "run", ("optimizer.schedule=constant", MARKET)
    go(sheet(tiny_root, *rows, "optimizer.steps=2"), out)
    before = {path.name: path.read_bytes() for path in (out / "config.yaml", out / "model/model.safetensors")}
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        go(sheet(tiny_root, *rows, "optimizer.steps=5"), out, resume=True)
    after = {path.name: path.read_bytes() for path in (out / "config.yaml", out / "model/model.safetensors")}
    assert after == before
    go(sheet(tiny_root, *rows, "optimizer.steps=5"), out, resume=True)
    assert read_run(out / "config.yaml").optimizer.steps == 5


def test_a_schedule_that_ends_with_its_steps_is_not_lengthened(tiny_root, tmp_path):
    out = tmp_path / "run"
    go(sheet(tiny_root, MARKET, "optimizer.steps=1"), out)
    with pytest.raises(InputError, match=r"set model\.start=RUN and use another --out"):
        go(sheet(tiny_root, MARKET, "optimizer.steps=2"), out, resume=True)
    constant = (MARKET, "optimizer.schedule=constant")
    go(sheet(tiny_root, *constant, "optimizer.steps=3"), tmp_path / "constant")
    with pytest.raises(InputError, match=r"optimizer\.steps is 2 here but 3"):
        go(sheet(tiny_root, *constant, "optimizer.steps=2"), tmp_path / "constant", resume=True)


def test_a_schedule_that_is_never_reached_is_said(tiny_root, tmp_path):
    never = "optimizer={schedule: steps, milestones: [1, 7], warmup_steps: 9, steps: 2}"
    text = go(sheet(tiny_root, MARKET, never), tmp_path / "run")[1]
    assert "the warm-up of 9 steps is longer than this run of 2 steps" in text
    assert "optimizer.milestones: step 7 is beyond the 2 steps" in text


def test_triplets_without_positives_are_refused(tiny_root, tmp_path):
    with pytest.raises(InputError, match=r"trad/market1501: num_instances is 1, .* set it to at least 2"):
        go(sheet(tiny_root, MARKET, "batch.num_instances=1"), tmp_path / "run")


def test_resuming_a_finished_run_trains_nothing_and_keeps_the_model(tiny_root, tmp_path):
    out, tiny = tmp_path / "run", sheet(tiny_root, "optimizer.steps=1")
    go(tiny, out)
    before = trace(out), (out / "model" / "model.safetensors").read_bytes()
    summary, _ = go(tiny, out, resume=True)
    assert (summary.start, summary.step, summary.is_finished) == (1, 1, True)
    assert (trace(out), (out / "model" / "model.safetensors").read_bytes()) == before


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optimizer.lr=2e-3", r"optimizer\.lr is 0\.002 here but 0\.001"),
        ("mixture.0.weight=2", r"mixture\.0\.weight is 2"),
        ("mixture.0.source=lists", "keep its sheet"),
    ],
)
def test_another_sheet_cannot_resume_a_run(whole, tiny_root, override, complaint):
    with pytest.raises(InputError, match=complaint):
        go(sheet(tiny_root, override), whole[0], resume=True)


def test_other_data_cannot_resume_a_run(whole, tiny_root, monkeypatch):
    monkeypatch.setattr("irm.training.irm_setup.fingerprint", lambda *_: "another")
    with pytest.raises(InputError, match="training images or their texts differ from those"):
        go(sheet(tiny_root), whole[0], resume=True)


def test_a_run_folder_in_use_is_refused_and_nothing_is_lost(whole, tiny_root):
    before = trace(whole[0])
    with pytest.raises(InputError, match="is not empty; add --resume"):
        go(sheet(tiny_root), whole[0])
    assert trace(whole[0]) == before


def test_a_folder_that_is_no_run_cannot_be_resumed(tiny_root, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds no run"):
        go(sheet(tiny_root), tmp_path, resume=True)
    file = tmp_path / "letter.txt"
    with pytest.raises(InputError, match="is a file"):
        go(sheet(tiny_root), file)


def test_resuming_an_empty_folder_is_a_start(tiny_root, tmp_path):
    out = tmp_path / "new"
    out.mkdir()
    summary, _ = go(sheet(tiny_root, "optimizer.steps=1"), out, resume=True)
    assert (summary.start, summary.step) == (0, 1)


def test_two_programs_do_not_train_in_one_folder(whole, tiny_root):
    out, _, _ = whole
    before = (out / "metrics.jsonl").read_bytes()
    with sole_writer(out, ""), pytest.raises(InputError, match="another process is training in"):
        go(sheet(tiny_root), out, resume=True)
    assert (out / "metrics.jsonl").read_bytes() == before


def test_missing_data_leave_no_run_folder(tmp_path):
    with pytest.raises(InputError, match="data root"):
        go(sheet(tmp_path / "nowhere"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_names_its_images(tiny_root, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "irm.training.image_text.contrastive_loss",
        lambda image, *_, **__: image.sum() * float("nan"),
    )
    out = tmp_path / "run"
    with pytest.raises(InputError, match="loss of t2i/cuhk_pedes is not a finite number at step 0"):
        go(sheet(tiny_root), out)
    content = json.loads((out / "nonfinite-step-0.json").read_text())
    assert content["domain"] == "t2i/cuhk_pedes"
    assert content["terms"]["contrastive"] == "nan"
    assert len(content["records"]) == 4
    assert all(Path(record["image"]).is_file() for record in content["records"])


def test_the_released_preset_trains_too(tiny_root, tmp_path):
    summary, _ = go(sheet(tiny_root, "preset=released", "optimizer.steps=1"), tmp_path / "run")
    assert summary.is_finished


def test_a_text_to_image_run_needs_no_necks(tiny_root, tmp_path):
    rows = ["mixture=[{task: t2i, dataset: cuhk_pedes}]", "evaluation=[]", "optimizer.steps=1"]
    summary, _ = go(sheet(tiny_root, *rows), tmp_path / "run")
    assert set(summary.losses) == {"t2i/cuhk_pedes"}


def test_what_may_change_on_resuming_exists():
    assert set(IRM_TRAINING.free) <= set(IRMRun.model_fields)


def test_loader_processes_that_leave_first_do_not_cost_the_run(tiny_root, tmp_path, monkeypatch):
    def leaving(self, start, stop):
        batches = self.mixture.step
        for step in range(start, 3):
            yield batches(step)
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated.")

    with monkeypatch.context() as patch:
        patch.setattr("irm.training.irm_setup.IRMSetup.batches", leaving)
        summary, _ = go(sheet(tiny_root), tmp_path / "run")
    assert summary.step == 3
    assert (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir()


def test_loader_processes_that_die_unasked_are_an_error(tiny_root, tmp_path, monkeypatch):
    def dying(self, start, stop):
        yield self.mixture.step(start)
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    monkeypatch.setattr("irm.training.irm_setup.IRMSetup.batches", dying)
    with pytest.raises(RuntimeError, match="Killed"):
        go(sheet(tiny_root), tmp_path / "run")
