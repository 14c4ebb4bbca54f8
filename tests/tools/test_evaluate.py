"""The evaluation program: a run of twenty steps, its table, its files, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from irm.config import read_run
from irm.embedder import IRMEmbedder
from irm.evaluation import open_run, trained_embedder, untrained_embedder
from irm.training.run import train_run
from tools._program import run
from tools.evaluate import main

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_root):
    """A finished run of two steps over all six tasks."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    sheet = read_run(TINY, [f"data={tiny_root}", "optimizer.steps=2", "loader.workers=0"])
    train_run(sheet, folder, resume=False, console=Console(quiet=True))
    return folder


def program(monkeypatch, *arguments):
    """Exit code of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["tools.evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


def test_six_tasks_give_a_table_a_report_and_a_page(monkeypatch, capsys, tmp_path, finished):
    report, page = tmp_path / "report.json", tmp_path / "pages" / "report.html"
    arguments = (finished, "--untrained", "--json", report, "--html", page, "--re-score", 4)
    assert program(monkeypatch, *arguments) == 0
    told = capsys.readouterr().out
    for title in ("traditional", "clothes-changing", "visible-infrared", "clothes template", "text-to-image"):
        assert title in told
    content = json.loads(report.read_text())
    assert {evaluation["task"] for evaluation in content["evaluations"]} == {
        "trad",
        "cc",
        "vi",
        "ctcc",
        "li",
        "t2i",
    }
    assert "synthetic people, preset tiny" in content["provenance"]["data"]
    assert page.read_text().startswith("<!doctype html>")
    before = report.read_bytes()
    assert program(monkeypatch, *arguments, "--reuse") == 0
    assert "reused" in capsys.readouterr().out
    assert report.read_bytes() == before


def test_training_moves_the_weights_and_the_untrained_model_is_where_it_began(finished):
    trained, untrained = (make(open_run(finished)).model for make in (trained_embedder, untrained_embedder))
    again = untrained_embedder(open_run(finished)).model
    name = "editing_transformer.vit.blocks.0.attn.gate"
    names = [key for key in trained.state_dict() if key.endswith("gate")] or [name]
    assert all(untrained.state_dict()[key].abs().sum() == 0 for key in names)
    assert any(trained.state_dict()[key].abs().sum() > 0 for key in names)
    assert all(untrained.state_dict()[key].equal(again.state_dict()[key]) for key in untrained.state_dict())


def test_a_test_set_without_training_people_borrows_the_statistics_of_its_task(finished):
    embedder = trained_embedder(open_run(finished))
    assert isinstance(embedder, IRMEmbedder)
    assert embedder.view("li/cocas_real2") == "li/cocas_real1"
    assert embedder.view("trad/msmt17") == "trad/market1501"
    assert embedder.view("trad/market1501") == "trad/market1501"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tasks", "tradd"], "there is no task 'tradd'"),
        (["--batch-size", "0"], "--batch-size is 0"),
        (["--data", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, finished, arguments, complaint):
    assert program(monkeypatch, finished, *arguments) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--task", "trad"], "--task goes with --dataset NAME"),
        (["--protocol", "market"], "--protocol goes with --dataset NAME"),
        (["--dataset", "market1501"], "--task is missing"),
        (["--dataset", "market1501", "--task", "tra"], "did you mean 'trad'?"),
        (["--dataset", "market1501", "--task", "trad", "--tasks", "trad"], "beside --dataset say --task"),
        (["--metric", "euclidean"], "--metric goes with --features"),
        (["--order", "f.txt"], "--order goes with --features"),
        (["--re-rank", "20"], "--re-rank is '20'; give k1,k2,lambda"),
        (["--re-rank", "20,0,0.3"], "--re-rank is '20,0,0.3'"),
    ],
)
def test_options_that_do_not_fit_are_refused_rather_than_passed_over(
    monkeypatch, capsys, finished, words, complaint
):
    assert program(monkeypatch, str(finished), *words) == 2
    assert complaint in capsys.readouterr().err


def test_a_folder_that_is_no_run_or_unfinished_is_one_sentence(monkeypatch, capsys, tmp_path, finished):
    assert program(monkeypatch, tmp_path) == 2
    assert "is not a run folder" in capsys.readouterr().err
    shutil.copy(finished / "config.yaml", tmp_path)
    assert program(monkeypatch, tmp_path) == 2
    assert "--resume" in capsys.readouterr().err
