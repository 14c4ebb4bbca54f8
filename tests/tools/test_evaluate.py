"""The evaluation program: a run of twenty steps, its table, its files, and what it refuses."""

import html
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from irm.config import dump, read_run
from irm.embedder import IRMEmbedder
from irm.evaluation import open_run, trained_embedder, untrained_embedder
from irm.models import SentenceTokenizer
from irm.models.weights.convert import Options, convert_weights
from irm.pretraining.run import read_pretrain
from irm.training.run import train_run
from omnireid.columns import labels_of
from omnireid.datasets import load_split
from tests import checkpoints, reference
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
        (["--task", "trad"], "--task needs --dataset NAME"),
        (["--protocol", "market"], "--protocol needs --dataset NAME"),
        (["--dataset", "market1501"], "--task is missing"),
        (["--dataset", "market1501", "--task", "tra"], "did you mean 'trad'?"),
        (["--dataset", "market1501", "--task", "trad", "--tasks", "trad"], "with --dataset use --task"),
        (["--metric", "euclidean"], "--metric applies only to --features"),
        (["--order", "f.txt"], "--order applies only to --features"),
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


def evaluations(path):
    """Evaluations of a report by task, data set and title; a row's own where several are asked otherwise."""
    found = {}
    for one in json.loads(path.read_text())["evaluations"]:
        found.setdefault((one["task"], one["dataset"], one["title"]), one)
    return found


def test_another_question_takes_no_reports_place(monkeypatch, finished):
    assert program(monkeypatch, finished) == 0
    whole = (finished / "evaluation.json").read_bytes()
    assert program(monkeypatch, finished, "--tasks", "trad,cc") == 0
    assert program(monkeypatch, finished, "--dataset", "market1501", "--task", "trad", "--re-score", "0") == 0
    assert program(monkeypatch, finished, "--tasks", "cc", "--re-rank") == 0
    assert (finished / "evaluation.json").read_bytes() == whole
    assert len(evaluations(finished / "evaluation-cc-re-rank.json")) == 2
    tasks = {task for task, *_ in evaluations(finished / "evaluation-trad-cc.json")}
    assert tasks == {"trad", "cc"}
    assert len(evaluations(finished / "evaluation-market1501-trad-re-score-0.json")) == 1


def test_a_data_set_that_is_missing_costs_its_own_rows_alone(
    monkeypatch, capsys, tmp_path, tiny_root, finished
):
    (tmp_path / "market").symlink_to(tiny_root / "market")
    (finished / "evaluation.json").write_text("an earlier whole answer")
    assert program(monkeypatch, finished, "--data", tmp_path) == 3
    told = capsys.readouterr()
    for label in ("cc/ltcc", "vi/llcm", "ctcc/cocas_real2", "li/cocas_real2", "t2i/cuhk_pedes"):
        assert sum(f"{label} (" in line and "is left out" in line for line in told.err.splitlines()) == 1
    assert (finished / "evaluation.json").read_text() == "an earlier whole answer"
    report = finished / "evaluation-partial.json"
    assert [place[:2] for place in evaluations(report)] == [("trad", "market1501")]
    assert "vi/llcm (llcm) is left out: LLCM" in json.loads(report.read_text())["provenance"]["left_out"]
    assert program(monkeypatch, finished, "--data", tmp_path, "--tasks", "cc,vi") == 2


def test_a_row_that_fails_on_the_way_costs_itself_alone(monkeypatch, capsys, tmp_path, finished):
    row = ("--dataset", "market1501", "--task", "trad", "--protocol", "clothes_change,market")
    assert program(monkeypatch, finished, *row, "--json", tmp_path / "r.json") == 3
    assert "trad/market1501 (clothes_change) is left out" in capsys.readouterr().err
    assert [title for *_, title in evaluations(tmp_path / "r.json")] == ["Market-1501 rule"]


