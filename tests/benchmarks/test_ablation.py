"""The grid of ablations, on the tiny preset: what it trains, what it prints, and that it goes on."""

import importlib.util
import sys
from pathlib import Path

import pytest
from rich.console import Console

from instructions.errors import InputError
from omnireid.extraction import Settings

ROOT = Path(__file__).parents[2]
TINY = ROOT / "configs" / "irm" / "tiny.yaml"


@pytest.fixture
def ablation(monkeypatch):
    spec = importlib.util.spec_from_file_location("ablation", ROOT / "benchmarks" / "ablation.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_each_task_is_trained_and_judged_alone_under_single(ablation, tmp_path):
    grid = list(ablation.jobs(TINY, tmp_path, tmp_path, ["single"], [4], []))
    assert [job.folder.name for job in grid] == ["trad", "cc", "vi", "ctcc", "li", "t2i"]
    for job in grid:
        rows = (*job.sheet.mixture, *job.sheet.evaluation)
        assert {row.task for row in rows} == {job.folder.name}
        assert job.sheet.seed == 4


def test_every_other_variant_changes_one_setting(ablation, tmp_path):
    sheets = {
        job.variant: job.sheet.model_dump(mode="json")
        for job in ablation.jobs(TINY, tmp_path, tmp_path, ["all", "no_editing", "no_adaptive"], [1], [])
    }
    plain = sheets["all"]
    plain["model"]["editing"] = False
    assert sheets["no_editing"] == plain
    plain["model"]["editing"] = True
    plain["losses"]["adaptive_triplet"]["adaptive"] = False
    assert sheets["no_adaptive"] == plain


def test_a_cell_is_the_mean_and_sample_deviation_over_seeds(ablation):
    found = {"all": {1: {"x": 10.0}, 2: {"x": 12.0}, 3: {"x": 14.0}}, "single": {1: {"y": 5.0}}}
    assert ablation.table(found).splitlines()[2:] == [
        "| x | 12.0 ± 2.0 | - |",
        "| y | - | 5.0 |",
        "| seeds | 1, 2, 3 | 1 |",
    ]


def test_a_finished_run_is_read_and_another_sheets_is_refused(ablation, tiny_root, tmp_path):
    def job(*overrides):
        few = ["optimizer.steps=1", "evaluation=[{task: li, dataset: cocas_real2, protocol: instructed}]"]
        return next(ablation.jobs(TINY, tiny_root, tmp_path, ["all"], [1], [*few, *overrides]))

    made = ablation.finish(job(), Settings(), Console(quiet=True))
    written = job().report.stat().st_mtime_ns
    found = ablation.finish(job(), Settings(), Console(quiet=True))
    assert job().report.stat().st_mtime_ns == written
    scores = ablation.scores(made.evaluations)
    assert ablation.scores(found.evaluations) == pytest.approx(scores)
    by_mode = {
        scored.query_asked: 100 * scored.mean_ap
        for scored in made.evaluations
        if (scored.gallery_asked, scored.protocol) == ("neutral", "instructed")
    }
    gain = scores["li, neutral gallery, instructed: right − none"]
    assert gain == pytest.approx(by_mode["right"] - by_mode["none"])
    with pytest.raises(InputError, match="is of another sheet"):
        ablation.finish(job("optimizer.lr=1e-2"), Settings(), Console(quiet=True))
