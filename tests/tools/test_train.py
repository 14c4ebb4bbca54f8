"""The training program: what it says, and how it ends."""

import json
import sys
from pathlib import Path

import pytest

from tools._program import run
from tools.train import main

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "configs" / "irm" / "tiny.yaml")


def program(monkeypatch, *arguments):
    """Exit code of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["tools.train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


def test_overrides_may_stand_on_either_side_of_options(monkeypatch, capsys, tmp_path, tiny_root):
    out = tmp_path / "run"
    rows = "mixture=[{task: trad, dataset: market1501}]"
    code = program(
        monkeypatch, TINY, rows, "--out", out, "--data", tiny_root, "optimizer.steps=1", "evaluation=[]"
    )
    assert code == 0
    told = capsys.readouterr().out
    assert f"{out}: 1 steps in" in told
    assert f"saved the model in {out / 'model'}" in told
    assert json.loads((out / "metrics.jsonl").read_text())["step"] == 1


def test_a_run_folder_in_use_is_one_sentence(monkeypatch, capsys, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    assert program(monkeypatch, TINY, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: the run folder {tmp_path} is not empty; add --resume")
    assert error.count("\n") == 1
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["optimizer.stepps=1"], "optimizer.stepps is not a setting (did you mean 'steps'?)"),
        (["data=/nowhere/at/all", "--out", "run"], "the data root /nowhere/at/all is not a folder"),
        ([], "--out is missing"),
        (["--ot", "run"], "unrecognized arguments: --ot"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert program(monkeypatch, TINY, *arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert complaint in told.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_sheet_is_named(monkeypatch, capsys, tmp_path):
    assert program(monkeypatch, tmp_path / "none.yaml", "--out", tmp_path / "run") == 2
    assert f"there is no run sheet {tmp_path / 'none.yaml'}" in capsys.readouterr().err


def test_the_resolved_sheet_is_printed(monkeypatch, capsys, tmp_path):
    assert program(monkeypatch, TINY, "seed=7", "--data", "/data", "--print-config") == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    assert program(monkeypatch, printed, "--print_config") == 0
    assert capsys.readouterr().out == printed.read_text()
    assert "seed: 7" in printed.read_text()
    assert "data: /data" in printed.read_text()


def test_help_has_an_example(monkeypatch, capsys):
    assert program(monkeypatch, "--help") == 0
    assert "python -m tools.train configs/irm/tiny.yaml" in capsys.readouterr().out


def test_a_finished_run_says_that_nothing_is_left(monkeypatch, capsys, tmp_path, tiny_root):
    rows = "mixture=[{task: trad, dataset: market1501}]"
    arguments = (
        TINY,
        rows,
        "optimizer.steps=1",
        "evaluation=[]",
        "--data",
        tiny_root,
        "--out",
        tmp_path / "run",
    )
    assert program(monkeypatch, *arguments) == 0
    capsys.readouterr()
    assert program(monkeypatch, *arguments, "--resume") == 0
    assert "nothing left to train, all 1 steps are already done" in capsys.readouterr().out