def test_saved_features_are_judged_as_the_run_was(monkeypatch, tmp_path, tiny_root, finished):
    whole, kept = tmp_path / "run.json", tmp_path / "features"
    assert program(monkeypatch, finished, "--json", whole, "--save-features", kept, "--re-rank") == 0
    of_run = evaluations(whole)
    sheet = read_run(finished / "config.yaml")
    assert {path.stem for path in kept.iterdir()} == {f"{row.task}-{row.dataset}" for row in sheet.evaluation}
    for row in sheet.evaluation:
        asked = (
            "--data",
            tiny_root,
            "--dataset",
            row.dataset,
            "--task",
            row.task,
            "--protocol",
            row.protocol,
        )
        file, report = kept / f"{row.task}-{row.dataset}.npz", tmp_path / "features.json"
        assert program(monkeypatch, "--features", file, *asked, "--re-rank", "--json", report) == 0
        again = evaluations(report)
        assert len(again) == (1 if row.task == "t2i" else 2)
        for place, one in again.items():
            assert one["average_precision"] == of_run[place]["average_precision"]


def test_tables_of_a_run_and_of_features_are_compared(monkeypatch, capsys, tmp_path, tiny_root, finished):
    run_csv, file_csv, every_csv = (tmp_path / f"{name}.csv" for name in ("run", "file", "every"))
    row = ("--data", tiny_root, "--dataset", "market1501", "--task", "trad")
    kept = ("--save-features", tmp_path)
    assert program(monkeypatch, finished, *row, *kept, "--per-query", run_csv) == 0
    assert program(monkeypatch, finished, *row, "--every-sentence", "--per-query", every_csv) == 0
    file = tmp_path / "trad-market1501.npz"
    assert program(monkeypatch, "--features", file, *row, "--per-query", file_csv) == 0
    for pair in ((run_csv, file_csv), (file_csv, every_csv), (run_csv, every_csv)):
        capsys.readouterr()
        assert program(monkeypatch, "--compare", *pair) == 0
        told = capsys.readouterr().out
        assert told.count("1.0000") == 2 and "12 │" in told
    assert "19 searches are only in" in told


def test_a_checkpoint_and_a_model_on_its_own_are_judged_like_the_run(
    monkeypatch, capsys, tmp_path, tiny_root, finished
):
    assert program(monkeypatch, finished, "--tasks", "trad", "--json", tmp_path / "run.json") == 0
    expected = evaluations(tmp_path / "run.json")
    (checkpoint,) = (finished / "checkpoints").iterdir()
    assert program(monkeypatch, checkpoint, "--tasks", "trad") == 0
    found = evaluations(checkpoint.with_name(f"{checkpoint.name}-evaluation-trad.json"))
    model = tmp_path / "model"
    shutil.copytree(finished / "model", model)
    asked = ("--sheet", TINY, "--tasks", "trad", "--data", tiny_root)
    assert program(monkeypatch, model, *asked) == 0
    alone = evaluations(tmp_path / "model-evaluation-tiny-trad.json")
    for place, one in expected.items():
        assert one["average_precision"] == found[place]["average_precision"]
        assert one["average_precision"] == alone[place]["average_precision"]
    capsys.readouterr()
    for words, complaint in (
        ([], "pass --sheet FILE, or --dataset NAME"),
        (["--dataset", "market1501", "--task", "trad"], "give --data DIR"),
        ([*asked, "--untrained"], "use the run folder instead"),
    ):
        assert program(monkeypatch, model, *words) == 2
        assert complaint in capsys.readouterr().err


def test_a_converted_model_is_compared_as_its_authors_compare(monkeypatch, tmp_path, tiny_root):
    words = SentenceTokenizer.characters()
    words.save(tmp_path)
    sizes = {"dim": 64, "depth": 3, "joint": 16, "queue": 8, "vocab": words.vocab_size}
    released = checkpoints.filled(checkpoints.released(**sizes, crossing=range(1, 3)))
    torch.save({"state_dict": released}, tmp_path / "checkpoint.pth.tar")
    options = Options(tokenizer=tmp_path, domain="trad/market1501")
    convert_weights("irm_released", tmp_path / "checkpoint.pth.tar", tmp_path / "irm", options=options)
    row = ("--data", tiny_root, "--dataset", "market1501", "--task", "trad", "--protocol", "irm_released")
    report = tmp_path / "irm.json"
    assert program(monkeypatch, tmp_path / "irm", *row, "--save-features", tmp_path, "--json", report) == 0
    ((place, one),) = evaluations(report).items()
    assert place[2] == "released IRM evaluator (AP@500), Euclidean"
    file = tmp_path / "trad-market1501.npz"
    assert program(monkeypatch, "--features", file, *row, "--json", tmp_path / "file.json") == 0
    assert evaluations(tmp_path / "file.json")[place]["average_precision"] == one["average_precision"]
    split = load_split(tiny_root, "market1501", "trad")
    with np.load(file) as content:
        kept = dict(content)
    masks = reference.judge("irm_released", labels_of(split.query), labels_of(split.gallery))
    distmat = np.linalg.norm(kept["query"][:, None] - kept["gallery"][None], axis=2)
    expected = reference.rank(distmat.astype(np.float64), *masks)  # fewer than 500 images: all count
    assert one["mean_ap"] == pytest.approx(expected.mean_ap)


