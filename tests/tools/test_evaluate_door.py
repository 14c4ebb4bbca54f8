"""What tools.evaluate is given wrongly is one sentence, said before the long work, and costs nothing."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from irm.config import read_run
from irm.training.run import train_run
from omnireid.datasets import load_split
from tools import evaluate
from tools._program import run

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_root):
    """A finished run of one step over one task."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    rows = ("mixture=[{task: trad, dataset: market1501}]", f"data={tiny_root}", "loader.workers=0")
    evaluation = "evaluation=[{task: trad, dataset: market1501, protocol: market}]"
    sheet = read_run(TINY, [*rows, evaluation, "optimizer.steps=1"])
    train_run(sheet, folder, resume=False, console=Console(quiet=True))
    return folder


@pytest.fixture
def own(finished, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def ask(monkeypatch, capsys):
    """Runs the program: its exit code, and the one sentence that it says where that is 2."""

    def ask(*arguments):
        monkeypatch.setattr(sys, "argv", ["tools.evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(evaluate.main)
        said = capsys.readouterr()
        assert ended.value.code != 2 or said.err.count("\n") == 1
        return ended.value.code, said.err if ended.value.code == 2 else said.out

    return ask


def test_an_edited_sheet_is_another_question(ask, own, tiny_root, tmp_path):
    sheet = tmp_path / "mine.yaml"
    row = "{task: trad, dataset: market1501, protocol: %s}"
    told = []
    for protocol in ("market", "irm_released"):
        sheet.write_text(f"base: {TINY}\nevaluation: [{row % protocol}]\n")
        told.append(ask(own, "--sheet", sheet, "--data", tiny_root, "--reuse")[1])
    assert "reused" not in told[1] and "AP@500" in told[1]
    assert "reused" in ask(own, "--sheet", sheet, "--data", tiny_root, "--reuse")[1]


@pytest.mark.parametrize("option", ["--html", "--per-query", "--save-features"])
def test_a_file_of_another_question_is_not_reused(ask, own, tmp_path, option):
    file = tmp_path / "beside"
    assert ask(own, option, file)[0] == 0
    assert "reused" in ask(own, option, file, "--reuse")[1]
    assert ask(own, option, file, "--precision", "bf16", "--re-rank")[0] == 0
    assert "reused" not in ask(own, option, file, "--reuse")[1]
    assert "reused" in ask(own, option, file, "--reuse")[1]


def test_a_page_that_cannot_be_made_costs_no_numbers_and_is_not_taken_for_made(ask, own, tmp_path):
    page, logged = tmp_path / "page.html", (own / "metrics.jsonl").read_text()
    (own / "metrics.jsonl").write_text(logged + '{"step": 2, "los')
    code, said = ask(own, "--html", page)
    assert code == 2 and "metrics.jsonl is damaged" in said and not page.exists()
    assert "reused" in ask(own, "--reuse")[1]
    (own / "metrics.jsonl").write_text(logged)
    page.write_text("of somebody else")
    assert "reused" not in ask(own, "--html", page, "--reuse")[1]


def test_a_page_without_the_library_that_draws_it_is_refused_before_the_long_work(
    ask, own, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, said = ask(own, "--html", tmp_path / "page.html")
    assert code == 2 and "--html needs matplotlib, which is not installed" in said
    assert not (own / "evaluation.json").exists()


def test_a_page_without_the_untrained_is_not_reused_where_they_are_asked_for(ask, own, tmp_path):
    assert ask(own, "--untrained")[0] == 0
    assert ask(own, "--html", tmp_path / "page.html")[0] == 0
    assert "reused" not in ask(own, "--untrained", "--html", tmp_path / "page.html", "--reuse")[1]


@pytest.mark.parametrize(
    "damage", ["{}", '{"evaluations": [{}], "provenance": {}}', '{"evaluations": [], "provenance": [3]}']
)
def test_a_damaged_report_is_not_reused(ask, own, damage):
    path = own / "evaluation.json"
    path.write_text(json.dumps({"format": "instruct-reid report", "version": 3, **json.loads(damage)}))
    code, said = ask(own, "--reuse")
    assert code == 0 and "reused" not in said
    assert len(json.loads(path.read_text())["evaluations"]) == 1


@pytest.mark.parametrize("damage", ["{", "{}", "[]"])
def test_a_checkpoint_that_does_not_say_its_step_is_refused_before_it_is_judged(ask, own, damage):
    checkpoint = own / "checkpoints" / "step-00000001"
    assert ask(checkpoint)[0] == 0
    (checkpoint / "state.json").write_text(damage)
    code, said = ask(checkpoint)
    assert code == 2 and "state.json does not contain the training step" in said


def test_a_damaged_note_on_who_drew_the_people_costs_no_evaluation(ask, own, tiny_root, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "market").symlink_to(tiny_root / "market")
    (tmp_path / "data" / "synthetic.json").write_text("{")
    assert ask(own, "--data", tmp_path / "data")[0] == 0
    facts = json.loads((own / "evaluation.json").read_text())["provenance"]
    assert "is not a manifest that this version understands" in facts["data"]


def test_a_model_without_a_readable_tokenizer_is_refused(ask, own):
    (own / "model" / "tokenizer.json").write_text("{")
    code, said = ask(own)
    assert code == 2 and "the tokenizer in" in said and "damaged" in said
    (own / "model" / "tokenizer.json").unlink()
    code, said = ask(own)
    assert code == 2 and "has no tokenizer" in said


@pytest.mark.parametrize("option", ["--json", "--html", "--per-query", "--save-features"])
def test_where_nothing_can_be_written_is_said_before_anything_is_judged(
    ask, own, tmp_path, monkeypatch, option
):
    def too_late(*_):
        raise AssertionError("the long work has begun")

    monkeypatch.setattr(evaluate, "_evaluate", too_late)
    (tmp_path / "file").touch()
    places = [tmp_path / "file" / "below"]
    places += [tmp_path / "file"] if option == "--save-features" else [tmp_path]
    for place in places:
        code, said = ask(own, option, place)
        assert code == 2 and f"{place} cannot be written" in said


def test_what_re_rank_swallowed_is_named(ask, own):
    code, said = ask("--re-rank", own)
    assert code == 2 and "must come after RUN" in said


@pytest.mark.parametrize(
    ("option", "least"), [("--re-score", 0), ("--match", 0), ("--batch-size", 1), ("--workers", 0)]
)
def test_a_number_too_small_is_told_the_least_one(ask, own, option, least):
    code, said = ask(own, option, least - 1)
    assert code == 2 and f"{option} is {least - 1}; it must be at least {least}" in said


def test_beside_compare_nothing_else_is_asked(ask, own, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    tables = [tmp_path / name / "q.csv" for name in ("a", "b")]
    for table in tables:
        assert ask(own, "--per-query", table)[0] == 0
    code, said = ask("--compare", *tables)
    assert code == 0
    assert "a/q.csv" in "".join(said.split()), "which of two tables of one name is meant"
    code, said = ask("--compare", *tables, "--json", tmp_path / "r.json")
    assert code == 2 and "--json has no effect with --compare" in said


def test_names_with_slashes_make_no_folders(ask, own, tiny_root, tmp_path):
    data, kept = tmp_path / "data", tmp_path / "features"
    (data / "own").mkdir(parents=True)
    lines = [
        f"{side},{record.image},{record.pid},{record.camid}\n"
        for side in ("query", "gallery")
        for record in getattr(load_split(tiny_root, "market1501", "trad"), side)
    ]
    (data / "own" / "shop.csv").write_text("split,image,pid,camera\n" + "".join(lines))
    row = ("--data", data, "--dataset", "own/shop", "--task", "trad")
    assert ask(own, *row, "--save-features", kept)[0] == 0
    assert (own / "evaluation-own_shop-trad.json").is_file()
    assert [path.name for path in kept.iterdir()] == ["trad-own_shop.npz"]
    assert ask("--features", kept / "trad-own_shop.npz", *row)[0] == 0
