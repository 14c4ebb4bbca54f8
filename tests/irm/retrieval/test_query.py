"""Asking from the command line: every form of query, as a table, JSON, CSV and contact sheet."""

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from irm.retrieval import Gallery, Picture, Question, SearchModel, items_of_folder
from irm.retrieval.answer import MEANINGS
from tests.pretend_gpu import pretend_gpu
from tools._program import run
from tools.query import main


def program(monkeypatch, *arguments):
    """Exit code of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["tools.query", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


def test_a_model_on_a_gpu_indexes_and_finds_as_on_a_cpu(monkeypatch, tmp_path, tiny_run, tiny_items, gallery):
    person, clothes = Picture.read(tiny_items[0].path), Picture.read(tiny_items[5].clothes)
    questions = [
        Question(images=(person,), task="trad"),
        Question(images=(person,), clothes=clothes),
        Question(images=(person,), text="in a red coat"),
        Question(text="a man with a bag", re_score=4),
    ]
    expected = gallery.search_many(questions)
    with pretend_gpu(monkeypatch):
        model = SearchModel.load(tiny_run)
        assert model.embedder.model.device.type == "cuda"
        with Gallery.create(tmp_path / "store", model, dataset="cocas_real2") as other:
            other.add(tiny_items, now=0.0)
            found = other.search_many(questions)
    for answer, other in zip(found, expected, strict=True):
        assert [hit.key for hit in answer.hits] == [hit.key for hit in other.hits]
        assert [hit.score for hit in answer.hits] == pytest.approx(
            [hit.score for hit in other.hits], abs=1e-5
        )


FORMS = {
    "image": ["--image", "A"],
    "image and task": ["--image", "A", "--task", "cc"],
    "image and text": ["--image", "A", "--text", "in a red coat"],
    "image and clothes": ["--image", "A", "--clothes", "C"],
    "text": ["--text", "a man with a bag", "--re-score", "4"],
    "several pictures, some of others": ["--image", "A", "--image", "B", "--not", "C", "--unlike", "2"],
    "gallery image, re-ranked": ["--like", "3", "--re-rank"],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_query_gives_a_ranked_list(monkeypatch, capsys, tiny_store, tiny_items, form):
    files = {"A": tiny_items[0].path, "B": tiny_items[1].path, "C": tiny_items[5].clothes}
    words = [files.get(word, word) for word in FORMS[form]]
    assert program(monkeypatch, "--store", tiny_store, *words, "--top", 3, "--json") == 0
    told = capsys.readouterr().out
    answer = json.loads(told[told.index("{") :])
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert answer["total"] == len(tiny_items)


def test_a_page_a_table_a_csv_and_a_picture_tell_the_same(
    monkeypatch, capsys, tmp_path, tiny_store, tiny_items
):
    words = ["--store", tiny_store, "--image", tiny_items[0].path, "--task", "trad", "--until", 1100]
    out = ["--csv", tmp_path / "list.csv", "--picture", tmp_path / "sheet.jpg"]
    assert program(monkeypatch, *words, "--first", 2, "--top", 4, *out) == 0
    assert "similarity is not identification" in " ".join(capsys.readouterr().out.split())
    rows = (tmp_path / "list.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["rank", "3", "4", "5", "6"]
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width > 500


def test_the_table_and_the_csv_say_which_scores_are_cosines(monkeypatch, capsys, tmp_path, tiny_store):
    monkeypatch.setenv("COLUMNS", "200")
    words = ["--store", tiny_store, "--text", "a man with a bag", "--re-score", 2, "--top", 4]
    assert program(monkeypatch, *words, "--csv", tmp_path / "list.csv") == 0
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["re-scored"] * 2 + ["cosine"] * 2
    told = capsys.readouterr().out
    table = told.split("Score:")[0]
    assert (table.count("re-scored"), table.count("cosine")) == (2, 2)
    assert MEANINGS["cosine"] in told and MEANINGS["re-scored"] in told


def test_a_list_in_a_file_has_a_line_per_hit_with_its_whole_key_and_no_empty_column(
    monkeypatch, capsys, tmp_path, search_model, tiny_run, tiny_items
):
    monkeypatch.setenv("COLUMNS", "40")
    pictures = tmp_path / "pictures"
    keys = [f"{'far/' * 30}{number}.jpg" for number in range(3)]
    for key in keys:
        (pictures / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_items[0].path, pictures / key)
    with Gallery.create(tmp_path / "store", search_model) as gallery:
        gallery.add(items_of_folder(pictures))
    words = ["--store", tmp_path / "store", "--run", tiny_run, "--like", 1, "--task", "trad"]
    assert program(monkeypatch, *words) == 0
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines()]
    assert [[line[0], line[-1]] for line in lines if line and line[-1] in keys] == [
        [str(rank), key] for rank, key in enumerate(keys, start=1)
    ]
    assert "accident" in told and not {"person", "camera", "taken", "stage"} & {
        *told.split("Score")[0].split()
    }


def test_every_figure_is_explained_in_the_words_of_the_documentation(gallery, tiny_items):
    docs = " ".join((Path(__file__).parents[3] / "docs" / "search.md").read_text().split())
    answer = gallery.search(Question(images=(Picture.read(tiny_items[0].path),), task="trad"))
    for percent, shown in ((None, ("cosine", "chance")), (50, ("cosine", "percent", "chance"))):
        hits = tuple(replace(hit, percent=percent) for hit in answer.hits)
        assert replace(answer, hits=hits).legend() == " ".join(MEANINGS[name] for name in shown)
    assert replace(answer, hits=()).legend() == ""
    assert all(MEANINGS[name] in docs for name in ("percent", "chance"))


def test_files_that_cannot_be_written_are_refused_before_the_search(
    monkeypatch, capsys, tmp_path, tiny_store
):
    for option, file in (("--csv", tmp_path), ("--picture", tmp_path / "a.csv" / "b.jpg")):
        (tmp_path / "a.csv").touch()
        assert program(monkeypatch, "--store", tiny_store, "--like", 1, option, file) == 2
        assert f"error: {file} cannot be written" in capsys.readouterr().err


def test_re_ranking_a_text_alone_is_told_to_be_left_out(monkeypatch, capsys, tiny_store):
    monkeypatch.setenv("COLUMNS", "400")
    words = ["--store", tiny_store, "--text", "a man with a bag", "--top", 3, "--re-rank"]
    assert program(monkeypatch, *words) == 0
    assert "the list is not re-ranked" in capsys.readouterr().out
    assert program(monkeypatch, *words, "--re-score", 0, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [hit["stage"] for hit in answer["hits"]] == ["re-ranked"] * 3
    assert "not re-ranked" not in (answer["warning"] or "")


def test_a_name_in_brackets_is_shown_as_it_is(
    monkeypatch, capsys, tmp_path, search_model, tiny_run, tiny_items
):
    monkeypatch.setenv("COLUMNS", "200")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("cam1[copy].jpg", "x[b].jpg"):
        shutil.copy(tiny_items[0].path, pictures / name)
    with Gallery.create(tmp_path / "store", search_model) as gallery:
        gallery.add(items_of_folder(pictures))
    words = [
        "--store",
        tmp_path / "store",
        "--run",
        tiny_run,
        "--image",
        tiny_items[0].path,
        "--task",
        "trad",
    ]
    assert program(monkeypatch, *words) == 0
    told = capsys.readouterr().out
    assert "cam1[copy].jpg" in told
    assert "x[b].jpg" in told


@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "PNG"), ("a.webp", "WEBP")]
)
def test_a_contact_sheet_is_what_its_name_says(monkeypatch, tmp_path, tiny_store, name, kind):
    words = ["--store", tiny_store, "--like", 1, "--task", "trad", "--top", 2]
    assert program(monkeypatch, *words, "--picture", tmp_path / name) == 0
    with Image.open(tmp_path / name) as sheet:
        assert sheet.format == kind


def lines_of(told: str) -> list[dict]:
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def keys_of(answer: dict) -> list[str]:
    return [hit["key"] for hit in answer["hits"]]


def test_each_picture_is_a_query_of_its_own(monkeypatch, capsys, tiny_store, tiny_items):
    common = ["--store", tiny_store, "--task", "trad", "--top", 3]
    paths = [item.path for item in tiny_items[:3]]
    assert program(monkeypatch, *common, "--each", "--image", *paths) == 0
    together = lines_of(capsys.readouterr().out)
    assert [one["query"] for one in together] == [{"image": path} for path in paths]
    for path, one in zip(paths, together, strict=True):
        assert program(monkeypatch, *common, "--image", path, "--json") == 0
        told = capsys.readouterr().out
        assert keys_of(one) == keys_of(json.loads(told[told.index("{") :]))


def test_a_query_of_a_file_that_cannot_be_asked_harms_no_other(
    monkeypatch, capsys, tmp_path, tiny_store, tiny_items
):
    shutil.copy(tiny_items[0].path, tmp_path / "a.jpg")
    said = [
        {"image": "a.jpg", "task": "trad"},
        {"image": "gone.jpg"},
        {"like": [2], "text": "in a red coat"},
        {"image": "a.jpg", "task": "t2i"},
        {"text": "a man\u2028with a bag"},  # which some take for the end of a line
    ]
    file = tmp_path / "queries.jsonl"
    file.write_text("\n\n".join(json.dumps(one, ensure_ascii=False) for one in said) + "\n")
    assert program(monkeypatch, "--store", tiny_store, "--queries", file, "--top", 2, "--re-score", 0) == 3
    out, err = capsys.readouterr()
    answers = lines_of(out)
    assert [one["query"] for one in answers] == said
    assert [one.get("task") for one in answers] == ["trad", None, answers[2]["task"], None, "t2i"]
    assert "gone.jpg" in answers[1]["error"]
    assert "omit the image" in answers[3]["error"]
    assert all(len(answers[place]["hits"]) == 2 for place in (0, 2, 4))
    assert err == "warning: 2 of 5 queries were not answered; their output lines give the reason\n"


def test_a_file_without_any_query_that_can_be_answered_is_an_error(monkeypatch, capsys, tmp_path, tiny_store):
    (tmp_path / "queries.jsonl").write_text('{"image": "gone.jpg"}\n')
    assert program(monkeypatch, "--store", tiny_store, "--queries", tmp_path / "queries.jsonl") == 2
    assert capsys.readouterr().err.startswith("error: 1 of 1 queries were not answered")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is not an object"),
        ('{"imag": "a.jpg"}', "did you mean 'image'?"),
        ('{"like": "one"}', "like is 'one'; give a number"),
        ('{"text": ["a", "b"]}', "text is ['a', 'b']; give a text"),
        ("", "queries.jsonl has no queries"),
    ],
)
def test_a_line_that_is_no_query_is_one_sentence(monkeypatch, capsys, tmp_path, tiny_store, line, complaint):
    (tmp_path / "queries.jsonl").write_text(line)
    assert program(monkeypatch, "--store", tiny_store, "--queries", tmp_path / "queries.jsonl") == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the query is empty"),
        (["--each"], "pass the images with --image"),
        (["--each", "--image", "A", "--queries", "x"], "both run many queries"),
        (["--each", "--image", "A", "--csv", "x.csv"], "--csv and --picture write a single answer"),
        (["--image", "A", "--picture", "x.gif"], "x.gif has no supported image suffix"),
        (["--image", "/nowhere.jpg"], "there is no such file"),
        (["--text", "a man", "--task", "cc"], "task cc needs an image"),
        (["--image", "A", "--task", "li"], "task li needs a text"),
        (["--image", "A", "--task", "t2i"], "omit the image"),
        (["--image", "A", "--view", "cloths"], "did you mean 'clothes'?"),
        (["--image", "A", "--camera", "one"], "--camera is 'one'"),
        (["--image", "A", "--since", "yesterday"], "'yesterday' is not a time"),
        (["--image", "A", "--top", "0"], "top is 0; it must be at least 1"),
        (["--like", "9" * 20], f"--like: the number is '{'9' * 20}', which is out of range"),
        (["--image", "A", "--camera", "9" * 20], f"--camera is '{'9' * 20}'"),
        (["--image", "A", "--since", "1767225600000"], "perhaps it is in milliseconds"),
        (["--like", "99999"], "there is no image 99999"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch, capsys, tiny_store, tiny_items, words, complaint
):
    named = [tiny_items[0].path if word == "A" else word for word in words]
    assert program(monkeypatch, "--store", tiny_store, *named) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