def test_what_is_no_retrieval_model_is_named(monkeypatch, capsys, tmp_path, tiny_root, finished):
    pretrained, backbone, broken = (tmp_path / name for name in ("pretrained", "backbone", "broken"))
    (pretrained / "model").mkdir(parents=True)
    (pretrained / "model" / "model.safetensors").touch()
    (pretrained / "config.yaml").write_text(dump(read_pretrain(TINY.parents[1] / "mllm" / "tiny.yaml")))
    backbone.mkdir()
    (backbone / "spec.json").write_text("{}")
    shutil.copytree(finished / "model", broken)
    row = ("--data", tiny_root, "--dataset", "market1501", "--task", "trad")
    for folder, complaint in (
        (pretrained, "is a tools.pretrain run"),
        (backbone, "is a backbone folder"),
        (broken, "config.json cannot be read as JSON"),
    ):
        (broken / "config.json").write_text('{"backbone": ')
        assert program(monkeypatch, folder, *row) == 2
        error = capsys.readouterr().err
        assert complaint in error and str(folder) in error and error.count("\n") == 1
    (broken / "config.json").unlink()
    assert program(monkeypatch, broken, *row) == 2
    assert "contains weights but no config.json" in capsys.readouterr().err
    (broken / "config.json").write_text('{"model_type": "llava"}')
    assert program(monkeypatch, broken, *row) == 2
    assert "a transformers model (llava)" in capsys.readouterr().err


def test_who_asks_in_another_way_gets_another_report(monkeypatch, finished):
    kept = (finished / "evaluation-vi.json", "--tasks", "vi")
    assert program(monkeypatch, finished, *kept[1:]) == 0
    before = kept[0].read_bytes()
    for asked, name in (
        (("--precision", "bf16"), "evaluation-vi-precision-bf16.json"),
        (("--re-rank", "5,2,0.3"), "evaluation-vi-re-rank-5+2+0.3.json"),
    ):
        assert program(monkeypatch, finished, *kept[1:], *asked) == 0
        assert (finished / name).is_file(), sorted(path.name for path in finished.iterdir())
    assert kept[0].read_bytes() == before


def test_the_page_shows_how_the_people_kept_aside_were_found(monkeypatch, tmp_path, tiny_root):
    sheet = ["mixture=[{task: trad, dataset: market1501}]", "optimizer.steps=2", "loader.workers=0"]
    kept = ["validation={share: 0.3, every: 1}", f"data={tiny_root}"]
    train_run(read_run(TINY, [*sheet, *kept]), tmp_path / "run", resume=False, console=Console(quiet=True))
    assert program(monkeypatch, tmp_path / "run", "--tasks", "trad", "--html", tmp_path / "page.html") == 0
    assert "mAP on the held-out people" in (tmp_path / "page.html").read_text()


def test_notes_of_the_data_stand_in_report_and_page(monkeypatch, tmp_path, tiny_root, finished):
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    asked = ("--tasks", "trad", "--json", report, "--html", page)
    assert program(monkeypatch, finished, *asked) == 0
    notes = load_split(tiny_root, "market1501", "trad").notes
    assert notes
    for note in notes:
        assert f"trad/market1501: {note}" in json.loads(report.read_text())["provenance"]["notes"]
        assert html.escape(note) in page.read_text()
