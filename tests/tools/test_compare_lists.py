"""The program that draws two runs' ranked lists: what it says, what it writes, what it refuses."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from tools._program import run
from tools.compare_lists import main as compare_lists
from tools.train import main as train

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"


def program(monkeypatch, main, *arguments):
    """Exit code of a program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["tools", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.fixture(scope="module")
def runs(tiny_root, tmp_path_factory):
    """Two runs of one step, one with a matcher."""
    folder = tmp_path_factory.mktemp("runs")
    rows = ["mixture=[{task: trad, dataset: market1501}]", "evaluation=[]", f"data={tiny_root}"]
    with pytest.MonkeyPatch.context() as patch:
        for name, settings in (("plain", []), ("matched", ["model.matcher=8", "seed=2"])):
            words = [TINY, *rows, "optimizer.steps=1", *settings, "--out", folder / name]
            assert program(patch, train, *words) == 0
    return folder / "plain", folder / "matched"


def test_it_writes_the_image_and_says_which_queries_and_why(monkeypatch, capsys, runs, tmp_path):
    out = tmp_path / "figures" / "lists.png"
    words = [*runs, "--names", "baseline,ours", "--queries", 2, "--top", 5, "--out", out]
    assert program(monkeypatch, compare_lists, *words) == 0
    told = capsys.readouterr().out
    assert "baseline mAP" in told and "of 12 queries ours is better at" in told
    assert "shown: where the two APs differ most, whichever wins; one query per person" in told
    assert told.count("  query ") == 2
    with Image.open(out) as image:
        assert image.format == "PNG"
    assert program(monkeypatch, compare_lists, *words) == 0
    assert capsys.readouterr().out == told


def test_queries_may_be_given(monkeypatch, capsys, runs, tmp_path):
    out = tmp_path / "lists.jpg"
    assert program(monkeypatch, compare_lists, *runs, "--rows", "3,0", "--out", out) == 0
    told = capsys.readouterr().out
    assert told.index("query 3,") < told.index("query 0,")
    assert "plain mAP" in told


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--out", "x.gif"], "--out is x.gif; name a .png or .jpg file"),
        (["--out", "x.png", "--top", "11"], "--top is 11; it must lie within 1 to 10"),
        (["--out", "x.png", "--names", "ours"], "--names is 'ours'; give two names"),
        (["--out", "x.png", "--rows", "a"], "--rows is 'a'; give numbers"),
        (["--out", "x.png", "--rows", "99"], "there is no query 99; they are 0 to 11"),
        (["--out", "x.png", "--task", "tred"], "there is no task 'tred'"),
    ],
)
def test_a_mistake_is_one_sentence(monkeypatch, capsys, runs, tmp_path, words, complaint):
    monkeypatch.chdir(tmp_path)
    assert program(monkeypatch, compare_lists, *runs, *words) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_is_named(monkeypatch, capsys, tmp_path):
    words = (tmp_path, tmp_path, "--out", tmp_path / "x.png")
    assert program(monkeypatch, compare_lists, *words) == 2
    assert f"{tmp_path} is not a run folder" in capsys.readouterr().err


def test_help_has_an_example(monkeypatch, capsys):
    assert program(monkeypatch, compare_lists, "--help") == 0
    assert "python -m tools.compare_lists runs/reid/baseline" in capsys.readouterr().out
